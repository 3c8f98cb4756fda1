//! Key to slot by presence bits: for tables whose keys fill a fair part of their key space.
//!
//! The owned ranges are cut into chunks of 512 possible keys. A chunk has one bit a key, the rank of
//! each 64-bit word, and the units that hold its rows in key order; so a key's slot is two loads and
//! a count of bits, without a search, and the keys themselves are not stored.

use super::column::UNIT_ROWS;
use super::element::Element;
use super::index::NO_SLOT;
use super::rows::Rows;
use crate::keyspace::KeyRange;

/// Keys that one chunk can hold.
const CHUNK_SPAN: usize = 512;
const CHUNK_SHIFT: u32 = CHUNK_SPAN.trailing_zeros();
const WORDS: usize = CHUNK_SPAN / 64;

/// One chunk: two cache lines.
#[derive(Clone)]
#[repr(align(64))]
struct Chunk {
    present: [u64; WORDS],
    units: [u32; CHUNK_SPAN / UNIT_ROWS],
    ranks: [u16; WORDS],
    count: u16,
}

impl Chunk {
    const EMPTY: Chunk = Chunk { present: [0; WORDS], units: [0; CHUNK_SPAN / UNIT_ROWS], ranks: [0; WORDS], count: 0 };

    /// The number of keys present before `place`, and whether `place` is present.
    #[inline]
    fn rank(&self, place: usize) -> (usize, bool) {
        let word = self.present[place / 64 % WORDS];
        let below = word & ((1 << (place % 64)) - 1);
        let rank = usize::from(self.ranks[place / 64 % WORDS]) + below.count_ones() as usize;
        (rank, word >> (place % 64) & 1 == 1)
    }

    #[inline]
    fn slot(&self, rank: usize) -> u32 {
        self.units[rank / UNIT_ROWS % self.units.len()] * UNIT_ROWS as u32 + (rank % UNIT_ROWS) as u32
    }

    fn set(&mut self, places: impl Iterator<Item = usize>) {
        places.for_each(|place| self.present[place / 64] |= 1 << (place % 64));
        let mut rank = 0;
        for (word, ranks) in self.present.iter().zip(&mut self.ranks) {
            *ranks = rank;
            rank += word.count_ones() as u16;
        }
        self.count = rank;
    }
}

/// One owned range and where its chunks begin.
struct Part {
    range: KeyRange,
    first_chunk: usize,
}

/// Presence bits of all owned ranges.
pub(super) struct BitmapIndex {
    parts: Vec<Part>,
    chunks: Vec<Chunk>,
    gaps: Vec<u16>,
}

impl BitmapIndex {
    /// No keys present. `owned` is ordered and disjoint.
    pub(super) fn new(owned: &[KeyRange]) -> BitmapIndex {
        let mut chunk_count = 0;
        let mut parts = Vec::with_capacity(owned.len());
        for &range in owned {
            parts.push(Part { range, first_chunk: chunk_count });
            chunk_count += range.span().div_ceil(CHUNK_SPAN as u64) as usize;
        }
        BitmapIndex { parts, chunks: vec![Chunk::EMPTY; chunk_count], gaps: Vec::new() }
    }

    /// Bytes of the index for this many possible keys, and of the units if each chunk has one.
    pub(super) fn bytes_least(span: u64, row_bytes: usize) -> u64 {
        span.div_ceil(CHUNK_SPAN as u64).saturating_mul((size_of::<Chunk>() + UNIT_ROWS * row_bytes) as u64)
    }

    /// Bytes behind the index.
    pub(super) fn bytes(&self) -> u64 {
        (self.chunks.capacity() * size_of::<Chunk>()) as u64
    }

