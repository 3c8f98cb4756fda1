//! The table as the protocol sees it, whatever its element type.

use super::StoreError;
use super::function::Functions;
use super::positions::Positions;
use super::push::Mode;
use super::typed::TypedTable;
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::Pool;
use crate::wire::{Bf16, DType, Pieces, TableSpec, UpdateFunction};
use std::sync::Arc;

/// One shard's part of one table.
pub struct Table {
    typed: Typed,
}

pub(super) enum Typed {
    F32(TypedTable<f32>),
    F64(TypedTable<f64>),
    I64(TypedTable<i64>),
    U32(TypedTable<u32>),
    Bf16(TypedTable<Bf16>),
}

macro_rules! each {
    ($typed:expr, $table:ident => $call:expr) => {
        match $typed {
            Typed::F32($table) => $call,
            Typed::F64($table) => $call,
            Typed::I64($table) => $call,
            Typed::U32($table) => $call,
            Typed::Bf16($table) => $call,
        }
    };
}
pub(super) use each;

/// What a table costs. Columns are pool memory, counted in whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableMemory {
    /// Keys with a row.
    pub keys: u64,
    /// Column of keys.
    pub key_bytes: u64,
    /// Column of values.
    pub value_bytes: u64,
    /// Column of update state.
    pub state_bytes: u64,
    /// Column of sums of the open step.
    pub sum_bytes: u64,
    /// Index from keys to rows.
    pub index_bytes: u64,
}

impl TableMemory {
    /// All of it.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.key_bytes + self.value_bytes + self.state_bytes + self.sum_bytes + self.index_bytes
    }
}

impl Table {
    /// The table's owned ranges, without rows; all rows where the layout is dense.
    ///
    /// # Errors
    /// When the spec asks for a width, size or update function that cannot be.
    pub fn new(spec: &TableSpec, owned: &[KeyRange], pool: &Arc<Pool>) -> Result<Table, StoreError> {
        Table::with_functions(spec, owned, pool, &Functions::default())
    }

    /// As [`new`](Self::new), where the update function may be one of the user's.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the function is not among `functions`.
    pub fn with_functions(
        spec: &TableSpec,
        owned: &[KeyRange],
        pool: &Arc<Pool>,
        functions: &Functions,
    ) -> Result<Table, StoreError> {
        if spec.name.contains(char::is_control) {
            let reason = "its name holds a control character".to_owned();
            return Err(StoreError::Declaration { table: spec.name.escape_debug().to_string(), reason });
        }
        if spec.width == 0 || usize::from(spec.width) > limit::WIDTH {
            let reason = format!("width {} is not between 1 and {}", spec.width, limit::WIDTH);
            return Err(StoreError::Declaration { table: spec.name.clone(), reason });
        }
        spec.filters.check(spec)?;
        let typed = match spec.dtype {
            DType::F32 => Typed::F32(TypedTable::new(spec, owned, pool, functions)?),
            DType::F64 => Typed::F64(TypedTable::new(spec, owned, pool, functions)?),
            DType::I64 => Typed::I64(TypedTable::new(spec, owned, pool, functions)?),
            DType::U32 => Typed::U32(TypedTable::new(spec, owned, pool, functions)?),
            DType::Bf16 => Typed::Bf16(TypedTable::new(spec, owned, pool, functions)?),
        };
        Ok(Table { typed })
    }

    pub(super) fn typed(&self) -> &Typed {
        &self.typed
    }

    pub(super) fn typed_mut(&mut self) -> &mut Typed {
        &mut self.typed
    }

    /// The declaration.
    #[must_use]
    pub fn spec(&self) -> &TableSpec {
        each!(&self.typed, table => &table.spec)
    }

    /// The owned ranges, ordered, neighbours merged.
    #[must_use]
    pub fn owned(&self) -> &[KeyRange] {
        each!(&self.typed, table => &table.owned)
    }

    /// Everything that can be wrong with a push. `keys` of `None` is the dense range.
    ///
    /// # Errors
    /// When keys are not strictly ascending or outside `range`, the range is not owned, the bytes of
    /// `values` do not match, or a number is NaN, infinite or [too large](TableSpec::push_max).
    pub fn check_push(&self, range: KeyRange, keys: Option<&[u64]>, values: &[u8]) -> Result<(), StoreError> {
        each!(&self.typed, table => table.check_push(range, keys, values))
    }

    /// As [`check_push`](Self::check_push), for `key_count` keys that were checked before.
    ///
    /// # Errors
    /// When the bytes of `values` do not match, or a number is NaN, infinite or too large.
    pub fn check_push_values(&self, key_count: usize, values: &[u8]) -> Result<(), StoreError> {
        each!(&self.typed, table => table.check_pushed(key_count as u64, values))
    }

