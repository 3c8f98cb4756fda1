//! A table of one element type: the owned ranges, the index and the columns.
//!
//! A push first finds the slots of its keys and inserts the unknown ones, then works slot by slot,
//! so that misses of one key overlap with those of the next. A pull is one gather. The columns and
//! the index belong to the shard's thread; nothing here locks.

use super::StoreError;
use super::bitmap::BitmapIndex;
use super::element::Element;
use super::function::Functions;
use super::index::{DenseIndex, Index, NO_SLOT};
use super::insert::Moved;
use super::rows::{Rows, Shape};
use super::sorted::{SortedIndex, count_below};
use super::update::{Update, state_numbers};
use crate::keyspace::KeyRange;
use crate::memory::Pool;
use crate::wire::{Consistency, Layout, Pieces, TableSpec};
use std::borrow::Cow;
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

/// Keys that are located and worked on together.
pub(super) const BLOCK: usize = 256;

/// A table may spend this much on presence bits and their units before it has keys: enough for 2^22 hashed
/// keys of the widest built-in update state in one shard, which are found five times as fast as ordered ones.
const BITMAP_START_BYTES: u64 = 32 << 20;

/// Keys of a dense table in one shard.
const DENSE_KEYS_MAX: u64 = 1 << 30;

/// One table of one element type.
pub(super) struct TypedTable<T: Element> {
    pub(super) spec: TableSpec,
    /// Ordered, disjoint, not empty, neighbours merged.
    pub(super) owned: Vec<KeyRange>,
    pub(super) index: Index,
    pub(super) rows: Rows<T>,
    pub(super) update: Update<T>,
    pub(super) key_count: u64,
    /// Inserts that may have moved rows or added keys.
    pub(super) changes: u64,
    /// Times that the index was built anew, which gives every row another slot.
    pub(super) rebuilds: u64,
    pub(super) pool: Arc<Pool>,
    pub(super) slots: Vec<u32>,
    missing: Vec<u64>,
    missing_slots: Vec<u32>,
    moved: Vec<Moved>,
    pub(super) block: super::block::Block<T::Sum>,
}

impl<T: Element> TypedTable<T> {
    /// An empty table; a dense one holds every owned key, with the initial value.
    pub(super) fn new(
        spec: &TableSpec,
        owned: &[KeyRange],
        pool: &Arc<Pool>,
        functions: &Functions,
    ) -> Result<TypedTable<T>, StoreError> {
        let update = Update::of(spec, functions)?;
        let owned = merge_neighbours(owned);
        let span = owned.iter().fold(0u64, |span, range| span.saturating_add(range.span()));
        if spec.layout == Layout::Dense && span > DENSE_KEYS_MAX {
            let reason = format!("{span} dense keys are too many for one shard: use layout sparse or more shards");
            return Err(StoreError::Declaration { table: spec.name.clone(), reason });
        }
        let bitmap = spec.layout == Layout::Sparse && bitmap_pays(spec, span, 0);
        let shape = shape_of(spec, spec.layout == Layout::Sparse && !bitmap);
        let mut rows = Rows::new(pool, shape);
        let (index, key_count) = match (spec.layout, bitmap) {
            (Layout::Dense, _) => (Index::Dense(DenseIndex::new(&owned, &mut rows)), span),
            (Layout::Sparse, true) => (Index::Bitmap(BitmapIndex::new(&owned)), 0),
            (Layout::Sparse, false) => (Index::Sorted(SortedIndex::new(&owned)), 0),
        };
        Ok(TypedTable {
            spec: spec.clone(),
            owned,
            index,
            rows,
            update,
            key_count,
            changes: 0,
            rebuilds: 0,
            pool: Arc::clone(pool),
            slots: Vec::new(),
            missing: Vec::new(),
            missing_slots: Vec::new(),
            moved: Vec::new(),
            block: super::block::Block::default(),
        })
    }

    /// Numbers per key.
    pub(super) fn width(&self) -> usize {
        usize::from(self.spec.width)
    }

    /// State numbers per key.
    pub(super) fn state_width(&self) -> usize {
        state_numbers(self.spec.update) * self.width()
    }

    /// Fills `slots` with the slots of ascending owned keys and inserts those that are unknown.
    pub(super) fn place(&mut self, keys: &[u64], slots: &mut Vec<u32>) {
        slots.resize(keys.len(), NO_SLOT);
        let missing = self.index.locate(&self.rows, keys, slots);
        if missing == 0 {
            return;
        }
        self.key_count += missing as u64;
        self.changes += 1;
        match &mut self.index {
            Index::Dense(_) => {}
            Index::Bitmap(bitmap) => bitmap.insert(&mut self.rows, keys, slots),
            Index::Sorted(sorted) => {
                self.moved.clear();
                let is_new = missing == keys.len();
                if is_new {
                    sorted.insert(&mut self.rows, keys, slots, &mut self.moved);
                } else {
                    self.missing.clear();
                    let unknown = keys.iter().zip(slots.iter()).filter(|(_, slot)| **slot == NO_SLOT);
                    self.missing.extend(unknown.map(|(&key, _)| key));
                    self.missing_slots.resize(missing, NO_SLOT);
                    sorted.insert(&mut self.rows, &self.missing, &mut self.missing_slots, &mut self.moved);
                }
                if self.index_by_bits_where_it_pays() || self.compact_where_it_must() {
                    self.index.locate(&self.rows, keys, slots);
                } else {
                    self.locate_moved(is_new, keys, slots);
                }
            }
        }
    }

