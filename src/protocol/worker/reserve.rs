//! Names for operations before they begin, and where the names of a writer go on.
//!
//! Who does a lost worker's work again must use the same names for the same operations. Where pulls begin
//! ahead, the order of the calls depends on how fast answers come; a name that is reserved in the order of
//! the work does not.

use super::operations::Operations;
use super::{OperationError, TableTime, Worker};
use crate::id::{Nanos, TableId, Timestamp};
use crate::wire::{Flags, ResumePoint, TableSpec};

impl Worker {
    /// Reserves `count` names, one after the other; gives the first. Each is used by one operation
    /// ([`Request::name`](super::Request::name)) or given up.
    pub fn reserve(&mut self, count: usize) -> Timestamp {
        self.operations.reserve(count)
    }

    /// Gives up a reserved name; one that an operation has taken is not touched.
    pub fn release_name(&mut self, name: Timestamp) {
        self.operations.release(name);
    }

    /// The name that the next operation gets unless it has a reserved one.
    #[must_use]
    pub fn next_name(&self) -> Timestamp {
        self.operations.next_timestamp()
    }

    /// As [`tick`](Self::tick), with a reserved name for the mark; given up where nobody needs one.
    ///
    /// # Errors
    /// When the table is not known, this writer has finished it, or the name is not reserved.
    pub fn tick_as(&mut self, now: Nanos, table: TableId, name: Timestamp) -> Result<(), OperationError> {
        self.end_time(now, table, Flags::default(), Some(name))
    }

    /// Where this writer's work goes on: behind the last unit that the scheduler knows to be done.
    #[must_use]
    pub fn resume(&self) -> &ResumePoint {
        &self.resume
    }

    /// Takes the place of this writer's former node, or the first of all.
    pub(super) fn resume_at(&mut self, resume: ResumePoint, tables: &[TableSpec]) {
        self.operations = Operations::starting(resume.timestamp);
        self.times = tables.iter().map(|spec| TableTime::new(spec.consistency)).collect();
        for (own, place) in self.times.iter_mut().zip(&resume.tables) {
            (own.time, own.finished) = (place.time, place.finished);
            own.slices.clone_from(&place.slices);
        }
        self.resume = resume;
    }
}
