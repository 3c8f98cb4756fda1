//! Frames arrive whole, whatever their size.

use super::*;

#[test]
fn ten_thousand_frames_of_mixed_sizes_arrive_both_ways() {
    let mut net = Net::pair();
    let size_of = |i: u64| match i % 50 {
        0 => (2000, 60_000),
        1..5 => (0, 0),
        5..10 => (700, 2800),
        rest => (rest as usize % 3, i as usize * 13 % 300),
    };
    for round in 0..20 {
        for (from, source, peer) in [(0, SERVER, WORKER), (1, WORKER, SERVER)] {
            let numbers = round * 500..(round + 1) * 500;
            let frames = numbers.map(|i| frame(source, i, size_of(i).0, size_of(i).1)).collect();
            net.send(from, peer, frames);
        }
        net.step();
    }
    let mut arrived = [Vec::new(), Vec::new()];
    net.run("all frames", |net| {
        for (told, arrived) in net.told.iter_mut().zip(&mut arrived) {
            for incoming in told.drain(..) {
                if let Incoming::Frame { frame, .. } = incoming {
                    check(&frame);
                    arrived.push(frame.header.timestamp.0);
                }
            }
        }
        arrived.iter().all(|arrived| arrived.len() == 10_000)
    });
    for arrived in &mut arrived {
        arrived.sort_unstable();
        assert!(arrived.iter().copied().eq(0..10_000));
    }
}

#[test]
fn bodies_of_a_mebibyte_arrive_and_give_their_memory_back() {
    let server = config(SERVER, 1);
    let pool = pool_of(&server);
    let mut net = Net::new(vec![open(server), open(config(WORKER, 1))]);
    net.dial(1, SERVER, 0);
    net.run_until(1, "the server to be up", is_up);
    net.send(1, SERVER, (0..32).map(|i| frame(WORKER, i, 0, 1 << 20)).collect());
    assert!(net.nodes[1].queued_bytes(SERVER) > 32 << 20);
    net.run("all frames", |net| net.frames(0).count() == 32);
    net.frames(0).for_each(check);
    assert_eq!(net.nodes[1].queued_bytes(SERVER), 0);
    assert!(pool.usage().used_bytes >= 32 << 20);
    net.told[0].clear();
    assert_eq!(pool.usage().used_bytes, 0);
}

#[test]
fn buffers_are_let_go_when_the_kernel_has_them() {
    let mut net = Net::pair();
    let pool = Pool::unbounded();
    let mut sent = frame(WORKER, 3, 0, 100_000);
    let mut block = pool.block(100_000);
    block.copy_from_slice(&sent.body_parts().concat());
    sent.values = block.freeze().into();
    net.send(1, SERVER, vec![sent]);
    assert_ne!(pool.usage().used_bytes, 0);
    net.run("the frame", |net| net.frames(0).count() == 1);
    assert_eq!(pool.usage().used_bytes, 0);
}

#[test]
fn small_frames_overtake_bulk_and_bulk_still_moves() {
    let mut net = Net::pair();
    let bulk = (0..40).map(|i| frame(WORKER, i, 0, 1 << 20));
    net.send(1, SERVER, bulk.chain([frame(WORKER, 99, 0, 10)]).collect());
    net.run("all frames", |net| net.frames(0).count() == 41);
    let place = net.frames(0).position(|frame| frame.header.timestamp.0 == 99).expect("arrived");
    assert_eq!(place, 0);
}

#[test]
fn a_full_queue_takes_no_more_frames() {
    let mut net = Net::pair();
    let mut frames: Vec<TxFrame> = (0..70).map(|i| frame(WORKER, i, 0, 1 << 20)).collect();
    let now = net.now();
    net.nodes[1].tx_burst(now, SERVER, &mut frames);
    assert!((1..10).contains(&frames.len()), "{} frames left", frames.len());
    assert_eq!(frames.last().expect("one left").header.timestamp.0, 69);
}

#[test]
fn frames_for_a_peer_without_a_connection_are_dropped() {
    let mut net = Net::pair();
    net.send(0, NodeId::worker(5), vec![frame(SERVER, 1, 0, 0)]);
    assert_eq!(net.nodes[0].queued_bytes(NodeId::worker(5)), 0);
}

