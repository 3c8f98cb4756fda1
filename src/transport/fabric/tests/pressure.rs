//! A peer that asks and does not read its answers.

use super::*;

const ANSWER_BYTES: usize = 200_000;
/// What one round may answer beyond the limit, and what is on its way in sockets and rings.
const ROUND_BYTES: usize = 64 * (ANSWER_BYTES + 1000);

/// The server answers each question with much; the worker asks and asks. Returns the most that the
/// server held for it, and how many of `questions` were answered.
fn most_held(choice: TransportChoice, questions: u64, reads: bool) -> (usize, usize) {
    let mut net = Net::pair(choice, choice);
    let answer = TxBuf::from_vec(vec![7u8; ANSWER_BYTES]);
    let (mut asked, mut answered, mut most, mut idle) = (0, 0, 0, 0);
    let mut outbox = Vec::new();
    while idle < 200 {
        let now = net.now();
        idle += 1;
        if asked < questions {
            let mut frames = vec![frame(WORKER, asked, 100)];
            net.nodes[1].tx_burst(now, SERVER, &mut frames);
            asked += 1;
            idle = 0;
        }
        net.nodes[1].flush(now);
        if reads {
            net.nodes[1].rx_burst(now, &mut net.told[1], 64);
            let before = answered;
            answered += net.told[1].drain(..).filter(|told| matches!(told, Incoming::Frame { .. })).count();
            idle = if answered > before { 0 } else { idle };
        }
        net.nodes[0].rx_burst(now, &mut net.told[0], 64);
        for told in net.told[0].drain(..) {
            if let Incoming::Frame { frame: question, .. } = told {
                let header = Header { value_bytes: ANSWER_BYTES as u32, source: SERVER, ..question.header };
                outbox.push(TxFrame::with_values(header, answer.clone()));
                idle = 0;
            }
        }
        net.nodes[0].tx_burst(now, WORKER, &mut outbox);
        net.nodes[0].flush(now);
        let waiting: usize = outbox.iter().map(TxFrame::bytes).sum();
        most = most.max(net.nodes[0].queued_bytes(WORKER) + waiting);
        net.nodes[0].wait(Some(Duration::from_micros(20))).expect("a poller");
    }
    (most, answered)
}

#[test]
fn who_asks_without_reading_cannot_make_a_shard_hold_more_than_the_limit() {
    let (most, _) = most_held(TransportChoice::Tcp, 3000, false);
    assert!(most >= limit::SEND_QUEUE_BYTES, "the limit was not reached, but {most}");
    assert!(most <= limit::SEND_QUEUE_BYTES + ROUND_BYTES, "{most} bytes");
    // By a link nobody can ask who does not take back the credits of his questions.
    let (most, _) = most_held(TransportChoice::Shm, 3000, false);
    assert!(most <= 2 * 16 * ANSWER_BYTES, "{most} bytes");
}

#[test]
fn who_reads_gets_every_answer() {
    for choice in [TransportChoice::Tcp, TransportChoice::Shm] {
        let (_, answered) = most_held(choice, 1500, true);
        assert_eq!(answered, 1500, "{choice}");
    }
}

#[test]
fn who_reads_late_gets_every_answer_too() {
    for choice in [TransportChoice::Tcp, TransportChoice::Shm] {
        let mut net = Net::pair(choice, choice);
        let answer = TxBuf::from_vec(vec![7u8; ANSWER_BYTES]);
        net.send(1, (0..1000).map(|number| (number, 10)));
        let (mut outbox, mut answered, mut rounds) = (Vec::new(), 0, 0);
        while answered < 1000 {
            let now = net.now();
            rounds += 1;
            assert!(rounds < 100_000, "{choice}: {answered} answers");
            net.nodes[0].rx_burst(now, &mut net.told[0], 64);
            for told in net.told[0].drain(..) {
                if let Incoming::Frame { frame: question, .. } = told {
                    let header = Header { value_bytes: ANSWER_BYTES as u32, source: SERVER, ..question.header };
                    outbox.push(TxFrame::with_values(header, answer.clone()));
                }
            }
            net.nodes[0].tx_burst(now, WORKER, &mut outbox);
            net.nodes[0].flush(now);
            net.nodes[0].wait(Some(Duration::from_micros(20))).expect("a poller");
            net.nodes[1].flush(now);
            if rounds > 500 {
                net.nodes[1].rx_burst(now, &mut net.told[1], 64);
                answered += net.told[1].drain(..).filter(|told| matches!(told, Incoming::Frame { .. })).count();
            }
        }
    }
}
