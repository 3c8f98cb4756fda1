//! What pushes do: apply at once, or add to the step's sums and apply those when it is committed.

use super::column::{Column, UNIT_ROWS};
use super::element::Element;
use super::index::Index;
use super::positions::Positions;
use super::rows::Rows;
use super::typed::{BLOCK, TypedTable, numbers};
use super::update::{StateUpdate, Update};
use crate::keyspace::KeyRange;

/// Rows gathered for one call of an update function.
pub(super) struct Block<T> {
    state: Vec<T>,
    values: Vec<T>,
    pushed: Vec<T>,
}

impl<T> Default for Block<T> {
    fn default() -> Block<T> {
        Block { state: Vec::new(), values: Vec::new(), pushed: Vec::new() }
    }
}

/// What to do with one push.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mode {
    /// Run the update function.
    Apply,
    /// Add to the sums.
    Accumulate,
}

impl<T: Element> TypedTable<T> {
    /// Takes the part of a checked push that lies inside `range`.
    pub(super) fn push(
        &mut self,
        mode: Mode,
        range: KeyRange,
        frame_range: KeyRange,
        keys: Option<&[u64]>,
        values: &[u8],
    ) {
        let values = numbers::<T>(values);
        let width = self.width();
        let Some(keys) = keys else {
            return self.push_dense(mode, range.intersection(frame_range), frame_range, &values);
        };
        let wanted = range.slice_of(keys);
        let values = &values[wanted.start * width..wanted.end * width];
        self.place(&keys[wanted]);
        let slots = std::mem::take(&mut self.slots);
        self.push_slots(mode, &slots, values);
        self.slots = slots;
    }

    /// Takes checked values for all keys of a list whose positions are remembered.
    pub(super) fn push_at(&mut self, mode: Mode, keys: &[u64], positions: &mut Positions, values: &[u8]) {
        self.place_at(keys, positions);
        self.push_slots(mode, positions.slots(), &numbers::<T>(values));
    }

    fn push_dense(&mut self, mode: Mode, range: KeyRange, frame_range: KeyRange, values: &[T]) {
        let width = self.width();
        let mut runs = Vec::new();
        if let Index::Dense(dense) = &self.index {
            dense.runs(range, |first, slot, count| runs.push((first, slot, count)));
        }
        let mut slots = [0; UNIT_ROWS];
        for (first, slot, count) in runs {
            let begin = (first - frame_range.begin) as usize * width;
            let pushed = &values[begin..begin + count * width];
            match (mode, &self.update) {
                (Mode::Apply, Update::Sum) => T::add(self.rows.values.run_mut(slot, count), pushed),
                (Mode::Apply, Update::Assign) => self.rows.values.run_mut(slot, count).copy_from_slice(pushed),
                _ => {
                    for (pushed, slot) in pushed.chunks(UNIT_ROWS * width).zip((slot..).step_by(UNIT_ROWS)) {
                        let slots = &mut slots[..pushed.len() / width];
                        slots.iter_mut().zip(slot..).for_each(|(target, slot)| *target = slot);
                        self.push_slots(mode, slots, pushed);
                    }
                }
            }
        }
    }

    fn push_slots(&mut self, mode: Mode, slots: &[u32], pushed: &[T]) {
        match mode {
            Mode::Apply => update_rows(&self.update, &mut self.rows, &mut self.block, slots, pushed),
            Mode::Accumulate => self.add_to_sums(slots, pushed),
        }
    }

    /// Adds in the order of calls. Where the update is an assignment, the last push counts.
    fn add_to_sums(&mut self, slots: &[u32], pushed: &[T]) {
        let Some(sums) = &mut self.rows.sums else { return };
        for (pushed, &slot) in pushed.chunks_exact(usize::from(self.spec.width)).zip(slots) {
            let sum = sums.touch(slot);
            match self.update {
                Update::Assign => sum.copy_from_slice(pushed),
                _ => sum.iter_mut().zip(pushed).for_each(|(sum, &number)| *sum = sum.plus(number)),
            }
        }
    }

