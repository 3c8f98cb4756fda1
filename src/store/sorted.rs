//! Key to slot by ordered key arrays in chunks: for tables whose keys are sparse in their key space.
//!
//! A chunk holds up to 512 keys in eight units of 64 slots. A key is found by the directory (top
//! bits of the key to chunk), the first keys of the chunk's units, and a search without branches in
//! one unit. Free lanes hold `u64::MAX`, which is no key. A full chunk splits between two units,
//! which moves no rows; keys behind a chunk's last one begin a new chunk, so that a bulk load fills
//! its chunks. New chunks join the order once a push.

use super::column::{Column, UNIT_ROWS};
use super::directory::Directory;
use super::element::Element;
use super::index::NO_SLOT;
use super::positions::Span;
use super::rows::Rows;
use crate::keyspace::KeyRange;
use crate::simd::{self, KeyChunk, prefetch};

const CHUNK_UNITS: usize = 8;
const CHUNK_KEYS: usize = CHUNK_UNITS * UNIT_ROWS;

/// With as many keys a chunk or more, a list is located chunk by chunk.
const KEYS_A_CHUNK_MIN: usize = 4;

/// A list with this share of a chunk's keys or more is merged with them; a smaller one is searched for.
const MERGE_SHARE: usize = 3;

/// Keys of a unit that is not there.
const NO_KEYS: [u64; UNIT_ROWS] = [u64::MAX; UNIT_ROWS];

/// Keys that are located together.
const LOCATE_BLOCK: usize = 64;

/// One chunk: two cache lines.
#[derive(Clone)]
#[repr(align(64))]
struct Chunk {
    /// First key of each unit; `u64::MAX` for units that are not there.
    firsts: [u64; CHUNK_UNITS],
    units: [u32; CHUNK_UNITS],
    count: usize,
}

impl Chunk {
    const EMPTY: Chunk = Chunk { firsts: [u64::MAX; CHUNK_UNITS], units: [0; CHUNK_UNITS], count: 0 };

    fn slot(&self, row: usize) -> u32 {
        self.units[row / UNIT_ROWS] * UNIT_ROWS as u32 + (row % UNIT_ROWS) as u32
    }

    /// The number of units whose first key is at or below `key`: the last of these is its unit.
    #[inline]
    fn unit_of(&self, key: u64) -> usize {
        self.firsts.iter().map(|&first| usize::from(first <= key)).sum()
    }

    /// The row of the first key that is not below `key`.
    fn lower_bound(&self, keys: &Column<u64>, key: u64) -> usize {
        match self.unit_of(key) {
            0 => 0,
            unit => (unit - 1) * UNIT_ROWS + lane_of(unit_keys(keys, self.units[unit - 1]), key),
        }
    }

    /// The chunk as the kernel wants it.
    fn key_chunk<'a>(&'a self, column: &'a Column<u64>) -> KeyChunk<'a> {
        let units = self.units.map(|unit| unit_keys(column, unit).first_chunk().unwrap_or(&NO_KEYS));
        KeyChunk { firsts: &self.firsts, units, places: self.units.map(|unit| unit * UNIT_ROWS as u32) }
    }

    /// Finds keys by going through the chunk's keys once beside them, eight at a time where they are the same.
    fn merge_locate(&self, column: &Column<u64>, keys: &[u64], slots: &mut [u32]) -> usize {
        let (mut missing, mut at) = (0, 0);
        for (index, &unit) in self.units[..self.count.div_ceil(UNIT_ROWS)].iter().enumerate() {
            let own = unit_keys(column, unit).first_chunk::<UNIT_ROWS>().unwrap_or(&NO_KEYS);
            let first_slot = unit * UNIT_ROWS as u32;
            let bound = self.firsts.get(index + 1).copied().unwrap_or(u64::MAX);
            let mut lane = 0;
            while at < keys.len() && keys[at] < bound {
                if let (Some(own), Some(keys), Some(slots)) =
                    (own.get(lane..lane + 8), keys.get(at..at + 8), slots.get_mut(at..at + 8))
                    && own == keys
                {
                    slots.iter_mut().zip(first_slot + lane as u32..).for_each(|(target, slot)| *target = slot);
                    (at, lane) = (at + 8, lane + 8);
                    continue;
                }
                while lane < UNIT_ROWS && own[lane] < keys[at] {
                    lane += 1;
                }
                let known = own.get(lane) == Some(&keys[at]);
                slots[at] = if known { first_slot + lane as u32 } else { NO_SLOT };
                missing += usize::from(!known);
                at += 1;
            }
        }
        missing
    }

