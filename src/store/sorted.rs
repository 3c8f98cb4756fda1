//! Key to slot by ordered key arrays in chunks: for tables whose keys are sparse in their key space.
//!
//! A chunk (`chunk`) holds up to 512 keys in eight units of 64 slots. A key is found by the directory
//! (top bits of the key to chunk) and the chunk's hints (bucket of the key to cache line), so that a
//! key costs one line or two. How a list is gone through depends on how many of its keys fall into
//! one chunk: where they are few, each key is looked for alone and the misses of many overlap; where
//! they are many, chunk by chunk; and where they are nearly all, runs of the same keys are compared
//! as a whole. Inserts are in `insert`.

use super::chunk::{Chunk, NO_LINES};
use super::column::{Column, UNIT_ROWS};
use super::directory::Directory;
use super::index::NO_SLOT;
use super::positions::Span;
use crate::keyspace::KeyRange;
use crate::simd::{self, KeyChunk, LINE_KEYS, NO_LANE, prefetch_far};

/// With as many keys a chunk or more, a list is located chunk by chunk. Measured: with 15 keys a chunk
/// that costs 9 ns a key and each alone 20 (10^6 keys); with 5 keys a chunk 49 and 25 (10^7 keys).
const KEYS_A_CHUNK_MIN: usize = 10;

/// A list with this share of a chunk's keys or more is first tried as runs of the same keys.
const RUN_SHARE: usize = 2;

/// Keys that are compared as a whole.
const RUN: usize = 64;

/// Keys that are located together when each is looked for alone.
const LOCATE_BLOCK: usize = 256;

/// Ordered chunks.
pub(super) struct SortedIndex {
    pub(super) chunks: Vec<Chunk>,
    /// For each chunk, how often its rows were moved.
    pub(super) versions: Vec<u32>,
    pub(super) directory: Directory,
    /// Chunks made by the insert under way, with their first key; ordered.
    pub(super) fresh: Vec<(u64, u32)>,
    pub(super) gaps: Vec<u16>,
}

impl SortedIndex {
    /// No keys. `owned` is ordered and disjoint.
    pub(super) fn new(owned: &[KeyRange]) -> SortedIndex {
        let begin = owned.first().map_or(0, |range| range.begin);
        let end = owned.last().map_or(0, |range| range.end);
        let directory = Directory::new(KeyRange::new(begin, end));
        SortedIndex { chunks: vec![Chunk::EMPTY], versions: vec![0], directory, fresh: Vec::new(), gaps: Vec::new() }
    }

    /// Bytes behind the index.
    pub(super) fn bytes(&self) -> u64 {
        (self.chunks.capacity() * size_of::<Chunk>() + self.versions.capacity() * size_of::<u32>()) as u64
            + self.directory.bytes()
    }

    /// The slot of each key, [`NO_SLOT`] for unknown ones; gives the number of these.
    pub(super) fn locate(&self, column: &Column<u64>, keys: &[u64], slots: &mut [u32]) -> usize {
        let (Some(&first), Some(&last)) = (keys.first(), keys.last()) else { return 0 };
        if keys.len() >= KEYS_A_CHUNK_MIN * self.directory.chunks_between(first, last) {
            self.locate_by_chunk(column, keys, slots)
        } else {
            self.locate_scattered(column, keys, slots)
        }
    }

    /// One chunk after the other, each with all keys that belong to it.
    fn locate_by_chunk(&self, column: &Column<u64>, keys: &[u64], slots: &mut [u32]) -> usize {
        let (mut missing, mut begin, mut room) = (0, 0, NO_LINES);
        while let Some(&key) = keys.get(begin) {
            let (chunk, chunk_end) = self.directory.chunk_and_end(key);
            let count = count_below(&keys[begin..], chunk_end);
            let (keys, slots) = (&keys[begin..begin + count], &mut slots[begin..begin + count]);
            let chunk = &self.chunks[chunk as usize];
            missing += if chunk.count() == 0 {
                slots.fill(NO_SLOT);
                count
            } else if count * RUN_SHARE >= chunk.count() {
                locate_runs(&chunk.key_chunk(column, &mut room), keys, slots)
            } else {
                simd::locate(&chunk.key_chunk(column, &mut room), keys, slots)
            };
            begin += count;
        }
        missing
    }

