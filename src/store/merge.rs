//! Merging many new keys into one chunk of ordered keys.
//!
//! The chunk's rows are taken out, and laid again together with the new ones into its units and as
//! many more as they need, so that every row moves once: the merge of the keys gives each row's
//! source, and the columns follow it. What does not fit into one chunk is cut into chunks of as many
//! units each, so that none of them is left almost empty.
//!
//! [`Held`] belongs to the table's rows and is used by one merge after the other.

use super::chunk::{CHUNK_KEYS, CHUNK_UNITS, Chunk};
use super::column::UNIT_ROWS;
use super::element::Element;
use super::rows::Rows;
use super::sorted::SortedIndex;
use crate::simd::{NO_PLACE, merge_keys};

/// Rows that were taken out of one chunk, each array with one initial row behind them.
#[derive(Default)]
pub(super) struct Held<T: Element> {
    keys: Vec<u64>,
    values: Vec<T>,
    state: Vec<T::Sum>,
    sums: Vec<T::Sum>,
    /// One bit for each row that has a sum.
    touched: [u64; CHUNK_UNITS],
}

impl<T: Element> Held<T> {
    /// Copies the rows of a chunk.
    fn take(&mut self, rows: &mut Rows<T>, units: &[u32], count: usize) {
        rows.keys.take_out(units, count, &mut self.keys);
        rows.values.take_out(units, count, &mut self.values);
        rows.state.take_out(units, count, &mut self.state);
        if let Some(sums) = &mut rows.sums {
            sums.numbers.take_out(units, count, &mut self.sums);
            self.touched = [0; CHUNK_UNITS];
            self.touched.iter_mut().zip(units).for_each(|(touched, &unit)| *touched = sums.take_marks(unit));
        }
    }

    /// Fills a unit: with `keys`, and with the rows that `sources` names, counted from row `from` on.
    fn lay(&self, rows: &mut Rows<T>, unit: u32, keys: &[u64], sources: &[u32], from: usize) {
        rows.keys.fill_unit(unit, keys);
        rows.values.lay_unit(unit, sources, &self.values, from);
        rows.state.lay_unit(unit, sources, &self.state, from);
        if let Some(sums) = &mut rows.sums {
            sums.numbers.lay_unit(unit, sources, &self.sums, from);
            if self.touched != [0; CHUNK_UNITS] {
                let marked = |source: u32| source != NO_PLACE && self.is_touched(from + source as usize);
                let lanes = (0..).zip(sources).filter(|&(_, &source)| marked(source));
                lanes.for_each(|(lane, _)| sums.mark(unit * UNIT_ROWS as u32 + lane));
            }
        }
    }

    fn is_touched(&self, row: usize) -> bool {
        self.touched[row / UNIT_ROWS] >> (row % UNIT_ROWS) & 1 == 1
    }
}

impl SortedIndex {
    /// Merges any number of keys that belong to a chunk, and gives their slots; what does not fit
    /// begins new chunks.
    pub(super) fn merge_all<T: Element>(&mut self, rows: &mut Rows<T>, id: u32, keys: &[u64], slots: &mut [u32]) {
        let old = self.change(id).clone();
        let mut held = std::mem::take(&mut rows.held);
        held.take(rows, old.units(), old.count());
        let unit_count = (old.count() + keys.len()).div_ceil(UNIT_ROWS);
        let chunk_rows = unit_count.div_ceil(unit_count.div_ceil(CHUNK_UNITS)) * UNIT_ROWS;
        let mut free_units = old.units().iter().copied();
        let (mut merged, mut sources) = ([0; CHUNK_KEYS], [NO_PLACE; CHUNK_KEYS]);
        let (mut done, mut from, mut placed) = (0, 0, 0);
        while done < old.count() + keys.len() {
            let count = chunk_rows.min(old.count() + keys.len() - done);
            let (merged, sources) = (&mut merged[..count], &mut sources[..count]);
            let own = merge_keys(&held.keys[from..old.count()], &keys[done - from..], merged, sources);
            let mut units = [0; CHUNK_UNITS];
            let parts = merged.chunks(UNIT_ROWS).zip(sources.chunks(UNIT_ROWS));
            for (unit, (keys, sources)) in units.iter_mut().zip(parts) {
                *unit = free_units.next().unwrap_or_else(|| rows.add_unit());
                held.lay(rows, *unit, keys, sources, from);
                placed += place_new(*unit, sources, &mut slots[placed..]);
            }
            let chunk = Chunk::of(&rows.keys, units, count);
            if done == 0 {
                self.chunks[id as usize] = chunk;
            } else {
                self.add_chunk(chunk, merged[0]);
            }
            done += count;
            from += own;
        }
        rows.held = held;
    }
}

/// Gives the slots of a unit's rows that are new, and their number.
fn place_new(unit: u32, sources: &[u32], slots: &mut [u32]) -> usize {
    let mut count = 0;
    for (slot, &source) in (unit * UNIT_ROWS as u32..).zip(sources) {
        // Written where it does not count, too: a branch would be guessed wrong half of the time.
        let Some(place) = slots.get_mut(count) else { break };
        *place = slot;
        count += usize::from(source == NO_PLACE);
    }
    count
}
