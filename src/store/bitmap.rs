//! Key to slot by presence bits: for tables whose keys fill a fair part of their key space.
//!
//! The owned ranges are cut into chunks of 256 possible keys. A chunk has one bit and one byte a key:
//! whether it is there, and which of the chunk's rows is its own. Rows lie in the order in which
//! their keys came, so an insert moves nothing and a slot stays what it is; the keys themselves are
//! not stored, and a key's slot is three loads without a search.

use super::column::UNIT_ROWS;
use super::element::Element;
use super::index::NO_SLOT;
use super::rows::Rows;
use crate::keyspace::KeyRange;
use crate::simd::prefetch;

/// Keys that one chunk can hold: as many as a byte can number.
const CHUNK_SPAN: usize = 256;
const CHUNK_SHIFT: u32 = CHUNK_SPAN.trailing_zeros();
const WORDS: usize = CHUNK_SPAN / 64;

/// Keys that are located together.
const LOCATE_BLOCK: usize = 64;

/// One chunk: five cache lines, of which a key needs two.
#[derive(Clone)]
#[repr(align(64))]
struct Chunk {
    /// The row of each present key, in the order of their coming.
    rows: [u8; CHUNK_SPAN],
    present: [u64; WORDS],
    units: [u32; CHUNK_SPAN / UNIT_ROWS],
    count: u16,
}

impl Chunk {
    const EMPTY: Chunk =
        Chunk { rows: [0; CHUNK_SPAN], present: [0; WORDS], units: [0; CHUNK_SPAN / UNIT_ROWS], count: 0 };

    /// The slot of a place; [`NO_SLOT`] when its key is not there.
    #[inline]
    fn slot(&self, place: usize) -> u32 {
        let present = self.present[place / 64 % WORDS] >> (place % 64) & 1 == 1;
        let row = usize::from(self.rows[place % CHUNK_SPAN]);
        let slot = self.units[row / UNIT_ROWS] * UNIT_ROWS as u32 + (row % UNIT_ROWS) as u32;
        if present { slot } else { NO_SLOT }
    }

    /// Gives a place that is not there the next row; gives its slot.
    fn insert<T: Element>(&mut self, rows: &mut Rows<T>, place: usize) -> u32 {
        let row = usize::from(self.count);
        if row.is_multiple_of(UNIT_ROWS) {
            self.units[row / UNIT_ROWS] = rows.add_unit();
        }
        self.rows[place] = row as u8;
        self.present[place / 64] |= 1 << (place % 64);
        self.count += 1;
        self.slot(place)
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
        BitmapIndex { parts, chunks: vec![Chunk::EMPTY; chunk_count] }
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
            for (keys, slots) in keys.chunks(LOCATE_BLOCK).zip(slots.chunks_mut(LOCATE_BLOCK)) {
                missing += self.locate_block(part, keys, slots);
            }
        });
        missing
    }

    /// Two passes, so that the misses of many keys overlap.
    fn locate_block(&self, part: &Part, keys: &[u64], slots: &mut [u32]) -> usize {
        let place = |key: u64| {
            let offset = key - part.range.begin;
            (&self.chunks[part.first_chunk + (offset >> CHUNK_SHIFT) as usize], offset as usize % CHUNK_SPAN)
        };
        for &key in keys {
            let (chunk, place) = place(key);
            prefetch(&chunk.present);
            prefetch(&chunk.rows[place]);
        }
        let mut missing = 0;
        for (slot, &key) in slots.iter_mut().zip(keys) {
            let (chunk, place) = place(key);
            *slot = chunk.slot(place);
            missing += usize::from(*slot == NO_SLOT);
        }
        missing
    }

    /// Inserts those of the ascending, owned keys whose slot is [`NO_SLOT`], and gives them one.
    pub(super) fn insert<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], slots: &mut [u32]) {
        let mut next = 0;
        for (slot, &key) in slots.iter_mut().zip(keys).filter(|(slot, _)| **slot == NO_SLOT) {
            while self.parts[next].range.end <= key {
                next += 1;
            }
            let part = &self.parts[next];
            let offset = key - part.range.begin;
            let chunk = &mut self.chunks[part.first_chunk + (offset >> CHUNK_SHIFT) as usize];
            *slot = chunk.insert(rows, offset as usize % CHUNK_SPAN);
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
                for place in chunk.places() {
                    let key = chunk_begin + place as u64;
                    if wanted.contains(key) {
                        keys.push(key);
                        slots.push(chunk.slot(place));
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
