//! Frames of every size and both directions arrive whole, by the work requests that are meant for them.

use super::Test;
use super::pair::{Pair, SHARD, WORKER, assert_pattern};
use parashard::memory::{LandingBlock, TxBuf, take_copied_bytes};
use parashard::transport::verbs::OpcodeCounts;
use parashard::wire::{Dependencies, Dependency, Header, Kind, Pieces, TxFrame};
use parashard::{id::Timestamp, keyspace::KeyRange};

pub(super) const TESTS: &[Test] = tests![
    a_small_frame_is_one_inline_send,
    a_frame_of_a_kilobyte_is_one_send,
    a_push_is_a_write_and_a_write_with_immediate,
    keys_and_values_in_many_pieces_fill_one_slot,
    a_large_push_is_read_from_the_workers_memory,
    memory_of_no_pool_is_copied_first,
    an_answer_lands_in_several_pieces_without_a_copy,
    a_small_answer_is_put_where_it_was_to_land,
    a_refusal_frees_the_landing,
    an_answer_by_another_way_frees_the_landing,
    a_shards_large_frame_goes_another_way,
];

/// Sends, writes, writes with an immediate, and reads.
type Posted = (u64, u64, u64, u64);

/// What a step posted.
fn posted(before: OpcodeCounts, after: OpcodeCounts) -> Posted {
    (
        after.sends - before.sends,
        after.writes - before.writes,
        after.writes_with_immediate - before.writes_with_immediate,
        after.reads - before.reads,
    )
}

/// Sends values of this size from the worker to the shard; what worker and shard posted for it.
fn push(pair: &mut Pair, bytes: usize) -> (Posted, Posted) {
    let (worker, shard) = (pair.worker.verbs.counts(), pair.shard.verbs.counts());
    let values = pair.worker.values(bytes, 3);
    pair.worker.send(pair.worker.frame(Kind::Push, values));
    let frame = pair.at_shard();
    assert_pattern(frame.body().values, 3);
    assert_eq!(frame.header.value_bytes as usize, bytes);
    (posted(worker, pair.worker.verbs.counts()), posted(shard, pair.shard.verbs.counts()))
}

fn a_small_frame_is_one_inline_send() {
    let mut pair = Pair::connected();
    for bytes in [0, 1, 64, 112] {
        let inline = pair.worker.verbs.counts().inline;
        assert_eq!(push(&mut pair, bytes).0, (1, 0, 0, 0));
        assert_eq!(pair.worker.verbs.counts().inline, inline + 1);
    }
}

fn a_frame_of_a_kilobyte_is_one_send() {
    let mut pair = Pair::connected();
    for bytes in [113, 500, 880] {
        assert_eq!(push(&mut pair, bytes).0, (1, 0, 0, 0));
    }
}

fn a_push_is_a_write_and_a_write_with_immediate() {
    let mut pair = Pair::connected();
    for bytes in [881, 4096, (64 << 10) - 192] {
        let staged = pair.worker.verbs.counts().staged_bytes;
        assert_eq!(push(&mut pair, bytes).0, (0, 1, 1, 0));
        assert_eq!(pair.worker.verbs.counts().staged_bytes, staged, "the values are sent from where they lie");
    }
}

fn keys_and_values_in_many_pieces_fill_one_slot() {
    let mut pair = Pair::connected();
    let whole = pair.worker.values(16_000, 9);
    for count in [1, 3, 5, 40] {
        let cut = |index: usize| 8000 + 8000 * index / count;
        let values: Pieces = (0..count).map(|index| whole.slice(cut(index)..cut(index + 1))).collect();
        let header =
            Header { key_bytes: 8000, value_bytes: 8000, dependency_count: 1, ..pair.worker.header(Kind::Push) };
        let frame = TxFrame {
            dependencies: Dependencies::from_slice(&[Dependency::new(Timestamp(9), KeyRange::new(1, 5))]),
            keys: Some(whole.slice(0..8000)),
            values,
            ..TxFrame::bare(header)
        };
        let before = pair.worker.verbs.counts();
        pair.worker.send(frame);
        let frame = pair.at_shard();
        let body = frame.body();
        assert_eq!(body.dependencies[0].range(), KeyRange::new(1, 5));
        let bytes: Vec<u8> =
            body.keys.iter().flat_map(|key| key.to_le_bytes()).chain(body.values.iter().copied()).collect();
        assert_pattern(&bytes, 9);
        let (sends, writes, writes_with_immediate, reads) = posted(before, pair.worker.verbs.counts());
        assert_eq!((sends, writes_with_immediate, reads), (0, 1, 0));
        assert!((1..=8).contains(&writes), "{writes} writes for {count} pieces");
    }
}

fn a_large_push_is_read_from_the_workers_memory() {
    let mut pair = Pair::connected();
    for bytes in [64 << 10, 256 << 10, 1 << 20] {
        let _ = take_copied_bytes();
        let staged = pair.worker.verbs.counts().staged_bytes;
        let (worker, shard) = push(&mut pair, bytes);
        assert_eq!((worker, shard.3), ((1, 0, 0, 0), 1));
        // The list of one piece is all that was copied, here on its way in and out.
        assert!(pair.worker.verbs.counts().staged_bytes - staged <= 64 && take_copied_bytes() <= 128);
        pair.quiet();
        assert_eq!(pair.worker.pool.usage().used_bytes, 0, "the pushed values came back");
    }
}