    /// Cuts the upper half off; no row moves.
    fn split(&mut self) -> Chunk {
        const HALF: usize = CHUNK_UNITS / 2;
        let mut upper = Chunk::EMPTY;
        upper.firsts[..HALF].copy_from_slice(&self.firsts[HALF..]);
        upper.units[..HALF].copy_from_slice(&self.units[HALF..]);
        upper.count = self.count - HALF * UNIT_ROWS;
        self.firsts[HALF..].fill(u64::MAX);
        self.count = HALF * UNIT_ROWS;
        upper
    }
}

/// The keys of one unit; free lanes are `u64::MAX`.
#[inline]
fn unit_keys(keys: &Column<u64>, unit: u32) -> &[u64] {
    keys.run(unit * UNIT_ROWS as u32, UNIT_ROWS)
}

/// How many of a unit's keys are below `key`; 64 if all.
#[inline]
fn lane_of(keys: &[u64], key: u64) -> usize {
    let Some(keys) = keys.first_chunk::<UNIT_ROWS>() else { return 0 };
    let mut lane = 0;
    for half in [32, 16, 8, 4, 2, 1] {
        lane += half * usize::from(keys[lane + half - 1] < key);
    }
    lane + usize::from(keys[lane] < key)
}

/// Ordered chunks.
pub(super) struct SortedIndex {
    chunks: Vec<Chunk>,
    /// For each chunk, how often its rows were moved.
    versions: Vec<u32>,
    directory: Directory,
    /// Chunks made by the insert under way, with their first key; ordered.
    fresh: Vec<(u64, u32)>,
    gaps: Vec<u16>,
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