    /// Everything that can be wrong with a pull; gives the bytes of its reply.
    ///
    /// # Errors
    /// When keys are not strictly ascending or outside `range`, or the range is not owned.
    pub fn check_pull(&self, range: KeyRange, keys: Option<&[u64]>) -> Result<usize, StoreError> {
        each!(&self.typed, table => table.check_pull(range, keys))
    }

    /// Runs the update function once with a push that was checked. `keys` and `values` are the whole
    /// frame's, which claims `frame_range`; only keys inside `range` are applied.
    pub fn apply(&mut self, range: KeyRange, frame_range: KeyRange, keys: Option<&[u64]>, values: &[u8]) {
        each!(&mut self.typed, table => table.push(Mode::Apply, range, frame_range, keys, values));
    }

    /// The first panic of a user's update function since this was asked last.
    #[must_use]
    pub fn take_panic(&self) -> Option<StoreError> {
        let words = each!(&self.typed, table => table.update.take_panic())?;
        let UpdateFunction::User(user) = &self.spec().update else { return None };
        let (table, function) = (self.spec().name.clone(), user.name.to_string());
        Some(StoreError::Panicked { table, function, words })
    }

    /// Finds the positions of the ascending keys of a list that may come again.
    #[must_use]
    pub fn remember(&self, keys: &[u64]) -> Positions {
        each!(&self.typed, table => table.remember(keys))
    }

    /// Runs the update function once with checked values for all keys of a list; its positions are
    /// brought up to date. The list's keys are owned.
    pub fn apply_at(&mut self, keys: &[u64], positions: &mut Positions, values: &[u8]) {
        each!(&mut self.typed, table => table.push_at(Mode::Apply, keys, positions, values));
    }

    /// As [`accumulate`](Self::accumulate), by remembered positions.
    pub fn accumulate_at(&mut self, keys: &[u64], positions: &mut Positions, values: &[u8]) {
        each!(&mut self.typed, table => table.push_at(Mode::Accumulate, keys, positions, values));
    }

    /// Writes the values of a list's keys into `out`, by remembered positions. Unknown keys read as zero.
    pub fn gather_at(&self, keys: &[u64], positions: &mut Positions, out: &mut [u8]) {
        each!(&self.typed, table => table.gather_at(keys, positions, out));
    }

    /// Adds a checked push to the sums of the open step, in the order of calls; where the update is
    /// an assignment, the last call counts. Parameters as in [`apply`](Self::apply). Only tables
    /// with sequential consistency keep sums; in others this does nothing but insert the keys.
    pub fn accumulate(&mut self, range: KeyRange, frame_range: KeyRange, keys: Option<&[u64]>, values: &[u8]) {
        each!(&mut self.typed, table => table.push(Mode::Accumulate, range, frame_range, keys, values));
    }

    /// Runs the update function once on each key's sum and clears the sums.
    pub fn commit(&mut self) {
        each!(&mut self.typed, table => table.commit());
    }

    /// Writes the values of ascending keys into `out`, which has the length that
    /// [`check_pull`](Self::check_pull) gave. Unknown keys read as zero.
    pub fn gather(&self, range: KeyRange, keys: Option<&[u64]>, out: &mut [u8]) {
        each!(&self.typed, table => table.gather(range, keys, out));
    }

    /// The values of every key of a range that was checked, as counted views of the table's own memory:
    /// nothing is copied now, and the views keep the values of now. As long as one of them is left, the
    /// first change to its extent (about 128 KiB) copies that extent, and later ones do not. Nothing for
    /// tables that are not dense.
    pub fn gather_views(&mut self, range: KeyRange) -> Option<Pieces> {
        each!(&mut self.typed, table => table.gather_views(range))
    }

    /// Moves the rows of a sparse table into full chunks, so that it costs at most 5 % more than its
    /// keys, values and state, and what its last extent has not used yet. Both copies are in memory
    /// meanwhile. An insert that leaves more than 40 % does this by itself, in tables that fill eight
    /// extents (128 KiB of values each) or more. Worth its time (that of a first push of all keys)
    /// before a table that grew by many small inserts is read for long: after the last pass over new
    /// data, and before a checkpoint or a transfer. Remembered positions are found again at their next
    /// use. Tables whose rows never move have nothing to gain.
    pub fn compact(&mut self) {
        each!(&mut self.typed, table => table.compact());
    }

    /// Keys with a row.
    #[must_use]
    pub fn key_count(&self) -> u64 {
        each!(&self.typed, table => table.key_count)
    }

    /// What the table costs now.
    #[must_use]
    pub fn memory(&self) -> TableMemory {
        each!(&self.typed, table => table.memory())
    }
}
