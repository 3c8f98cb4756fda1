//! Inserts into ordered chunks.
//!
//! Keys behind all those of a chunk are appended, and what does not fit begins new chunks: a bulk
//! load or a first push into an empty region fills chunks one after the other and moves no rows. Keys
//! between others are merged into their chunk; a full chunk is first cut between two units, which
//! moves no rows either. New chunks join the directory once a push.

use super::chunk::{CHUNK_KEYS, Chunk, NO_LINES};
use super::element::Element;
use super::rows::Rows;
use super::sorted::SortedIndex;
use crate::keyspace::KeyRange;

/// With as many new keys or more, the gaps for them are found by going through a chunk's keys once.
const MERGE_MIN: usize = 16;

impl SortedIndex {
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

    /// Puts at most 512 ascending keys, each above all others, behind them, and gives their slots.
    /// They are not found before [`finish_appending`](Self::finish_appending).
    pub(super) fn append<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], slots: &mut [u32]) {
        let (mut keys, mut slots) = (keys, slots);
        while let Some(&first) = keys.first() {
            if self.chunks.last().is_none_or(|chunk| chunk.count() == CHUNK_KEYS) {
                self.add_chunk(Chunk::EMPTY, first);
            }
            let Some(chunk) = self.chunks.last_mut() else { return };
            let begin = chunk.count();
            let (now, later) = keys.split_at(keys.len().min(CHUNK_KEYS - begin));
            let (own, others) = slots.split_at_mut(now.len());
            chunk.append(rows, now);
            own.iter_mut().zip(begin..).for_each(|(slot, row)| *slot = chunk.slot(row));
            (keys, slots) = (later, others);
        }
    }

    /// Makes appended keys known.
    pub(super) fn finish_appending(&mut self) {
        self.directory.add(&mut self.fresh);
    }

    /// Inserts keys that all belong to `chunk` or to chunks that now split off it.
    fn insert_below<T: Element>(&mut self, rows: &mut Rows<T>, chunk: u32, keys: &[u64]) {
        let mut work = vec![(chunk, keys)];
        while let Some((id, keys)) = work.pop() {
            let Some(&first) = keys.first() else { continue };
            let chunk = &mut self.chunks[id as usize];
            let (now, later) = keys.split_at(keys.len().min(CHUNK_KEYS - chunk.count()));
            if chunk.lower_bound(&rows.keys, first) == chunk.count() {
                // Keys that go to a new chunk belonged here until now: who remembers them as missing
                // must look again.
                let chunk = self.change(id);
                if !now.is_empty() {
                    chunk.append(rows, now);
                }
                if let Some(&border) = later.first() {
                    work.push((self.add_chunk(Chunk::EMPTY, border), later));
                }
            } else if chunk.count() == CHUNK_KEYS {
                let (upper, border) = self.change(id).split(&rows.keys);
                let (below, above) = keys.split_at(keys.partition_point(|&key| key < border));
                work.push((self.add_chunk(upper, border), above));
                work.push((id, below));
            } else {
                self.merge(rows, id, now);
                work.push((id, later));
            }
        }
    }

    /// The chunk, whose rows or keys are about to move.
    fn change(&mut self, id: u32) -> &mut Chunk {
        let version = &mut self.versions[id as usize];
        *version = version.wrapping_add(1);
        &mut self.chunks[id as usize]
    }

    fn add_chunk(&mut self, chunk: Chunk, first: u64) -> u32 {
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

    /// Merges keys into a chunk that has room for them.
    fn merge<T: Element>(&mut self, rows: &mut Rows<T>, id: u32, keys: &[u64]) {
        let mut gaps = std::mem::take(&mut self.gaps);
        let chunk = self.change(id);
        gaps.clear();
        if keys.len() < MERGE_MIN {
            gaps.extend(keys.iter().map(|&key| chunk.lower_bound(&rows.keys, key) as u16));
        } else {
            let mut room = NO_LINES;
            let own = chunk.lines(&rows.keys, &mut room).as_flattened();
            let own = &own[..chunk.count()];
            let mut row = 0;
            gaps.extend(keys.iter().map(|&key| {
                row += own[row..].iter().take_while(|&&own| own < key).count();
                row as u16
            }));
        }
        chunk.insert(rows, keys, &gaps);
        self.gaps = gaps;
    }
}
