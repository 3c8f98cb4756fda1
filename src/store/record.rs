//! State records of a block of rows, and the way there and back to runs: all first state numbers, all
//! second ones, and so on, each in the order of the values.

use super::column::Column;
use super::element::Element;

/// Reads the records at `slots` as runs.
pub(super) fn transpose<S: Element>(column: &Column<S>, width: usize, slots: &[u32], runs: &mut [S]) {
    match (width, column.width()) {
        (1, 1) => transpose_each::<S, 1>(column, slots, runs),
        (1, 2) => transpose_each::<S, 2>(column, slots, runs),
        (1, 4) => transpose_each::<S, 4>(column, slots, runs),
        _ => {
            for (row, &slot) in slots.iter().enumerate() {
                let parts = column.row(slot).chunks_exact(width);
                for (part, run) in parts.zip(runs.chunks_exact_mut(slots.len() * width)) {
                    run[row * width..][..width].iter_mut().zip(part).for_each(|(run, &number)| *run = number);
                }
            }
        }
    }
}

/// The way back of [`transpose`].
pub(super) fn transpose_back<S: Element>(column: &mut Column<S>, width: usize, slots: &[u32], runs: &[S]) {
    match (width, column.width()) {
        (1, 1) => transpose_back_each::<S, 1>(column, slots, runs),
        (1, 2) => transpose_back_each::<S, 2>(column, slots, runs),
        (1, 4) => transpose_back_each::<S, 4>(column, slots, runs),
        _ => {
            for (row, &slot) in slots.iter().enumerate() {
                let parts = column.row_mut(slot).chunks_exact_mut(width);
                for (part, run) in parts.zip(runs.chunks_exact(slots.len() * width)) {
                    part.iter_mut().zip(&run[row * width..][..width]).for_each(|(number, &run)| *number = run);
                }
            }
        }
    }
}

/// For records of `N` numbers beside values of width 1.
fn transpose_each<S: Element, const N: usize>(column: &Column<S>, slots: &[u32], runs: &mut [S]) {
    let mut rest = runs;
    let mut runs: [&mut [S]; N] = std::array::from_fn(|_| {
        let run;
        (run, rest) = std::mem::take(&mut rest).split_at_mut(slots.len());
        run
    });
    for (row, &slot) in slots.iter().enumerate() {
        let record = column.row(slot);
        (0..N).for_each(|number| runs[number][row] = record[number]);
    }
}

fn transpose_back_each<S: Element, const N: usize>(column: &mut Column<S>, slots: &[u32], runs: &[S]) {
    let runs: [&[S]; N] = std::array::from_fn(|number| &runs[number * slots.len()..][..slots.len()]);
    for (row, &slot) in slots.iter().enumerate() {
        let record = column.row_mut(slot);
        (0..N).for_each(|number| record[number] = runs[number][row]);
    }
}
