//! Inserts into ordered chunks.
//!
//! Keys behind all those of a chunk are appended, and what does not fit begins new chunks: a bulk
//! load or a first push into an empty region fills chunks one after the other and moves no rows. A few
//! keys between others are put into gaps that open in their chunk; a full chunk is first cut between
//! two units, which moves no rows either. Many are merged with all rows of the chunk (`merge`). New
//! chunks join the directory once a push.

use super::chunk::{CHUNK_KEYS, Chunk};
use super::element::Element;
use super::rows::Rows;
use super::sorted::{SortedIndex, count_below};
use crate::keyspace::KeyRange;

/// As many new keys or more are merged with all of the chunk's rows; gaps are opened for fewer.
const MERGE_MIN: usize = 16;

/// Keys from the first new one of a chunk to its end, whose rows may have moved.
pub(super) struct Moved {
    pub(super) range: KeyRange,
    /// Whether the slots of all the new keys were given.
    pub(super) is_placed: bool,
}

impl SortedIndex {
    /// Inserts keys that are ascending and unknown, and gives the slots of those that were appended or
    /// merged. Adds the key ranges whose rows moved to `moved`, ascending.
    pub(super) fn insert<T: Element>(
        &mut self,
        rows: &mut Rows<T>,
        keys: &[u64],
        slots: &mut [u32],
        moved: &mut Vec<Moved>,
    ) {
        let (mut keys, mut slots) = (keys, slots);
        while let Some(&key) = keys.first() {
            let (chunk, end) = self.directory.chunk_and_end(key);
            let (now, later) = keys.split_at(count_below(keys, end));
            let (own, others) = slots.split_at_mut(now.len());
            let is_placed = self.insert_below(rows, chunk, now, own);
            moved.push(Moved { range: KeyRange::new(key, end), is_placed });
            (keys, slots) = (later, others);
        }
        self.directory.add(&mut self.fresh);
    }

    /// Puts at most 512 ascending keys, each above all others, behind them, and gives their slots.
    /// They are not found before [`finish_appending`](Self::finish_appending).
    pub(super) fn append<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], slots: &mut [u32]) {
        let (mut keys, mut slots) = (keys, slots);
        while let Some(&first) = keys.first() {
            if self.chunks.last().is_none_or(|chunk| chunk.count() == CHUNK_KEYS) {
                self.add_chunk(Chunk::EMPTY, first);
            }
            let Some(chunk) = self.chunks.last_mut() else { return };
            let (now, later) = keys.split_at(keys.len().min(CHUNK_KEYS - chunk.count()));
            let (own, others) = slots.split_at_mut(now.len());
            chunk.append(rows, now, own);
            (keys, slots) = (later, others);
        }
    }

    /// Makes appended keys known.
    pub(super) fn finish_appending(&mut self) {
        self.directory.add(&mut self.fresh);
    }

    /// Inserts keys that all belong to `chunk` or to chunks that now split off it. Whether all their
    /// slots are in `slots`.
    fn insert_below<T: Element>(&mut self, rows: &mut Rows<T>, chunk: u32, keys: &[u64], slots: &mut [u32]) -> bool {
        let mut is_placed = true;
        let mut work = vec![(chunk, keys, slots)];
        while let Some((id, keys, slots)) = work.pop() {
            let Some(&first) = keys.first() else { continue };
            let chunk = &mut self.chunks[id as usize];
            let room = keys.len().min(CHUNK_KEYS - chunk.count());
            if chunk.lower_bound(&rows.keys, first) == chunk.count() {
                let (now, later) = keys.split_at(room);
                let (own, others) = slots.split_at_mut(room);
                // Keys that go to a new chunk belonged here until now: who remembers them as missing
                // must look again.
                let chunk = self.change(id);
                if !now.is_empty() {
                    chunk.append(rows, now, own);
                }
                if let Some(&border) = later.first() {
                    work.push((self.add_chunk(Chunk::EMPTY, border), later, others));
                }
            } else if keys.len() >= MERGE_MIN {
                self.merge_all(rows, id, keys, slots);
            } else if chunk.count() == CHUNK_KEYS {
                let (upper, border) = self.change(id).split(&rows.keys);
                let (below, above) = keys.split_at(keys.partition_point(|&key| key < border));
                let (slots_below, slots_above) = slots.split_at_mut(below.len());
                work.push((self.add_chunk(upper, border), above, slots_above));
                work.push((id, below, slots_below));
            } else {
                is_placed = false;
                let (now, later) = keys.split_at(room);
                self.merge_few(rows, id, now);
                work.push((id, later, &mut slots[room..]));
            }
        }
        is_placed
    }

    /// The chunk, whose rows or keys are about to move.
    pub(super) fn change(&mut self, id: u32) -> &mut Chunk {
        let version = &mut self.versions[id as usize];
        *version = version.wrapping_add(1);
        &mut self.chunks[id as usize]
    }

    pub(super) fn add_chunk(&mut self, chunk: Chunk, first: u64) -> u32 {
        let id = self.chunks.len() as u32;
        // Doubling would leave up to half of it empty.
        if self.chunks.len() == self.chunks.capacity() {
            let more = (self.chunks.len() / 16).max(4);
            self.chunks.reserve_exact(more);
            self.versions.reserve_exact(more);
        }
        self.chunks.push(chunk);
        self.versions.push(0);
        let place = self.fresh.partition_point(|&(other, _)| other < first);
        self.fresh.insert(place, (first, id));
        id
    }

    /// Merges few keys into a chunk that has room for them.
    fn merge_few<T: Element>(&mut self, rows: &mut Rows<T>, id: u32, keys: &[u64]) {
        let mut gaps = std::mem::take(&mut self.gaps);
        let chunk = self.change(id);
        gaps.clear();
        gaps.extend(keys.iter().map(|&key| chunk.lower_bound(&rows.keys, key) as u16));
        chunk.insert(rows, keys, &gaps);
        self.gaps = gaps;
    }
}