#[test]
fn a_waker_ends_a_wait_even_when_it_comes_first() {
    let mut node = open(config(SERVER, 1));
    node.waker().wake();
    node.rx_burst(Nanos(0), &mut Vec::new(), 1);
    node.wait(None).expect("woken before");
    let waker = node.waker();
    let thread = std::thread::spawn(move || waker.wake());
    node.wait(None).expect("woken by another thread");
    thread.join().expect("no panic");
}

#[test]
fn an_idle_transport_sleeps_however_long_it_may_poll() {
    let nodes = [SERVER, WORKER].map(|node| open(TcpConfig { spin: Duration::from_micros(100), ..config(node, 1) }));
    let mut net = Net::connect(nodes.into());
    net.send(1, SERVER, vec![frame(WORKER, 1, 1, 4)]);
    net.run("the frame", |net| net.frames(0).count() == 1);
    let before = thread_cpu_time();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        let now = net.now();
        net.nodes[0].rx_burst(now, &mut net.told[0], 64);
        net.nodes[0].wait(Some(Duration::from_millis(20))).expect("a poller");
    }
    let spent = thread_cpu_time() - before;
    assert!(spent < Duration::from_millis(10), "{spent:?} of one second");
}

/// Time that this thread has run, from the scheduler's own count.
fn thread_cpu_time() -> Duration {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a count");
    Duration::from_nanos(counts.split(' ').next().and_then(|run| run.parse().ok()).expect("nanoseconds"))
}

#[test]
fn frames_of_all_sizes_arrive_while_waits_poll() {
    let nodes = [SERVER, WORKER].map(|node| open(TcpConfig { spin: Duration::from_millis(5), ..config(node, 1) }));
    let mut net = Net::connect(nodes.into());
    let sizes = [4, 20_000, 300_000, 0, 70_000, 16_384, 16_385, 100, 300_000, 300_000, 4];
    for round in 0..20 {
        let frames = sizes.iter().enumerate().map(|(i, &bytes)| frame(WORKER, round * 100 + i as u64, 1, bytes));
        net.send(1, SERVER, frames.collect());
        net.run("all frames", |net| net.frames(0).count() == sizes.len());
        net.frames(0).for_each(check);
        net.told[0].clear();
    }
}

#[test]
fn a_paused_peer_is_not_read_from_until_it_goes_on() {
    let mut net = Net::pair();
    net.nodes[0].pause(WORKER, true);
    net.send(1, SERVER, (0..5).map(|i| frame(WORKER, i, 3, 100)).collect());
    for _ in 0..50 {
        net.step();
    }
    assert_eq!(net.frames(0).count(), 0);
    net.nodes[0].pause(WORKER, false);
    net.run("the frames", |net| net.frames(0).count() == 5);
    net.frames(0).for_each(check);
}

#[test]
fn the_end_of_a_paused_peer_is_seen() {
    let mut net = Net::pair();
    net.nodes[0].pause(WORKER, true);
    net.send(1, SERVER, vec![frame(WORKER, 1, 3, 100)]);
    net.step();
    net.nodes[1].break_connection(SERVER);
    net.run_until(0, "the loss", is_lost);
}

#[test]
fn a_watched_descriptor_ends_a_wait_and_a_look_ends_it_before_the_poller_does() {
    let mut node = open(config(SERVER, 1));
    let (reading, mut writing) = std::io::pipe().expect("a pipe");
    node.watch(std::os::fd::AsRawFd::as_raw_fd(&reading)).expect("a poller");
    assert!(!node.take_signalled());
    let nothing = |node: &mut TcpTransport, timeout| node.sleep_with(timeout, &mut || false, &mut || false);
    std::io::Write::write_all(&mut writing, b"x").expect("a pipe");
    nothing(&mut node, None).expect("a poller");
    assert!(node.take_signalled() && !node.take_signalled());
    node.sleep_with(None, &mut || true, &mut || unreachable!("it does not sleep")).expect("a poller");
    let mut asked = 0;
    let arm = &mut || {
        asked += 1;
        true
    };
    node.sleep_with(None, &mut || false, arm).expect("a poller");
    assert_eq!(asked, 1);
}