    /// The slot of each key, [`NO_SLOT`] for unknown ones; gives the number of these. What is best
    /// depends on how many of the keys fall into one chunk.
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
        let (mut missing, mut begin) = (0, 0);
        while let Some(&key) = keys.get(begin) {
            let (chunk, chunk_end) = self.directory.chunk_and_end(key);
            self.prefetch_chunk_of(column, chunk_end);
            let count = keys[begin..].iter().take_while(|&&key| key < chunk_end).count();
            let (keys, slots) = (&keys[begin..begin + count], &mut slots[begin..begin + count]);
            let chunk = &self.chunks[chunk as usize];
            missing += if chunk.count == 0 {
                slots.fill(NO_SLOT);
                count
            } else if count * MERGE_SHARE >= chunk.count {
                chunk.merge_locate(column, keys, slots)
            } else {
                simd::locate(&chunk.key_chunk(column), keys, slots)
            };
            begin += count;
        }
        missing
    }

    /// Asks the cache for the keys of the chunk that `key` belongs to.
    fn prefetch_chunk_of(&self, column: &Column<u64>, key: u64) {
        let chunk = &self.chunks[self.directory.chunk_of(key) as usize];
        for &unit in &chunk.units[..chunk.count.div_ceil(UNIT_ROWS)] {
            unit_keys(column, unit).iter().step_by(8).for_each(prefetch);
        }
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
                let chunk = &self.chunks[*slot as usize];
                prefetch(chunk);
                prefetch(&chunk.units);
            }
            for (slot, &key) in slots.iter_mut().zip(keys) {
                let chunk = &self.chunks[*slot as usize];
                let unit = chunk.unit_of(key);
                *slot = if unit == 0 { NO_SLOT } else { chunk.units[unit - 1] };
                if unit > 0 {
                    let unit = unit_keys(column, *slot);
                    [15, 31, 47].iter().for_each(|&lane| prefetch(&unit[lane]));
                }
            }
            for (slot, &key) in slots.iter_mut().zip(keys) {
                if *slot != NO_SLOT {
                    let unit = unit_keys(column, *slot);
                    let lane = lane_of(unit, key);
                    let known = unit.get(lane) == Some(&key);
                    *slot = if known { *slot * UNIT_ROWS as u32 + lane as u32 } else { NO_SLOT };
                }
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
            begin += keys[begin..].iter().take_while(|&&key| key < chunk_end).count();
            spans.push(Span { chunk, version: self.version(chunk), end: begin as u32 });
        }
    }

    /// Inserts keys that are ascending and unknown. Adds the key ranges whose rows moved to `moved`,
    /// ascending.
    pub(super) fn insert<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], moved: &mut Vec<KeyRange>) {
        let mut rest = keys;
        while let Some(&key) = rest.first() {
            let (chunk, end) = self.directory.chunk_and_end(key);
            let (now, later) = rest.split_at(rest.partition_point(|&key| key < end));
            moved.push(KeyRange::new(key, end));
            self.insert_below(rows, chunk, now);
            rest = later;
        }
        self.directory.add(&mut self.fresh);
    }

    /// Inserts keys that all belong to `chunk` or to chunks that now split off it.
    fn insert_below<T: Element>(&mut self, rows: &mut Rows<T>, chunk: u32, keys: &[u64]) {
        let mut work = vec![(chunk, keys)];
        while let Some((chunk, keys)) = work.pop() {
            let room = CHUNK_KEYS - self.chunks[chunk as usize].count;
            if keys.len() <= room {
                self.merge(rows, chunk, keys);
                continue;
            }
            let count = self.chunks[chunk as usize].count;
            if self.chunks[chunk as usize].lower_bound(&rows.keys, keys[0]) == count {
                let (now, later) = keys.split_at(room);
                self.merge(rows, chunk, now);
                work.push((self.add_chunk(Chunk::EMPTY, later[0]), later));
            } else if count == CHUNK_KEYS {
                let upper = self.chunks[chunk as usize].split();
                self.versions[chunk as usize] = self.versions[chunk as usize].wrapping_add(1);
                let border = upper.firsts[0];
                let (below, above) = keys.split_at(keys.partition_point(|&key| key < border));
                work.push((self.add_chunk(upper, border), above));
                work.push((chunk, below));
            } else {
                let (now, later) = keys.split_at(room);
                self.merge(rows, chunk, now);
                work.push((chunk, later));
            }
        }
    }

    fn add_chunk(&mut self, chunk: Chunk, first: u64) -> u32 {
        let id = self.chunks.len() as u32;
        self.chunks.push(chunk);
        self.versions.push(0);
        let place = self.fresh.partition_point(|&(other, _)| other < first);
        self.fresh.insert(place, (first, id));
        id
    }

    /// Merges keys into a chunk that has room for them.
    fn merge<T: Element>(&mut self, rows: &mut Rows<T>, chunk: u32, keys: &[u64]) {
        if keys.is_empty() {
            return;
        }
        self.versions[chunk as usize] = self.versions[chunk as usize].wrapping_add(1);
        let chunk = &mut self.chunks[chunk as usize];
        self.gaps.clear();
        self.gaps.extend(keys.iter().map(|&key| chunk.lower_bound(&rows.keys, key) as u16));
        rows.open_gaps(&mut chunk.units, chunk.count, &self.gaps);
        chunk.count += keys.len();
        for (index, (&key, &gap)) in keys.iter().zip(&self.gaps).enumerate() {
            *rows.keys.number_mut(chunk.slot(usize::from(gap) + index)) = key;
        }
        for row in (0..chunk.count).step_by(UNIT_ROWS) {
            chunk.firsts[row / UNIT_ROWS] = rows.keys.number(chunk.slot(row));
        }
    }

    /// Visits the known keys of `range` with their slots, ascending, unit by unit.
    pub(super) fn walk(&self, column: &Column<u64>, range: KeyRange, visit: &mut dyn FnMut(&[u64], &[u32])) {
        for id in self.directory.chunks_from(range.begin) {
            let chunk = &self.chunks[id as usize];
            if chunk.firsts[0] != u64::MAX && chunk.firsts[0] >= range.end {
                return;
            }
            for row in (0..chunk.count).step_by(UNIT_ROWS) {
                let slot = chunk.slot(row);
                let keys = column.run(slot, UNIT_ROWS.min(chunk.count - row));
                let wanted = range.slice_of(keys);
                let slots: [u32; UNIT_ROWS] = std::array::from_fn(|lane| slot + lane as u32);
                if !wanted.is_empty() {
                    visit(&keys[wanted.clone()], &slots[wanted]);
                }
            }
        }
    }
}
