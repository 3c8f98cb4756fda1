//! Whatever a device or a peer does, it ends that link with one error, and nothing else.

use super::Test;
use super::pair::{End, Pair, SHARD, WORKER, assert_pattern};
use parashard::id::NodeId;
use parashard::memory::{LandingBlock, TxBuf};
use parashard::transport::verbs::{Fault, LiveObjects};
use parashard::wire::{Kind, TxFrame};

pub(super) const TESTS: &[Test] = tests![
    a_queue_pair_in_error_ends_its_link,
    garbage_ends_the_link_and_names_the_peer,
    a_slot_with_garbage_ends_the_link,
    a_write_outside_the_ring_ends_the_link,
    a_stale_announcement_is_dropped,
    a_stale_message_is_dropped,
    a_link_that_breaks_leaves_the_others_alone,
    landings_of_a_broken_link_are_free_when_it_is_closed,
    two_hundred_faults_leave_the_next_link_whole,
];

/// Sends a frame each way.
fn exchange(pair: &mut Pair) {
    let values = pair.worker.values(5000, 4);
    pair.worker.send(pair.worker.frame(Kind::Push, values));
    assert_pattern(pair.at_shard().body().values, 4);
    pair.shard.send(pair.shard.frame(Kind::PushReply, TxBuf::empty()));
    pair.at_worker();
}

fn a_queue_pair_in_error_ends_its_link() {
    let mut pair = Pair::connected();
    exchange(&mut pair);
    pair.worker.verbs.inject(SHARD, &Fault::QueuePair).expect("an error");
    pair.worker.send(pair.worker.frame(Kind::Push, TxBuf::empty()));
    let error = pair.failure_of(true).to_string();
    assert!(error.contains("server 0 shard 0"), "{error}");
    // The other end hears of it when it sends.
    pair.shard.send(pair.shard.frame(Kind::PushReply, TxBuf::empty()));
    let error = pair.failure_of(false).to_string();
    assert!(error.contains("worker 0"), "{error}");
    pair.connect();
    exchange(&mut pair);
}

fn garbage_ends_the_link_and_names_the_peer() {
    let mut pair = Pair::connected();
    // Nothing, no kind of message, one that asks and answers, and one that is cut short.
    for bytes in [vec![], vec![0xa5; 64], vec![3; 64], vec![2; 10]] {
        pair.worker.verbs.inject(SHARD, &Fault::Message(bytes)).expect("a send");
        let error = pair.failure_of(false).to_string();
        assert!(error.contains("worker 0"), "{error}");
        pair.connect();
        exchange(&mut pair);
    }
}

fn a_slot_with_garbage_ends_the_link() {
    let mut pair = Pair::connected();
    pair.worker.verbs.inject(SHARD, &Fault::Slot(vec![0x5a; 64])).expect("a write");
    pair.failure_of(false);
    pair.connect();
    exchange(&mut pair);
}

fn a_write_outside_the_ring_ends_the_link() {
    let mut pair = Pair::connected();
    pair.worker.verbs.inject(SHARD, &Fault::Outside).expect("a write");
    let error = pair.failure_of(true).to_string();
    assert!(error.contains("REM_ACCESS_ERR"), "{error}");
    pair.connect();
    exchange(&mut pair);
}

fn a_stale_announcement_is_dropped() {
    let mut pair = Pair::connected();
    pair.worker.verbs.inject(SHARD, &Fault::Generation(9)).expect("a write");
    exchange(&mut pair);
    assert!(pair.shard.incoming.is_empty());
}

fn a_stale_message_is_dropped() {
    let mut pair = Pair::connected();
    // The shortest envelope, of a frame in the message itself on the ninth link.
    let envelope = [&[2, 0, 0, 0, 9, 0][..], &[0; 10]].concat();
    pair.worker.verbs.inject(SHARD, &Fault::Message(envelope)).expect("a send");
    exchange(&mut pair);
    assert!(pair.shard.incoming.is_empty());
}

fn a_link_that_breaks_leaves_the_others_alone() {
    const OTHER: NodeId = NodeId::worker(1);
    let mut pair = Pair::connected();
    let mut other = End::open_worker(OTHER, SHARD);
    let theirs = pair.shard.verbs.begin(OTHER, 1).expect("the shard's end");
    let ours = other.verbs.begin(SHARD, 1).expect("the other worker's end");
    other.verbs.connect(SHARD, &theirs).expect("the other worker connects");
    pair.shard.verbs.connect(OTHER, &ours).expect("the shard connects");
    pair.worker.verbs.inject(SHARD, &Fault::Message(vec![0xff; 64])).expect("a send");
    pair.failure_of(false);
    pair.shard.verbs.close(WORKER);
    let values = other.values(3000, 7);
    other.send(other.frame(Kind::Push, values));
    pair.until("a frame of the other worker", |pair| !pair.shard.incoming.is_empty());
    other.verbs.close(SHARD);
    pair.connect();
    pair.shard.incoming.clear();
    exchange(&mut pair);
}

fn landings_of_a_broken_link_are_free_when_it_is_closed() {
    let mut pair = Pair::connected();
    let landing = LandingBlock::new(pair.worker.landing.block(4096));
    let header = pair.worker.header(Kind::Pull);
    pair.worker.send(TxFrame { landing: Some(landing.landing(0..4096)), ..TxFrame::bare(header) });
    let request = pair.at_shard();
    pair.worker.verbs.inject(SHARD, &Fault::QueuePair).expect("an error");
    pair.worker.send(pair.worker.frame(Kind::Push, TxBuf::empty()));
    pair.failure_of(true);
    assert!(landing.is_given_away(), "the shard may still know the address");
    pair.worker.verbs.close(SHARD);
    assert!(!landing.is_given_away());
    // An answer by the next link does not go to the address that the last one offered.
    pair.connect();
    let answer = pair.shard.frame(Kind::PullReply, pair.shard.values(4096, 1));
    pair.shard.send(TxFrame { target: request.target, ..answer });
    let answer = pair.at_worker();
    assert!(!answer.landed);
    assert_pattern(answer.body().values, 1);
}

fn two_hundred_faults_leave_the_next_link_whole() {
    let mut pair = Pair::connected();
    let whole = pair.worker.values(70_000, 6);
    for round in 0..200 {
        // A question with a window, and frames of every route, are under way when it happens.
        let landing = LandingBlock::new(pair.worker.landing.block(4096));
        let question = TxFrame::bare(pair.worker.header(Kind::Pull));
        pair.worker.send(TxFrame { landing: Some(landing.landing(0..4096)), ..question });
        for bytes in [0, 500, 5000, 70_000] {
            pair.worker.send(pair.worker.frame(Kind::Push, whole.slice(0..bytes)));
        }
        if round % 3 == 0 {
            pair.shard.poll();
        }
        let fault = match round % 4 {
            0 => Fault::QueuePair,
            1 => Fault::Message(vec![0xee; 33]),
            2 => Fault::Outside,
            _ => Fault::Slot(vec![7; 64]),
        };
        let end = if round % 8 < 4 { &mut pair.worker } else { &mut pair.shard };
        end.verbs.inject(end.peer, &fault).expect("a fault");
        pair.connect();
        assert!(!landing.is_given_away(), "after fault {round}");
        pair.shard.incoming.clear();
        pair.worker.incoming.clear();
        exchange(&mut pair);
    }
    pair.quiet();
    assert_eq!(LiveObjects::now().memory_windows, 0);
    drop(whole);
    assert_eq!(pair.worker.pool.usage().used_bytes, 0);
    assert_eq!(pair.shard.pool.usage().used_bytes, 0);
}
