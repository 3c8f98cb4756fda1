//! What is copied between the kernel's buffers and the store's columns, or the caller's values.

use crate::counter::take_turn;
use crate::job::{KEY_END, table};
use crate::pair::{Copied, Pair};
use parashard::keyspace::KeyRange;
use parashard::memory::TxBuf;
use parashard::node::{Keys, Layout, LinkKind, TransportChoice};

/// Of a large segment no more is copied than one read may bring of it together with what came before,
/// twice where the header behind it was cut.
const SEGMENT_COPIED_MAX: u64 = 4096 + 128;
/// Acknowledgements and headers that were cut.
const HEADERS_COPIED_MAX: u64 = 1024;
/// Bytes of values in one segment, and in two; both more than the staging buffer of a connection.
const ONE_SEGMENT: u64 = 200_000;
const TWO_SEGMENTS: u64 = 400_000;

fn numbers(bytes: u64) -> TxBuf {
    TxBuf::from_vec((0..bytes / 4).map(|place| if place % 4 == 0 { 0.5f32 } else { 0.0 }).collect::<Vec<_>>())
}

/// Pushes and pulls in turns, twice; the second time counts.
fn copied(pair: &mut Pair, range: KeyRange, keys: Option<&Keys>, bytes: u64) -> (Copied, Copied) {
    let look = |values: &[f32]| assert!(values[1] == 0.0 && values[4] >= 0.5 && values.len() as u64 == bytes / 4);
    pair.push(range, keys, numbers(bytes));
    pair.pull(range, keys, look);
    (pair.push(range, keys, numbers(bytes)), pair.pull(range, keys, look))
}

#[test]
fn a_push_is_not_copied() {
    let _turn = take_turn();
    for (bytes, segments) in [(ONE_SEGMENT, 1), (TWO_SEGMENTS, 2)] {
        let mut pair = Pair::start(table(0, "dense", Layout::Dense, "none"));
        let (pushed, _) = copied(&mut pair, KeyRange::new(0, bytes / 4), None, bytes);
        assert!(pushed.shard <= segments * SEGMENT_COPIED_MAX, "{bytes} bytes: {pushed:?}");
        assert!(pushed.worker <= HEADERS_COPIED_MAX, "{bytes} bytes: {pushed:?}");
    }
}

#[test]
fn a_pull_is_gathered_by_the_shard_and_copied_once_by_the_worker() {
    let _turn = take_turn();
    let mut pair = Pair::start(table(0, "dense", Layout::Dense, "none"));
    let (_, pulled) = copied(&mut pair, KeyRange::new(0, TWO_SEGMENTS / 4), None, TWO_SEGMENTS);
    assert!(pulled.shard <= HEADERS_COPIED_MAX, "{pulled:?}");
    assert!(pulled.worker <= TWO_SEGMENTS + 2 * SEGMENT_COPIED_MAX, "{pulled:?}");
}

#[test]
fn an_answer_in_one_piece_is_handed_over() {
    let _turn = take_turn();
    let mut pair = Pair::start(table(0, "dense", Layout::Dense, "none"));
    let (_, pulled) = copied(&mut pair, KeyRange::new(0, ONE_SEGMENT / 4), None, ONE_SEGMENT);
    assert!(pulled.worker <= SEGMENT_COPIED_MAX, "{pulled:?}");
}

#[test]
fn packed_keys_and_values_are_unpacked_where_they_are_used() {
    let _turn = take_turn();
    let mut pair = Pair::start(table(0, "packed", Layout::Sparse, "pack_keys,nonzero,snappy"));
    let count = TWO_SEGMENTS / 4;
    let list: Vec<u64> = (0..count).map(|place| place * (KEY_END / count)).collect();
    let keys = Keys::immutable(TxBuf::from_vec(list));
    let (pushed, pulled) = copied(&mut pair, KeyRange::new(0, KEY_END), Some(&keys), TWO_SEGMENTS);
    // Keys of eight bytes and values of four: so many segments.
    let segments = (12 * count).div_ceil(256 << 10);
    assert!(pushed.shard <= segments * SEGMENT_COPIED_MAX, "{pushed:?}");
    assert!(pulled.shard <= segments * SEGMENT_COPIED_MAX, "{pulled:?}");
    assert!(pulled.worker <= segments * SEGMENT_COPIED_MAX, "{pulled:?}");
}

#[test]
fn through_a_ring_everything_is_copied_once_by_each_side() {
    let _turn = take_turn();
    for (choice, kind) in [(TransportChoice::Auto, LinkKind::Local), (TransportChoice::Shm, LinkKind::Shm)] {
        for size in [ONE_SEGMENT, TWO_SEGMENTS] {
            let mut pair = Pair::linked(table(0, "dense", Layout::Dense, "none"), choice, kind);
            let (pushed, pulled) = copied(&mut pair, KeyRange::new(0, size / 4), None, size);
            for bytes in [pushed.worker, pushed.shard, pulled.shard, pulled.worker] {
                assert!((size..size + HEADERS_COPIED_MAX).contains(&bytes), "{kind}: {pushed:?} {pulled:?}");
            }
        }
    }
}
