//! Sending what filters have kept: all of it at the end or when the program says so, the larger half when
//! it is more than the limit. It goes out as pushes of its own, which are not filtered.

use super::keys::Keys;
use super::operation::{Operation, OperationError};
use super::residual::{Kept, Residual};
use super::{Request, Worker};
use crate::id::{Nanos, TableId};
use crate::wire::Kind;

impl Worker {
    /// Pushes the next part of what filters have kept of this table, held back or cut off by rounding; false
    /// when all of it was pushed since the last time this was false. Wait for [`Worker::has_room`] in between.
    ///
    /// # Errors
    /// When the table is not known or this writer has finished it.
    pub fn flush_kept(&mut self, now: Nanos, table: TableId) -> Result<bool, OperationError> {
        self.spec(table)?;
        self.check_unfinished(table)?;
        let Some(kept) = self.residual_mut(table).and_then(Residual::take) else { return Ok(false) };
        self.push_kept(now, table, kept)?;
        Ok(true)
    }

    /// Bytes of memory for what filters have kept, and of how many keys something is kept.
    #[must_use]
    pub fn kept(&self, table: TableId) -> (u64, u64) {
        let filter = self.value_filters.get(usize::from(table.0)).and_then(Option::as_ref);
        let residual = filter.and_then(|filter| filter.residual.as_ref());
        residual.map_or((0, 0), |residual| (residual.bytes(), residual.key_count()))
    }

    /// Keeps at most so many bytes of each table, once the job is known.
    pub fn limit_kept(&mut self, bytes: u64) {
        let filters = self.value_filters.iter_mut().flatten();
        filters.filter_map(|filter| filter.residual.as_mut()).for_each(|residual| residual.limit(bytes));
    }

    /// Pushes everything that is held back of a table.
    pub(super) fn flush_held(&mut self, now: Nanos, table: TableId) -> Result<(), OperationError> {
        if self.spec(table)?.filters.hold_back() {
            self.residual_mut(table).into_iter().for_each(Residual::rewind);
            while self.flush_kept(now, table)? {}
        }
        Ok(())
    }

    /// Pushes the larger half of what is kept, where it is more than the limit.
    pub(super) fn flush_over_limit(&mut self, now: Nanos, table: TableId) -> Result<(), OperationError> {
        let Some(residual) = self.residual_mut(table).filter(|residual| residual.is_over()) else { return Ok(()) };
        let taken = residual.take_larger_half();
        let name = self.spec(table)?.name.clone();
        let taken = taken.map_err(|reason| OperationError::Request { table: name, reason })?;
        taken.into_iter().try_for_each(|kept| self.push_kept(now, table, kept))
    }

    fn push_kept(&mut self, now: Nanos, table: TableId, kept: Kept) -> Result<(), OperationError> {
        let time = self.times[usize::from(table.0)].time;
        let Kept { range, keys, values } = kept;
        let request = Request { table, range, keys: Some(Keys::chosen(keys.freeze())), ..Request::default() };
        let timestamp = self.begin(now, Kind::Push, &request, time, Some(values.freeze()), Operation::default())?;
        self.count_slices(table, timestamp);
        self.abandon(timestamp);
        Ok(())
    }

    fn residual_mut(&mut self, table: TableId) -> Option<&mut Residual> {
        self.value_filters.get_mut(usize::from(table.0))?.as_mut()?.residual.as_mut()
    }
}
