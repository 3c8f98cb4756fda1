//! Many frames at once: credits are never exceeded, nothing is lost, and nobody starves.

use super::Test;
use super::pair::{Pair, SHARD, WORKER, assert_pattern};
use parashard::id::Timestamp;
use parashard::memory::TxBuf;
use parashard::transport::Incoming;
use parashard::wire::{Header, Kind, RxFrame, TxFrame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

pub(super) const TESTS: &[Test] = tests![
    ten_thousand_frames_of_mixed_sizes_arrive_once,
    both_ends_send_at_once,
    answers_take_the_credits_along,
    a_paused_peer_still_gives_credits_back,
    an_idle_end_hears_of_a_frame_while_it_sleeps,
];

/// Sizes on every route.
const SIZES: [usize; 8] = [0, 40, 300, 3000, 30_000, 64, 70_000, 8];

fn numbered(pair: &Pair, number: u64, whole: &TxBuf) -> TxFrame {
    let values = whole.slice(0..SIZES[number as usize % SIZES.len()]);
    let header =
        Header { timestamp: Timestamp(number), value_bytes: values.len() as u32, ..pair.worker.header(Kind::Push) };
    TxFrame::with_values(header, values)
}

fn take(incoming: &mut Vec<Incoming>, mut then: impl FnMut(RxFrame)) {
    incoming.drain(..).for_each(|told| match told {
        Incoming::Frame { frame, .. } => then(frame),
        other => panic!("{other:?}"),
    });
}

fn ten_thousand_frames_of_mixed_sizes_arrive_once() {
    let mut pair = Pair::connected();
    let whole = pair.worker.values(70_000, 6);
    let mut frames: Vec<TxFrame> = (0..10_000).map(|number| numbered(&pair, number, &whole)).collect();
    let mut seen = BTreeSet::new();
    pair.until("all frames", |pair| {
        pair.worker.verbs.tx_burst(SHARD, &mut frames);
        take(&mut pair.shard.incoming, |frame| {
            let number = frame.header.timestamp.0;
            assert!(seen.insert(number), "frame {number} came twice");
            assert_pattern(frame.body().values, 6);
            assert_eq!(frame.body().values.len(), SIZES[number as usize % SIZES.len()]);
        });
        seen.len() == 10_000
    });
    pair.quiet();
    let counts = pair.worker.verbs.counts();
    assert_eq!(counts.sends + counts.writes_with_immediate, 10_000 + counts.credit_messages);
    // Most doorbells carry several requests while many frames wait.
    assert!(counts.doorbells < 10_000, "{counts}");
    assert!(counts.signaled < 10_000, "{counts}");
    drop(whole);
    assert_eq!(pair.worker.pool.usage().used_bytes, 0);
}

fn both_ends_send_at_once() {
    let mut pair = Pair::connected();
    let (ours, theirs) = (pair.worker.values(20_000, 1), pair.shard.values(20_000, 2));
    let frame = |end: &super::pair::End, values: &TxBuf| end.frame(Kind::Push, values.clone());
    let mut out: Vec<TxFrame> = (0..500).map(|_| frame(&pair.worker, &ours)).collect();
    let mut back: Vec<TxFrame> = (0..500).map(|_| frame(&pair.shard, &theirs)).collect();
    let (mut at_shard, mut at_worker) = (0, 0);
    pair.until("both directions", |pair| {
        pair.worker.verbs.tx_burst(SHARD, &mut out);
        pair.shard.verbs.tx_burst(WORKER, &mut back);
        take(&mut pair.shard.incoming, |frame| {
            assert_pattern(frame.body().values, 1);
            at_shard += 1;
        });
        take(&mut pair.worker.incoming, |frame| {
            assert_pattern(frame.body().values, 2);
            at_worker += 1;
        });
        (at_shard, at_worker) == (500, 500)
    });
}

fn answers_take_the_credits_along() {
    let mut pair = Pair::connected();
    for _ in 0..200 {
        pair.worker.send(pair.worker.frame(Kind::Push, TxBuf::empty()));
        pair.at_shard();
        pair.shard.send(pair.shard.frame(Kind::PushReply, TxBuf::empty()));
        pair.at_worker();
    }
    let (worker, shard) = (pair.worker.verbs.counts(), pair.shard.verbs.counts());
    assert_eq!((worker.sends, shard.sends), (200, 200), "worker {worker}, shard {shard}");
}

fn a_paused_peer_still_gives_credits_back() {
    let mut pair = Pair::connected();
    let whole = pair.worker.values(70_000, 6);
    let mut frames: Vec<TxFrame> = (0..100).map(|number| numbered(&pair, number, &whole)).collect();
    let answers = 100;
    let mut back: Vec<TxFrame> = (0..answers).map(|_| pair.shard.frame(Kind::PushReply, TxBuf::empty())).collect();
    let (mut arrived, mut answered, mut rounds) = (0, 0, 0);
    // The shard does not read, yet its answers get through.
    pair.until("answers to a paused peer", |pair| {
        pair.worker.verbs.tx_burst(SHARD, &mut frames);
        pair.shard.verbs.tx_burst(WORKER, &mut back);
        pair.shard.verbs.rx_burst(&mut pair.shard.incoming, 64, &|peer| peer == WORKER);
        pair.shard.verbs.flush();
        pair.worker.poll();
        take(&mut pair.worker.incoming, |_| answered += 1);
        take(&mut pair.shard.incoming, |_| arrived += 1);
        rounds += 1;
        answered == answers
    });
    pair.until("the frames of the paused peer", |pair| {
        pair.worker.verbs.tx_burst(SHARD, &mut frames);
        take(&mut pair.shard.incoming, |_| arrived += 1);
        arrived == 100
    });
}

fn an_idle_end_hears_of_a_frame_while_it_sleeps() {
    let mut pair = Pair::connected();
    for _ in 0..20 {
        // What is on its way, the ends' own completions, is taken first.
        pair.quiet();
        while pair.shard.verbs.arm() {
            pair.shard.poll();
        }
        assert!(!is_readable(pair.shard.verbs.fds()[0], 0));
        pair.worker.send(pair.worker.frame(Kind::Push, TxBuf::empty()));
        assert!(is_readable(pair.shard.verbs.fds()[0], 5), "the channel tells of the frame");
        pair.shard.poll();
        assert_eq!(pair.shard.incoming.drain(..).count(), 1);
    }
}

fn is_readable(fd: BorrowedFd<'_>, seconds: i64) -> bool {
    let mut wanted = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut wanted, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).is_ok_and(|count| count > 0)
}