    /// The slot of each key, [`NO_SLOT`] for unknown ones; gives the number of these.
    pub(super) fn locate(&self, keys: &[u64], slots: &mut [u32]) -> usize {
        let mut missing = 0;
        self.for_parts(keys, |part, at, keys| {
            let slots = &mut slots[at..at + keys.len()];
            let Some(part) = part else {
                slots.fill(NO_SLOT);
                missing += keys.len();
                return;
            };
            for (slot, &key) in slots.iter_mut().zip(keys) {
                let offset = key - part.range.begin;
                let chunk = &self.chunks[part.first_chunk + (offset >> CHUNK_SHIFT) as usize];
                let (rank, present) = chunk.rank(offset as usize % CHUNK_SPAN);
                *slot = if present { chunk.slot(rank) } else { NO_SLOT };
                missing += usize::from(!present);
            }
        });
        missing
    }

    /// Inserts keys that are owned, ascending and unknown. Adds the key ranges whose rows moved to
    /// `moved`, ascending.
    pub(super) fn insert<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], moved: &mut Vec<KeyRange>) {
        let mut rest = keys;
        while let Some(&key) = rest.first() {
            let part = self.parts.partition_point(|part| part.range.end <= key);
            let Part { range, first_chunk } = self.parts[part];
            let index = (key - range.begin) >> CHUNK_SHIFT;
            let chunk_begin = range.begin + (index << CHUNK_SHIFT);
            let in_chunk = |key: u64| key < range.end && key - chunk_begin < CHUNK_SPAN as u64;
            let count = rest.iter().take_while(|&&key| in_chunk(key)).count();
            let (now, later) = rest.split_at(count);
            let chunk = &mut self.chunks[first_chunk + index as usize];
            self.gaps.clear();
            let place = |&key: &u64| (key - chunk_begin) as usize;
            self.gaps.extend(now.iter().map(|key| chunk.rank(place(key)).0 as u16));
            rows.open_gaps(&mut chunk.units, usize::from(chunk.count), &self.gaps);
            chunk.set(now.iter().map(place));
            moved.push(KeyRange::new(key, chunk_begin.saturating_add(CHUNK_SPAN as u64).min(range.end)));
            rest = later;
        }
    }

    /// Visits the known keys of `range` with their slots, ascending, chunk by chunk.
    pub(super) fn walk(&self, range: KeyRange, visit: &mut dyn FnMut(&[u64], &[u32])) {
        let (mut keys, mut slots) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let wanted = part.range.intersection(range);
            if wanted.is_empty() {
                continue;
            }
            let first = (wanted.begin - part.range.begin) >> CHUNK_SHIFT;
            let last = (wanted.end - 1 - part.range.begin) >> CHUNK_SHIFT;
            for index in first..=last {
                let chunk = &self.chunks[part.first_chunk + index as usize];
                let chunk_begin = part.range.begin + (index << CHUNK_SHIFT);
                keys.clear();
                slots.clear();
                for (rank, place) in chunk.places().enumerate() {
                    let key = chunk_begin + place as u64;
                    if wanted.contains(key) {
                        keys.push(key);
                        slots.push(chunk.slot(rank));
                    }
                }
                if !keys.is_empty() {
                    visit(&keys, &slots);
                }
            }
        }
    }

    /// Cuts ascending keys at the borders of the owned ranges: `visit(part, index of the first, keys)`.
    fn for_parts(&self, keys: &[u64], mut visit: impl FnMut(Option<&Part>, usize, &[u64])) {
        let mut at = 0;
        while let Some(&key) = keys.get(at) {
            let next = self.parts.partition_point(|part| part.range.end <= key);
            let part = self.parts.get(next).filter(|part| part.range.begin <= key);
            let end = match (part, self.parts.get(next)) {
                (Some(part), _) => part.range.end,
                (None, Some(later)) => later.range.begin,
                (None, None) => u64::MAX,
            };
            let rest = &keys[at..];
            let whole = rest.last().is_some_and(|&last| last < end);
            let count = if whole { rest.len() } else { rest.partition_point(|&key| key < end).max(1) };
            visit(part, at, &rest[..count]);
            at += count;
        }
    }
}

impl Chunk {
    /// The places that are present, ascending.
    fn places(&self) -> impl Iterator<Item = usize> {
        self.present.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let place = (rest != 0).then(|| index * 64 + rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(place)
            })
        })
    }
}
