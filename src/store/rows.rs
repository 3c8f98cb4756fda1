//! The columns of one table side by side: values, update state, sums of an open step.

use super::column::{Column, Geometry, UNIT_ROWS};
use super::element::Element;
use super::merge::Held;
use crate::memory::Pool;
use std::sync::Arc;

/// All rows of a table, by slot. What slot a key has is the index's business.
pub(super) struct Rows<T: Element> {
    /// Keys by slot, where the index keeps them here; width 0 otherwise.
    pub(super) keys: Column<u64>,
    /// Values.
    pub(super) values: Column<T>,
    /// Update state; width 0 for functions without.
    pub(super) state: Column<T::Sum>,
    /// Sums of the open step; only where steps are committed.
    pub(super) sums: Option<Sums<T::Sum>>,
    geometry: Geometry,
    next_unit: u32,
    /// For merges.
    pub(super) held: Held<T>,
    key_scratch: Vec<u64>,
    scratch: Vec<T>,
    sum_scratch: Vec<T::Sum>,
}

/// Accumulators beside the values, and which of them hold something.
pub(super) struct Sums<T> {
    /// Accumulators by slot.
    pub(super) numbers: Column<T>,
    /// One bit a slot, by unit.
    touched: Vec<u64>,
    /// Units with touched slots, in the order of their first touch; may repeat.
    touched_units: Vec<u32>,
}

/// What columns a table needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Numbers per key.
    pub(super) width: usize,
    /// State numbers per key.
    pub(super) state_width: usize,
    /// Whether keys are stored by slot.
    pub(super) keys: bool,
    /// Whether sums are kept.
    pub(super) sums: bool,
}

impl<T: Element> Rows<T> {
    /// Columns without rows.
    pub(super) fn new(pool: &Arc<Pool>, shape: Shape) -> Rows<T> {
        let geometry = Geometry::new(shape.width * size_of::<T>());
        let column = |width| Column::new(pool, geometry, width, T::Sum::default());
        let sums = || Sums { numbers: column(shape.width), touched: Vec::new(), touched_units: Vec::new() };
        Rows {
            keys: Column::new(pool, geometry, usize::from(shape.keys), u64::MAX),
            values: Column::new(pool, geometry, shape.width, T::default()),
            state: column(shape.state_width),
            sums: shape.sums.then(sums),
            geometry,
            next_unit: 0,
            held: Held::default(),
            key_scratch: Vec::new(),
            scratch: Vec::new(),
            sum_scratch: Vec::new(),
        }
    }

    /// How slots are numbered.
    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Adds 64 rows and gives their unit.
    pub(super) fn add_unit(&mut self) -> u32 {
        let unit = self.next_unit;
        assert!(unit < u32::MAX / UNIT_ROWS as u32, "a shard's table holds at most 2^32 rows: use more shards");
        self.next_unit = self.geometry.next(unit);
        self.keys.add_unit(unit);
        self.values.add_unit(unit);
        self.state.add_unit(unit);
        if let Some(sums) = &mut self.sums {
            sums.numbers.add_unit(unit);
            sums.touched.resize(unit as usize + 1, 0);
        }
        unit
    }

    /// Makes room for new rows in a chunk of `count` rows: one before each row that `gaps` names.
    /// `units` are the chunk's; those it lacks are added.
    pub(super) fn open_gaps(&mut self, units: &mut [u32], count: usize, gaps: &[u16]) {
        let total = count + gaps.len();
        for unit in &mut units[count.div_ceil(UNIT_ROWS)..total.div_ceil(UNIT_ROWS)] {
            *unit = self.add_unit();
        }
        let units = &units[..total.div_ceil(UNIT_ROWS)];
        self.keys.open_gaps(units, count, gaps, &mut self.key_scratch);
        self.values.open_gaps(units, count, gaps, &mut self.scratch);
        self.state.open_gaps(units, count, gaps, &mut self.sum_scratch);
        if let Some(sums) = &mut self.sums {
            sums.numbers.open_gaps(units, count, gaps, &mut self.sum_scratch);
            sums.open_touched(units, count, gaps);
        }
    }

    /// Asks the cache for a row's value and state.
    #[inline]
    pub(super) fn prefetch(&self, slot: u32) {
        self.values.prefetch(slot);
        self.state.prefetch(slot);
    }

    /// Copies one row from another set of columns with the same widths.
    pub(super) fn copy_row(&mut self, slot: u32, source: &Rows<T>, source_slot: u32) {
        self.values.row_mut(slot).copy_from_slice(source.values.row(source_slot));
        if self.state.width() > 0 {
            self.state.row_mut(slot).copy_from_slice(source.state.row(source_slot));
        }
        if let (Some(sums), Some(from)) = (&mut self.sums, &source.sums)
            && from.is_touched(source_slot)
        {
            sums.touch(slot).copy_from_slice(from.numbers.row(source_slot));
        }
    }
}

impl<T: Element> Sums<T> {
    /// Whether the slot holds a sum.
    pub(super) fn is_touched(&self, slot: u32) -> bool {
        self.touched[slot as usize / UNIT_ROWS] >> (slot as usize % UNIT_ROWS) & 1 == 1
    }

    /// The slot's accumulator, marked as holding something.
    pub(super) fn touch(&mut self, slot: u32) -> &mut [T] {
        self.mark(slot);
        self.numbers.row_mut(slot)
    }

    /// Gives the marks of one unit and takes them away.
    pub(super) fn take_marks(&mut self, unit: u32) -> u64 {
        std::mem::take(&mut self.touched[unit as usize])
    }

    /// Marks the slot.
    pub(super) fn mark(&mut self, slot: u32) {
        let touched = &mut self.touched[slot as usize / UNIT_ROWS];
        if *touched == 0 {
            self.touched_units.push(slot / UNIT_ROWS as u32);
        }
        *touched |= 1 << (slot as usize % UNIT_ROWS);
    }

    /// Gives all touched slots to `out`, unit by unit, and forgets them.
    pub(super) fn take_touched(&mut self, out: &mut Vec<u32>) {
        for unit in self.touched_units.drain(..) {
            let mut touched = std::mem::take(&mut self.touched[unit as usize]);
            while touched != 0 {
                out.push(unit * UNIT_ROWS as u32 + touched.trailing_zeros());
                touched &= touched - 1;
            }
        }
    }

    /// Moves the marks as `open_gaps` moves the rows.
    fn open_touched(&mut self, units: &[u32], count: usize, gaps: &[u16]) {
        if units.iter().all(|&unit| self.touched[unit as usize] == 0) {
            return;
        }
        let slot = |row: usize| units[row / UNIT_ROWS] * UNIT_ROWS as u32 + (row % UNIT_ROWS) as u32;
        let marked: Vec<usize> = (0..count).filter(|&row| self.is_touched(slot(row))).collect();
        units.iter().for_each(|&unit| self.touched[unit as usize] = 0);
        for row in marked {
            let shift = gaps.partition_point(|&gap| usize::from(gap) <= row);
            self.mark(slot(row + shift));
        }
    }
}