    /// Runs the update function once for each key with a sum, and clears the sums.
    pub(super) fn commit(&mut self) {
        let Some(sums) = &mut self.rows.sums else { return };
        let width = usize::from(self.spec.width);
        let mut slots = std::mem::take(&mut self.slots);
        let mut pushed = std::mem::take(&mut self.block.pushed);
        slots.clear();
        sums.take_touched(&mut slots);
        pushed.resize(BLOCK * width, T::default());
        for slots in slots.chunks(BLOCK) {
            let Some(sums) = &mut self.rows.sums else { return };
            for (pushed, &slot) in pushed.chunks_exact_mut(width).zip(slots) {
                let sum = sums.numbers.row_mut(slot);
                pushed.copy_from_slice(sum);
                sum.fill(T::default());
            }
            update_rows(&self.update, &mut self.rows, &mut self.block, slots, &pushed[..slots.len() * width]);
        }
        self.slots = slots;
        self.block.pushed = pushed;
    }
}

/// Runs the update function on the rows at `slots`.
fn update_rows<T: Element>(update: &Update<T>, rows: &mut Rows<T>, block: &mut Block<T>, slots: &[u32], pushed: &[T]) {
    let width = rows.values.width();
    match update {
        Update::Sum if width == 1 => {
            rows.values.for_each_mut(slots, pushed, |value, &number| *value = value.plus(number), T::add);
        }
        Update::Sum => {
            slots
                .iter()
                .zip(pushed.chunks_exact(width))
                .for_each(|(&slot, row)| T::add(rows.values.row_mut(slot), row));
        }
        Update::Assign => slots
            .iter()
            .zip(pushed.chunks_exact(width))
            .for_each(|(&slot, row)| rows.values.row_mut(slot).copy_from_slice(row)),
        Update::Stateful(function) if width == 1 => {
            for (index, pushed) in pushed.chunks(BLOCK).enumerate() {
                let (now, later) = slots[index * BLOCK..].split_at(pushed.len());
                // The misses of the next block overlap with the work on this one.
                later.iter().take(BLOCK).for_each(|&slot| rows.prefetch(slot));
                update_block(function.as_ref(), rows, block, now, pushed);
            }
        }
        Update::Stateful(function) => {
            for (&slot, pushed) in slots.iter().zip(pushed.chunks_exact(width)) {
                function.apply(rows.state.row_mut(slot), rows.values.row_mut(slot), pushed);
            }
        }
    }
}

/// Gathers up to [`BLOCK`] rows of width 1, updates them together, and scatters them back.
fn update_block<T: Element>(
    function: &dyn StateUpdate<T>,
    rows: &mut Rows<T>,
    block: &mut Block<T>,
    slots: &[u32],
    pushed: &[T],
) {
    block.state.resize(BLOCK * function.numbers(), T::default());
    block.values.resize(BLOCK, T::default());
    let state = &mut block.state[..slots.len() * function.numbers()];
    let values = &mut block.values[..slots.len()];
    for (&slot, value) in slots.iter().zip(values.iter_mut()) {
        *value = rows.values.number(slot);
    }
    transpose(&rows.state, slots, state);
    function.apply(state, values, pushed);
    for (&slot, &value) in slots.iter().zip(values.iter()) {
        *rows.values.number_mut(slot) = value;
    }
    transpose_back(&mut rows.state, slots, state);
}

/// Gathers state records so that each state number is a run of its own.
fn transpose<T: Element>(column: &Column<T>, slots: &[u32], out: &mut [T]) {
    if column.width() == 2 {
        let (first, second) = out.split_at_mut(slots.len());
        for ((&slot, first), second) in slots.iter().zip(first).zip(second) {
            let record = column.row(slot);
            (*first, *second) = (record[0], record[1]);
        }
        return;
    }
    for (number, run) in out.chunks_exact_mut(slots.len()).enumerate() {
        slots.iter().zip(run).for_each(|(&slot, out)| *out = column.row(slot)[number]);
    }
}

/// The way back of [`transpose`].
fn transpose_back<T: Element>(column: &mut Column<T>, slots: &[u32], state: &[T]) {
    if column.width() == 2 {
        let (first, second) = state.split_at(slots.len());
        for ((&slot, &first), &second) in slots.iter().zip(first).zip(second) {
            column.row_mut(slot).copy_from_slice(&[first, second]);
        }
        return;
    }
    for (number, run) in state.chunks_exact(slots.len()).enumerate() {
        slots.iter().zip(run).for_each(|(&slot, &state)| column.row_mut(slot)[number] = state);
    }
}
