//! Running an update function on the rows at some slots.
//!
//! Functions without state change values of width 1 where they lie. The others work on blocks of
//! rows, in which each state number is a run of its own. A block whose rows follow each other, as
//! those of dense ranges and full tables do, is worked on in place as far as its numbers lie as the
//! function wants them; rows elsewhere are gathered and scattered back.

use super::column::Column;
use super::element::Element;
use super::record;
use super::rows::Rows;
use super::typed::BLOCK;
use super::update::{StateUpdate, StatelessUpdate, Update};

/// Rows gathered for one call of an update function, and pushed numbers on their way to it.
pub(super) struct Block<S> {
    state: Vec<S>,
    values: Vec<S>,
    pub(super) pushed: Vec<S>,
}

impl<S> Default for Block<S> {
    fn default() -> Block<S> {
        Block { state: Vec::new(), values: Vec::new(), pushed: Vec::new() }
    }
}

/// Runs the update function on the rows at `slots`.
pub(super) fn update_rows<T: Element>(
    update: &Update<T>,
    rows: &mut Rows<T>,
    block: &mut Block<T::Sum>,
    slots: &[u32],
    pushed: &[T::Sum],
) {
    let width = rows.values.width();
    match update {
        Update::Sum if width == 1 => {
            let add = |value: &mut T, &number: &T::Sum| *value = T::narrow(number.plus(value.widen()));
            rows.values.for_each_mut(slots, pushed, add, T::add);
        }
        Update::Sum => {
            let rows_pushed = slots.iter().zip(pushed.chunks_exact(width));
            rows_pushed.for_each(|(&slot, row)| T::add(rows.values.row_mut(slot), row));
        }
        Update::Assign => {
            let rows_pushed = slots.iter().zip(pushed.chunks_exact(width));
            rows_pushed.for_each(|(&slot, row)| T::narrow_all(row, rows.values.row_mut(slot)));
        }
        Update::Stateless(function) if width == 1 => function.apply_each(&mut rows.values, slots, pushed),
        Update::Stateless(function) => for_blocks(rows, slots, pushed, |rows, slots, pushed| {
            update_values(function.as_ref(), rows, block, slots, pushed);
        }),
        Update::Stateful(function) => for_blocks(rows, slots, pushed, |rows, slots, pushed| {
            update_block(function.as_ref(), rows, block, slots, pushed);
        }),
    }
}

/// Calls `work` with the rows of each block, while the misses of the next one are under way.
fn for_blocks<T: Element>(
    rows: &mut Rows<T>,
    slots: &[u32],
    pushed: &[T::Sum],
    mut work: impl FnMut(&mut Rows<T>, &[u32], &[T::Sum]),
) {
    let width = rows.values.width();
    // As many numbers as a block of width 1 has.
    let count = (BLOCK / width).max(1);
    let mut later = slots;
    for pushed in pushed.chunks(count * width) {
        let now;
        (now, later) = later.split_at(pushed.len() / width);
        later.iter().take(count).for_each(|&slot| rows.prefetch(slot));
        work(rows, now, pushed);
    }
}

/// The first of slots that follow each other in one extent of the column.
fn run_of<N: Element>(column: &Column<N>, slots: &[u32]) -> Option<u32> {
    let first = *slots.first()?;
    let apart = slots.iter().zip(first..).fold(0, |apart, (&slot, expected)| apart | (slot ^ expected));
    (apart == 0 && column.run(first, slots.len()).len() == slots.len() * column.width()).then_some(first)
}

/// Updates the values of one block of rows wider than 1 by a function without state.
fn update_values<T: Element>(
    function: &dyn StatelessUpdate<T>,
    rows: &mut Rows<T>,
    block: &mut Block<T::Sum>,
    slots: &[u32],
    pushed: &[T::Sum],
) {
    let run = run_of(&rows.values, slots);
    if let Some(values) = run.and_then(|slot| T::as_sums_mut(rows.values.run_mut(slot, slots.len()))) {
        return function.apply(values, pushed);
    }
    block.values.resize(pushed.len(), T::Sum::default());
    gather(&rows.values, run, slots, &mut block.values);
    function.apply(&mut block.values, pushed);
    scatter(&mut rows.values, run, slots, &block.values);
}

/// Updates one block by a function with state.
fn update_block<T: Element>(
    function: &dyn StateUpdate<T::Sum>,
    rows: &mut Rows<T>,
    block: &mut Block<T::Sum>,
    slots: &[u32],
    pushed: &[T::Sum],
) {
    let run = run_of(&rows.values, slots);
    let Rows { values: column, state: records, .. } = rows;
    // One record is what the function wants already, and so are several of one number a value.
    let lie_in_runs = slots.len() == 1 || records.width() == column.width();
    let has_state = records.width() > 0;
    let state = match run {
        _ if !has_state => &mut [],
        Some(slot) if lie_in_runs => records.run_mut(slot, slots.len()),
        _ => {
            block.state.resize(slots.len() * records.width(), T::Sum::default());
            record::transpose(records, column.width(), slots, &mut block.state);
            &mut block.state[..]
        }
    };
    match run.and_then(|slot| T::as_sums_mut(column.run_mut(slot, slots.len()))) {
        Some(values) => function.apply(state, values, pushed),
        None => {
            block.values.resize(pushed.len(), T::Sum::default());
            gather(column, run, slots, &mut block.values);
            function.apply(state, &mut block.values, pushed);
            scatter(column, run, slots, &block.values);
        }
    }
    if has_state && (run.is_none() || !lie_in_runs) {
        record::transpose_back(records, column.width(), slots, &block.state);
    }
}

/// Reads the rows at `slots`, which follow `run` where there is one.
fn gather<T: Element>(column: &Column<T>, run: Option<u32>, slots: &[u32], out: &mut [T::Sum]) {
    match run {
        Some(slot) => T::widen_all(column.run(slot, slots.len()), out),
        None if column.width() == 1 => {
            slots.iter().zip(out).for_each(|(&slot, out)| *out = column.number(slot).widen());
        }
        None => {
            for (&slot, out) in slots.iter().zip(out.chunks_exact_mut(column.width())) {
                column.row(slot).iter().zip(out).for_each(|(number, out)| *out = number.widen());
            }
        }
    }
}

/// The way back of [`gather`].
fn scatter<T: Element>(column: &mut Column<T>, run: Option<u32>, slots: &[u32], values: &[T::Sum]) {
    match run {
        Some(slot) => T::narrow_all(values, column.run_mut(slot, slots.len())),
        None if column.width() == 1 => {
            slots.iter().zip(values).for_each(|(&slot, &value)| *column.number_mut(slot) = T::narrow(value));
        }
        None => {
            for (&slot, values) in slots.iter().zip(values.chunks_exact(column.width())) {
                column.row_mut(slot).iter_mut().zip(values).for_each(|(out, &value)| *out = T::narrow(value));
            }
        }
    }
}