    /// Each key alone, for lists that touch few keys of a chunk.
    ///
    /// Three passes over a block, each asking for the cache lines that the next one reads, so that
    /// the misses of many keys overlap.
    fn locate_scattered(&self, column: &Column<u64>, keys: &[u64], slots: &mut [u32]) -> usize {
        let mut missing = 0;
        for (keys, slots) in keys.chunks(LOCATE_BLOCK).zip(slots.chunks_mut(LOCATE_BLOCK)) {
            for (slot, &key) in slots.iter_mut().zip(keys) {
                *slot = self.directory.chunk_of(key);
                self.chunks[*slot as usize].prefetch();
            }
            let mut lines = [[&NO_LINES[0]; 2]; LOCATE_BLOCK];
            let mut firsts = [(0u16, false); LOCATE_BLOCK];
            for (((&slot, &key), lines), from) in slots.iter().zip(keys).zip(&mut lines).zip(&mut firsts) {
                let chunk = &self.chunks[slot as usize];
                let (first, last) = chunk.lines_of(key);
                let line = chunk.line(column, first);
                let next = if last > first { chunk.line(column, first + 1) } else { line };
                prefetch_far(line);
                prefetch_far(next);
                (*lines, *from) = ([line, next], (first as u16, last > first + 1));
            }
            let mut lanes = [NO_LANE; LOCATE_BLOCK];
            simd::match_lines(&lines[..keys.len()], keys, &mut lanes);
            for (((slot, &key), &lane), &(first, more)) in slots.iter_mut().zip(keys).zip(&lanes).zip(&firsts) {
                let chunk = &self.chunks[*slot as usize];
                *slot = match lane {
                    NO_LANE if more => chunk.find(column, key).unwrap_or(NO_SLOT),
                    NO_LANE => NO_SLOT,
                    lane => chunk.slot(usize::from(first) * LINE_KEYS + usize::from(lane)),
                };
                missing += usize::from(*slot == NO_SLOT);
            }
        }
        missing
    }

    /// How often the rows of a chunk were moved.
    #[inline]
    pub(super) fn version(&self, chunk: u32) -> u32 {
        self.versions[chunk as usize]
    }

    /// Which of the ascending keys lie in which chunk.
    pub(super) fn spans(&self, keys: &[u64], spans: &mut Vec<Span>) {
        spans.clear();
        let mut begin = 0;
        while let Some(&key) = keys.get(begin) {
            let (chunk, chunk_end) = self.directory.chunk_and_end(key);
            begin += count_below(&keys[begin..], chunk_end);
            spans.push(Span { chunk, version: self.version(chunk), end: begin as u32 });
        }
    }

    /// Visits the known keys of `range` with their slots, ascending, unit by unit.
    pub(super) fn walk(&self, column: &Column<u64>, range: KeyRange, visit: &mut dyn FnMut(&[u64], &[u32])) {
        for id in self.directory.chunks_from(range.begin) {
            let chunk = &self.chunks[id as usize];
            for row in (0..chunk.count()).step_by(UNIT_ROWS) {
                let slot = chunk.slot(row);
                let keys = column.run(slot, UNIT_ROWS.min(chunk.count() - row));
                if keys[0] >= range.end {
                    return;
                }
                let wanted = range.slice_of(keys);
                let slots: [u32; UNIT_ROWS] = std::array::from_fn(|lane| slot + lane as u32);
                if !wanted.is_empty() {
                    visit(&keys[wanted.clone()], &slots[wanted]);
                }
            }
        }
    }
}

/// How many of the ascending keys are below `end`; quick where they are many.
pub(super) fn count_below(keys: &[u64], end: u64) -> usize {
    let eights = keys.chunks(LINE_KEYS).take_while(|eight| eight[eight.len() - 1] < end).count();
    let count = (eights * LINE_KEYS).min(keys.len());
    count + keys[count..].iter().take(LINE_KEYS).filter(|&&key| key < end).count()
}

/// As [`simd::locate`], for keys most of which are the chunk's own, one behind the other.
fn locate_runs(chunk: &KeyChunk<'_>, keys: &[u64], slots: &mut [u32]) -> usize {
    let own = chunk.lines.as_flattened();
    let (mut missing, mut row) = (0, 0);
    for (keys, slots) in keys.chunks(RUN).zip(slots.chunks_mut(RUN)) {
        let same = own.get(row..row + keys.len()) == Some(keys);
        if same && row % UNIT_ROWS + keys.len() <= UNIT_ROWS {
            let first = chunk.places[row / UNIT_ROWS] + (row % UNIT_ROWS) as u32;
            slots.iter_mut().zip(first..).for_each(|(target, slot)| *target = slot);
            row += keys.len();
        } else {
            missing += simd::locate(chunk, keys, slots);
            row += own[row..].partition_point(|&own| own <= keys[keys.len() - 1]);
        }
    }
    missing
}