fn memory_of_no_pool_is_copied_first() {
    let mut pair = Pair::connected();
    for bytes in [2000, 200_000] {
        let whole: Vec<u8> = (0..bytes).map(|place| super::pair::pattern(place, 1)).collect();
        pair.worker.send(pair.worker.frame(Kind::Push, TxBuf::from_vec(whole)));
        assert_pattern(pair.at_shard().body().values, 1);
        assert!(pair.worker.verbs.counts().staged_bytes >= bytes as u64);
    }
}

/// A pull that offers all of `landing`; the shard's view of it.
pub(super) fn pull(pair: &mut Pair, landing: &LandingBlock) -> parashard::wire::RxFrame {
    let header = pair.worker.header(Kind::Pull);
    let frame = TxFrame { landing: Some(landing.landing(0..landing.bytes())), ..TxFrame::bare(header) };
    pair.worker.send(frame);
    let request = pair.at_shard();
    assert_eq!(request.target.map(|target| target.bytes as usize), Some(landing.bytes()));
    assert_eq!(pair.worker.verbs.given_count(), 1);
    request
}

fn an_answer_lands_in_several_pieces_without_a_copy() {
    let mut pair = Pair::connected();
    for (bytes, count) in [(1000, 1), (4096, 3), (256 << 10, 5), (1 << 20, 1), (256 << 10, 60)] {
        let landing = LandingBlock::new(pair.worker.landing.block(bytes));
        let request = pull(&mut pair, &landing);
        let whole = pair.shard.values(bytes, 5);
        let values = (0..count).map(|i| whole.slice(bytes * i / count..bytes * (i + 1) / count)).collect::<Pieces>();
        let header = Header { value_bytes: bytes as u32, ..pair.shard.header(Kind::PullReply) };
        let (before, _) = (pair.shard.verbs.counts(), take_copied_bytes());
        pair.shard.send(TxFrame { target: request.target, ..TxFrame::with_values(header, values) });
        let answer = pair.at_worker();
        assert!(answer.landed && answer.body().values.is_empty());
        let (sends, writes, writes_with_immediate, reads) = posted(before, pair.shard.verbs.counts());
        assert_eq!((sends, writes_with_immediate, reads), (0, 1, 0));
        assert!(writes >= 1);
        if count < 10 {
            assert_eq!(take_copied_bytes(), 0, "nobody copied {bytes} bytes in {count} pieces");
        }
        assert_eq!(pair.worker.verbs.given_count(), 0);
        drop(answer);
        assert_pattern(&landing.into_block().expect("nobody else knows it"), 5);
    }
}

fn a_small_answer_is_put_where_it_was_to_land() {
    let mut pair = Pair::connected();
    let landing = LandingBlock::new(pair.worker.landing.block(64));
    let request = pull(&mut pair, &landing);
    let before = pair.shard.verbs.counts();
    let answer = pair.shard.frame(Kind::PullReply, pair.shard.values(64, 2));
    pair.shard.send(TxFrame { target: request.target, ..answer });
    assert!(pair.at_worker().landed);
    assert_eq!(posted(before, pair.shard.verbs.counts()), (1, 0, 0, 0));
    assert_pattern(&landing.into_block().expect("nobody else knows it"), 2);
}

fn a_refusal_frees_the_landing() {
    let mut pair = Pair::connected();
    let landing = LandingBlock::new(pair.worker.landing.block(4096));
    let request = pull(&mut pair, &landing);
    let header =
        Header { value_bytes: 2000, status: parashard::wire::Status::Error, ..pair.shard.header(Kind::PullReply) };
    let words = pair.shard.values(2000, 8);
    pair.shard.send(TxFrame { target: request.target, ..TxFrame::with_values(header, words) });
    let answer = pair.at_worker();
    assert!(!answer.landed);
    assert_pattern(answer.body().values, 8);
    assert!(landing.into_block().is_ok());
}

fn an_answer_by_another_way_frees_the_landing() {
    let mut pair = Pair::connected();
    let landing = LandingBlock::new(pair.worker.landing.block(4096));
    let request = pull(&mut pair, &landing);
    let target = request.target.expect("an offer");
    let header = Header { value_bytes: 200_000, ..pair.shard.header(Kind::PullReply) };
    let large = TxFrame { target: Some(target), ..TxFrame::with_values(header, pair.shard.values(200_000, 1)) };
    assert!(!pair.shard.verbs.carries(WORKER, &large));
    pair.shard.verbs.answered_elsewhere(WORKER, &target);
    pair.shard.send(pair.shard.frame(Kind::PushReply, TxBuf::empty()));
    pair.at_worker();
    assert_eq!(pair.worker.verbs.given_count(), 0);
    assert!(landing.into_block().is_ok());
}

fn a_shards_large_frame_goes_another_way() {
    let mut pair = Pair::connected();
    let large = pair.shard.frame(Kind::PullReply, pair.shard.values(100_000, 1));
    assert!(!pair.shard.verbs.carries(WORKER, &large));
    let mut frames = vec![pair.shard.frame(Kind::PushReply, TxBuf::empty()), large];
    pair.shard.verbs.tx_burst(WORKER, &mut frames);
    assert_eq!(frames.len(), 1);
    let large = pair.worker.frame(Kind::Push, pair.worker.values(100_000, 1));
    assert!(pair.worker.verbs.carries(SHARD, &large));
}
