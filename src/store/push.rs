//! What pushes do: apply at once, or add to the step's sums and apply those when it is committed.

use super::block::update_rows;
use super::element::Element;
use super::index::{Index, NO_SLOT};
use super::positions::Positions;
use super::typed::{BLOCK, TypedTable, numbers};
use super::update::Update;
use crate::keyspace::KeyRange;

/// Keys that are found and updated together: their slots fill half of the first cache.
const PUSH_BLOCK: usize = 4096;

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
        let keys = &keys[wanted];
        let mut slots = std::mem::take(&mut self.slots);
        let done = self.push_known(mode, keys, values, &mut slots);
        if done < keys.len() {
            self.place(&keys[done..], &mut slots);
            self.push_slots(mode, &slots, &values[done * width..]);
        }
        self.slots = slots;
    }

    /// Takes blocks of keys one after the other until one holds an unknown key, so that the slots of
    /// a block are still in the first cache when they are used. Gives the keys that are done.
    fn push_known(&mut self, mode: Mode, keys: &[u64], values: &[T], slots: &mut Vec<u32>) -> usize {
        let width = self.width();
        slots.resize(PUSH_BLOCK.min(keys.len()), NO_SLOT);
        let mut done = 0;
        for (keys, values) in keys.chunks(PUSH_BLOCK).zip(values.chunks(PUSH_BLOCK * width)) {
            let slots = &mut slots[..keys.len()];
            if self.index.locate(&self.rows, keys, slots) > 0 {
                break;
            }
            self.push_slots(mode, slots, values);
            done += keys.len();
        }
        done
    }

    /// Takes checked values for all keys of a list whose positions are remembered.
    pub(super) fn push_at(&mut self, mode: Mode, keys: &[u64], positions: &mut Positions, values: &[u8]) {
        self.place_at(keys, positions);
        self.push_slots(mode, positions.slots(), &numbers::<T>(values));
    }

    fn push_dense(&mut self, mode: Mode, range: KeyRange, frame_range: KeyRange, values: &[T]) {
        let width = self.width();
        let mut slots = [0; BLOCK];
        let mut rest = range;
        while let Index::Dense(dense) = &self.index
            && let Some((first, slot, count)) = dense.first_run(rest)
        {
            rest.begin = first + count as u64;
            let begin = (first - frame_range.begin) as usize * width;
            let pushed = &values[begin..begin + count * width];
            if mode == Mode::Apply && self.update_run(slot, count, pushed) {
                continue;
            }
            for (pushed, slot) in pushed.chunks(BLOCK * width).zip((slot..).step_by(BLOCK)) {
                let slots = &mut slots[..pushed.len() / width];
                slots.iter_mut().zip(slot..).for_each(|(target, slot)| *target = slot);
                self.push_slots(mode, slots, pushed);
            }
        }
    }

    /// Updates rows that follow each other where a function without state can do it in place: not
    /// where numbers must be widened first.
    fn update_run(&mut self, slot: u32, count: usize, pushed: &[T]) -> bool {
        let run = self.rows.values.run_mut(slot, count);
        match (&self.update, T::as_sums(pushed)) {
            (Update::Assign, _) => run.copy_from_slice(pushed),
            (Update::Sum, Some(pushed)) => T::add(run, pushed),
            (Update::Stateless(function), Some(pushed)) => match T::as_sums_mut(run) {
                Some(values) => function.apply(values, pushed),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    fn push_slots(&mut self, mode: Mode, slots: &[u32], pushed: &[T]) {
        if mode == Mode::Accumulate {
            return self.add_to_sums(slots, pushed);
        }
        if let Some(pushed) = T::as_sums(pushed) {
            return update_rows(&self.update, &mut self.rows, &mut self.block, slots, pushed);
        }
        let width = self.width();
        let mut wide = std::mem::take(&mut self.block.pushed);
        for (slots, pushed) in slots.chunks(BLOCK).zip(pushed.chunks(BLOCK * width)) {
            wide.resize(pushed.len(), T::Sum::default());
            T::widen_all(pushed, &mut wide);
            update_rows(&self.update, &mut self.rows, &mut self.block, slots, &wide);
        }
        self.block.pushed = wide;
    }

    /// Adds in the order of calls. Where the update is an assignment, the last push counts.
    fn add_to_sums(&mut self, slots: &[u32], pushed: &[T]) {
        let Some(sums) = &mut self.rows.sums else { return };
        for (pushed, &slot) in pushed.chunks_exact(usize::from(self.spec.width)).zip(slots) {
            let sum = sums.touch(slot);
            match self.update {
                Update::Assign => T::widen_all(pushed, sum),
                _ => sum.iter_mut().zip(pushed).for_each(|(sum, &number)| *sum = number.plus(*sum)),
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
        pushed.resize(BLOCK * width, T::Sum::default());
        for slots in slots.chunks(BLOCK) {
            let Some(sums) = &mut self.rows.sums else { return };
            for (pushed, &slot) in pushed.chunks_exact_mut(width).zip(slots) {
                let sum = sums.numbers.row_mut(slot);
                pushed.copy_from_slice(sum);
                sum.fill(T::Sum::default());
            }
            update_rows(&self.update, &mut self.rows, &mut self.block, slots, &pushed[..slots.len() * width]);
        }
        self.slots = slots;
        self.block.pushed = pushed;
    }
}
