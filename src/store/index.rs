//! Key to slot, in one of three ways.

use super::bitmap::BitmapIndex;
use super::column::{Column, Geometry, UNIT_ROWS};
use super::element::Element;
use super::rows::Rows;
use super::sorted::SortedIndex;
use crate::keyspace::KeyRange;

/// The slot of a key that the table does not hold.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Where keys are.
pub(super) enum Index {
    /// Every owned key exists.
    Dense(DenseIndex),
    /// Presence bits.
    Bitmap(BitmapIndex),
    /// Ordered keys.
    Sorted(SortedIndex),
}

impl Index {
    /// Slots of ascending keys, [`NO_SLOT`] for unknown ones; gives the number of these.
    pub(super) fn locate<T: Element>(&self, rows: &Rows<T>, keys: &[u64], slots: &mut [u32]) -> usize {
        match self {
            Index::Dense(dense) => dense.locate(keys, slots),
            Index::Bitmap(bitmap) => bitmap.locate(keys, slots),
            Index::Sorted(sorted) => sorted.locate(&rows.keys, keys, slots),
        }
    }

    /// Visits the known keys of `range` with their slots, ascending, in blocks of at most 512.
    /// `column` is that of the keys.
    pub(super) fn walk(&self, column: &Column<u64>, range: KeyRange, visit: &mut dyn FnMut(&[u64], &[u32])) {
        match self {
            Index::Dense(dense) => dense.walk(range, visit),
            Index::Bitmap(bitmap) => bitmap.walk(range, visit),
            Index::Sorted(sorted) => sorted.walk(column, range, visit),
        }
    }

    /// Bytes behind the index itself.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Index::Dense(_) => 0,
            Index::Bitmap(bitmap) => bitmap.bytes(),
            Index::Sorted(sorted) => sorted.bytes(),
        }
    }
}

/// Owned ranges one behind the other, each from a unit's start.
pub(super) struct DenseIndex {
    parts: Vec<DensePart>,
    /// Slot of the n-th row: the columns' numbering.
    geometry: Geometry,
}

struct DensePart {
    range: KeyRange,
    /// Rows before this part.
    first_row: u64,
}

impl DenseIndex {
    /// Adds rows for every key of `owned`, which is ordered and disjoint.
    pub(super) fn new<T: Element>(owned: &[KeyRange], rows: &mut Rows<T>) -> DenseIndex {
        let mut parts = Vec::with_capacity(owned.len());
        let mut first_row = 0;
        for &range in owned {
            parts.push(DensePart { range, first_row });
            let units = range.span().div_ceil(UNIT_ROWS as u64);
            for _ in 0..units {
                rows.add_unit();
            }
            first_row += units * UNIT_ROWS as u64;
        }
        DenseIndex { parts, geometry: rows.geometry() }
    }

    fn slot(&self, part: &DensePart, key: u64) -> u32 {
        let row = part.first_row + (key - part.range.begin);
        self.geometry.unit(row / UNIT_ROWS as u64) * UNIT_ROWS as u32 + (row % UNIT_ROWS as u64) as u32
    }

    fn locate(&self, keys: &[u64], slots: &mut [u32]) -> usize {
        let mut missing = 0;
        for (slot, &key) in slots.iter_mut().zip(keys) {
            let part = self.parts.partition_point(|part| part.range.end <= key);
            let part = self.parts.get(part).filter(|part| part.range.begin <= key);
            *slot = part.map_or(NO_SLOT, |part| self.slot(part, key));
            missing += usize::from(part.is_none());
        }
        missing
    }

    /// Cuts the owned keys of `range` where slots do not follow each other: `visit(first key, its
    /// slot, count)`, ascending.
    pub(super) fn runs(&self, mut range: KeyRange, mut visit: impl FnMut(u64, u32, usize)) {
        while let Some((first, slot, count)) = self.first_run(range) {
            visit(first, slot, count);
            range.begin = first + count as u64;
        }
    }

    /// The first of these runs.
    pub(super) fn first_run(&self, range: KeyRange) -> Option<(u64, u32, usize)> {
        let part = self.parts.get(self.parts.partition_point(|part| part.range.end <= range.begin))?;
        let wanted = part.range.intersection(range);
        if wanted.is_empty() {
            return None;
        }
        let slot = self.slot(part, wanted.begin);
        let count = (self.geometry.rows_to_end(slot) as u64).min(wanted.span());
        Some((wanted.begin, slot, count as usize))
    }

    fn walk(&self, range: KeyRange, visit: &mut dyn FnMut(&[u64], &[u32])) {
        let (mut keys, mut slots) = ([0; UNIT_ROWS], [NO_SLOT; UNIT_ROWS]);
        self.runs(range, |first, slot, count| {
            for done in (0..count).step_by(UNIT_ROWS) {
                let count = UNIT_ROWS.min(count - done);
                let (keys, slots) = (&mut keys[..count], &mut slots[..count]);
                keys.iter_mut().zip(first + done as u64..).for_each(|(target, key)| *target = key);
                slots.iter_mut().zip(slot + done as u32..).for_each(|(target, slot)| *target = slot);
                visit(keys, slots);
            }
        });
    }
}
