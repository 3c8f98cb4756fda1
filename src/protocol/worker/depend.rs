//! What an operation waits for: the receiver honours what it can see, the worker the rest.
//!
//! A shard knows by its clock which pushes and calls of a table it has applied, so a dependency on one of
//! the same table travels with the frame and costs no round trip. A pull leaves no trace there, and a shard
//! that answered one may be asked again when the answer was lost; so what comes after a pull is held here
//! until its values are there, and what comes after an operation on another table until that one is
//! acknowledged.

use super::Worker;
use super::operation::{After, Operation, OperationError};
use crate::id::{Nanos, Timestamp};
use crate::limit;
use crate::wire::TableSpec;
use smallvec::SmallVec;

/// Operations that must be over before anything is sent.
pub(super) type HeldFor = SmallVec<[Timestamp; 2]>;

/// The open operations that another one depends on.
pub(super) struct Waits {
    /// Honoured by the shards.
    pub(super) after: After,
    /// Honoured here.
    pub(super) held_for: HeldFor,
}

impl Worker {
    /// Parts the dependencies that are still open.
    pub(super) fn waits(&self, after: &[Timestamp], spec: &TableSpec) -> Result<Waits, OperationError> {
        let mut waits = Waits { after: After::new(), held_for: HeldFor::new() };
        for &timestamp in after {
            let Some(open) = self.operations.at(timestamp).filter(|open| !open.is_done()) else { continue };
            let is_of_table = open.segments.first().is_some_and(|segment| segment.header.table == spec.id);
            match is_of_table && open.unacknowledged {
                true => waits.after.push((timestamp, open.request_range)),
                false => waits.held_for.push(timestamp),
            }
        }
        let (count, limit) = (waits.after.len() + waits.held_for.len(), limit::DEPENDENCIES);
        if count > limit {
            let reason = format!("{count} open dependencies, limit {limit}");
            return Err(OperationError::Request { table: spec.name.clone(), reason });
        }
        Ok(waits)
    }

    /// Sends what was held for operations that are over by now.
    pub(super) fn release_held(&mut self, now: Nanos) {
        for place in (0..self.held.len()).rev() {
            let timestamp = self.held[place];
            let mut held_for = match self.operations.at_mut(timestamp) {
                Some(operation) => std::mem::take(&mut operation.held_for),
                None => HeldFor::new(),
            };
            held_for.retain(|earlier| self.operations.at(*earlier).is_some_and(|open| !open.is_done()));
            let is_free = held_for.is_empty();
            if let Some(operation) = self.operations.at_mut(timestamp) {
                operation.held_for = held_for;
            }
            if is_free {
                self.held.remove(place);
                let count = self.operations.at(timestamp).map_or(0, |operation: &Operation| operation.segments.len());
                (0..count).for_each(|index| self.send_segment(now, timestamp, index));
            }
        }
    }
}
