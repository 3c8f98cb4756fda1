//! A function over the rows of a range, block by block.
//!
//! A block's rows are copied together, shown to the function, and, where it modifies, copied back; so a
//! function sees plain slices whatever the table's layout, and answers that are being sent keep their
//! values. How the rows are cut into blocks depends on the layout: what a function computes must not.

use super::guard;
use crate::keyspace::KeyRange;
use crate::limit;
use crate::store::element::Element;
use crate::store::rows::Rows;
use crate::store::table::{Table, Typed, each};
use crate::store::typed::TypedTable;
use crate::wire::{Bf16, TableSpec};

/// Why a call has no answer. The caller is told with the names of table and function, and the job goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function's own words, or what is wrong with its answer.
    #[error("{0}")]
    Refused(String),
    /// The function has panicked.
    #[error("panicked: {0}; rows that it had given back stay as it left them, all others are as they were")]
    Panicked(String),
}

/// A function that workers call by name.
///
/// Where it panics, its caller gets an error. The block of rows that it was shown then is not taken back and no
/// further ones are shown, so every row is as it was or as the function gave it back. The function may be called
/// again: what it shares between calls must bear that.
pub trait CallFunction: Send + Sync {
    /// Whether what it does to the rows is kept. One that only reads leaves the table as it is.
    fn modifies(&self) -> bool {
        false
    }

    /// Begins one call.
    ///
    /// # Errors
    /// One line, for the caller, when table or arguments are not what the function needs; nothing was done.
    fn begin(&self, table: &TableSpec, arguments: &[u8]) -> Result<Box<dyn CallRun>, String>;
}

/// One call under way on one shard.
pub trait CallRun {
    /// Takes the next rows, in the order of keys. How many they are depends on how the table is stored.
    fn rows(&mut self, rows: RowBlock<'_>);

    /// The answer: bytes for the caller, at most [`limit::CALL_ANSWER_BYTES`](crate::limit::CALL_ANSWER_BYTES).
    ///
    /// # Errors
    /// One line for the caller. What was done to the rows stays.
    fn answer(self: Box<Self>) -> Result<Vec<u8>, String>;
}

/// Rows that follow each other.
#[derive(Debug)]
pub struct RowBlock<'a> {
    /// The keys, ascending.
    pub keys: &'a [u64],
    /// Numbers per key.
    pub width: usize,
    /// `width` numbers per key. A number that is not finite is not kept.
    pub values: Numbers<'a>,
    /// The update function's state of each key, of the type that it computes in; as many numbers for each.
    pub state: Numbers<'a>,
}

/// Numbers of a table's type.
#[derive(Debug)]
pub enum Numbers<'a> {
    /// 32-bit floats.
    F32(&'a mut [f32]),
    /// 64-bit floats.
    F64(&'a mut [f64]),
    /// 16-bit floats.
    Bf16(&'a mut [Bf16]),
    /// Signed integers.
    I64(&'a mut [i64]),
    /// Unsigned integers.
    U32(&'a mut [u32]),
}

impl Numbers<'_> {
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F64(numbers) => numbers.len(),
            Numbers::Bf16(numbers) => numbers.len(),
            Numbers::I64(numbers) => numbers.len(),
            Numbers::U32(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them, as a double; integers beyond 2^53 are rounded.
    ///
    /// # Panics
    /// When there are not as many.
    #[must_use]
    pub fn number(&self, index: usize) -> f64 {
        match self {
            Numbers::F32(numbers) => f64::from(numbers[index]),
            Numbers::F64(numbers) => numbers[index],
            Numbers::Bf16(numbers) => f64::from(f32::from(numbers[index])),
            Numbers::I64(numbers) => numbers[index] as f64,
            Numbers::U32(numbers) => f64::from(numbers[index]),
        }
    }
}

impl Table {
    /// Runs a function on the rows of owned ranges, in their order.
    ///
    /// # Errors
    /// The function's own, when its answer is too large or it left numbers that are not finite, and when it panics.
    pub fn run(
        &mut self,
        function: &dyn CallFunction,
        ranges: &[KeyRange],
        arguments: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        let begin = || function.begin(self.spec(), arguments).map(|run| (run, function.modifies()));
        let (mut run, keeps) = guard(begin).map_err(CallError::Panicked)?.map_err(CallError::Refused)?;
        let shown: Result<u64, String> = each!(self.typed_mut(), table => {
            ranges.iter().map(|&range| table.show(range, run.as_mut(), keeps)).sum()
        });
        // What a run that has panicked does when it is dropped is its own code too.
        let answer = guard(|| if shown.is_ok() { run.answer() } else { Ok(Vec::new()) });
        let wrong_rows = shown.map_err(CallError::Panicked)?;
        let answer = answer.map_err(CallError::Panicked)?.map_err(CallError::Refused)?;
        if wrong_rows > 0 {
            let reason = format!("{wrong_rows} rows would hold a NaN or an infinity and stay as they were");
            return Err(CallError::Refused(reason));
        }
        let (bytes, limit) = (answer.len(), limit::CALL_ANSWER_BYTES);
        let too_long = || CallError::Refused(format!("an answer of {bytes} bytes, limit {limit}"));
        if bytes > limit { Err(too_long()) } else { Ok(answer) }
    }
}

impl<T: Element> TypedTable<T> {
    /// Shows all rows of a range; where `keeps`, takes them back, but for rows with numbers that are not
    /// finite. Gives the number of these, or the words of a panic.
    fn show(&mut self, range: KeyRange, run: &mut dyn CallRun, keeps: bool) -> Result<u64, String> {
        let width = self.width();
        let Rows { keys: key_column, values: value_column, state: state_column, .. } = &mut self.rows;
        let state_width = state_column.width();
        let (mut values, mut state) = (Vec::<T>::new(), Vec::<T::Sum>::new());
        let mut wrong_rows = Ok(0);
        self.index.walk(key_column, range, &mut |keys, slots| {
            let Ok(wrong) = &mut wrong_rows else { return };
            values.clear();
            state.clear();
            for &slot in slots {
                values.extend_from_slice(value_column.row(slot));
                if state_width > 0 {
                    state.extend_from_slice(state_column.row(slot));
                }
            }
            let (all_values, all_state) = (T::numbers(&mut values), T::Sum::numbers(&mut state));
            let rows = RowBlock { keys, width, values: all_values, state: all_state };
            if let Err(words) = guard(|| run.rows(rows)) {
                wrong_rows = Err(words);
                return;
            }
            for (row, &slot) in slots.iter().enumerate().filter(|_| keeps) {
                let (value, state) = (&values[row * width..][..width], &state[row * state_width..][..state_width]);
                if !T::all_within(value, T::DTYPE.largest()) || !T::Sum::all_within(state, T::Sum::DTYPE.largest()) {
                    *wrong += 1;
                    continue;
                }
                if value_column.row(slot) != value {
                    value_column.row_mut(slot).copy_from_slice(value);
                }
                if state_width > 0 && state_column.row(slot) != state {
                    state_column.row_mut(slot).copy_from_slice(state);
                }
            }
        });
        wrong_rows
    }
}