    /// Finds the slots again where the last insert moved rows. Where all of the keys are new, those
    /// that were placed have their slots.
    fn locate_moved(&self, is_new: bool, keys: &[u64], slots: &mut [u32]) {
        let mut begin = 0;
        for moved in self.moved.iter().filter(|moved| !(is_new && moved.is_placed)) {
            begin += count_below(&keys[begin..], moved.range.begin);
            let end = begin + count_below(&keys[begin..], moved.range.end);
            self.index.locate(&self.rows, &keys[begin..end], &mut slots[begin..end]);
            begin = end;
        }
    }

    /// Writes the values of ascending keys into `out`; unknown ones are zero.
    pub(super) fn gather(&self, range: KeyRange, keys: Option<&[u64]>, out: &mut [u8]) {
        let Ok(numbers) = <[T]>::mut_from_bytes(out) else {
            let mut aligned = vec![T::default(); out.len() / size_of::<T>()];
            self.gather_numbers(range, keys, &mut aligned);
            let bytes = aligned.as_bytes();
            out[..bytes.len()].copy_from_slice(bytes);
            return;
        };
        self.gather_numbers(range, keys, numbers);
    }

    fn gather_numbers(&self, range: KeyRange, keys: Option<&[u64]>, out: &mut [T]) {
        let Some(keys) = keys else {
            return self.gather_dense(range, out);
        };
        let mut slots = [NO_SLOT; BLOCK];
        for (keys, out) in keys.chunks(BLOCK).zip(out.chunks_mut(BLOCK * self.width())) {
            let slots = &mut slots[..keys.len()];
            self.index.locate(&self.rows, keys, slots);
            slots.iter().filter(|&&slot| slot != NO_SLOT).for_each(|&slot| self.rows.values.prefetch(slot));
            self.gather_slots(slots, out);
        }
    }

    /// Writes the values of a list's keys into `out`, by remembered positions.
    pub(super) fn gather_at(&self, keys: &[u64], positions: &mut super::Positions, out: &mut [u8]) {
        self.refresh(keys, positions);
        match <[T]>::mut_from_bytes(out) {
            Ok(numbers) => self.gather_slots(positions.slots(), numbers),
            Err(_) => self.gather(KeyRange::ALL, Some(keys), out),
        }
    }

    /// Writes the values of `slots` into `out`; [`NO_SLOT`] gives zeros.
    pub(super) fn gather_slots(&self, slots: &[u32], out: &mut [T]) {
        let values = &self.rows.values;
        if self.width() == 1 {
            return values.read_each(slots, out, NO_SLOT, T::default());
        }
        for (out, &slot) in out.chunks_mut(self.width()).zip(slots) {
            if slot == NO_SLOT {
                out.fill(T::default());
            } else {
                out.copy_from_slice(values.row(slot));
            }
        }
    }

    fn gather_dense(&self, range: KeyRange, out: &mut [T]) {
        let Index::Dense(dense) = &self.index else { return };
        dense.runs(range, |first, slot, count| {
            let begin = (first - range.begin) as usize * self.width();
            let run = self.rows.values.run(slot, count);
            out[begin..begin + run.len()].copy_from_slice(run);
        });
    }

    /// The values of all keys of an owned range, as views of the column; only where rows are in the order of keys.
    pub(super) fn gather_views(&mut self, range: KeyRange) -> Option<Pieces> {
        let Index::Dense(dense) = &self.index else { return None };
        let (values, mut pieces) = (&mut self.rows.values, Pieces::new());
        dense.runs(range, |_, slot, count| pieces.push(values.view(slot, count)));
        Some(pieces)
    }

    /// Bytes of columns and index.
    pub(super) fn memory(&self) -> super::TableMemory {
        let sums = self.rows.sums.as_ref().map_or(0, |sums| sums.numbers.capacity_bytes());
        super::TableMemory {
            keys: self.key_count,
            key_bytes: self.rows.keys.capacity_bytes(),
            value_bytes: self.rows.values.capacity_bytes(),
            state_bytes: self.rows.state.capacity_bytes(),
            sum_bytes: sums,
            index_bytes: self.index.bytes(),
        }
    }
}

/// Whether presence bits cost less than the memory that ordered keys of this count would take, or
/// so little that it does not matter.
pub(super) fn bitmap_pays(spec: &TableSpec, span: u64, keys: u64) -> bool {
    let state_bytes = usize::from(spec.width) * state_numbers(spec.update) * spec.dtype.accumulator().bytes();
    let row_bytes = spec.value_size() + state_bytes;
    let least = BitmapIndex::bytes_least(span, row_bytes);
    least <= BITMAP_START_BYTES.max(keys.saturating_mul(8 + row_bytes as u64) / 2)
}

pub(super) fn shape_of(spec: &TableSpec, keys: bool) -> Shape {
    let width = usize::from(spec.width);
    let sums = spec.consistency == Consistency::Sequential;
    Shape { width, state_width: width * state_numbers(spec.update), keys, sums }
}

fn merge_neighbours(owned: &[KeyRange]) -> Vec<KeyRange> {
    let mut ordered: Vec<KeyRange> = owned.iter().copied().filter(|range| !range.is_empty()).collect();
    ordered.sort_unstable();
    let mut merged: Vec<KeyRange> = Vec::with_capacity(ordered.len());
    for range in ordered {
        match merged.last_mut() {
            Some(last) if last.end >= range.begin => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Bytes as numbers; copied only where they are not aligned. A rest that is no whole number is left out.
pub(super) fn numbers<T: Element>(bytes: &[u8]) -> Cow<'_, [T]> {
    match <[T]>::ref_from_bytes(bytes) {
        Ok(numbers) => Cow::Borrowed(numbers),
        Err(_) => {
            let whole = bytes.chunks_exact(size_of::<T>());
            Cow::Owned(whole.map(|bytes| T::read_from_bytes(bytes).unwrap_or_default()).collect())
        }
    }
}
