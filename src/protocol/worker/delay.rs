//! Delays that the scheduler changes: the new one holds for pulls that begin afterwards, and is
//! acknowledged when those from before are answered, so that the scheduler knows which bound holds.

use super::Worker;
use crate::id::{TableId, Timestamp};
use crate::protocol::membership;
use crate::wire::{Consistency, ControlMessage, Kind};

/// The last change of a table's delay.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DelayChange {
    sequence: u64,
    /// Pulls below this name may have begun by an earlier delay.
    since: Timestamp,
    is_told: bool,
}

impl Worker {
    /// Hears a delay; one that is repeated is acknowledged again.
    pub(super) fn on_delay(&mut self, sequence: u64, table: TableId, delay_max: u32) {
        let since = self.operations.next_timestamp();
        let Some(own) = self.times.get_mut(usize::from(table.0)) else { return };
        if !matches!(own.consistency, Consistency::BoundedDelay { .. }) || sequence < own.change.sequence {
            return;
        }
        if sequence > own.change.sequence {
            own.consistency = Consistency::BoundedDelay { delay_max };
            own.change = DelayChange { sequence, since, is_told: false };
        }
        own.change.is_told = false;
        self.are_delays_told = false;
        self.tell_delays();
    }

    /// Acknowledges the changes before which no pull is open.
    pub(super) fn tell_delays(&mut self) {
        if self.are_delays_told || !self.membership.is_connected() {
            return;
        }
        self.are_delays_told = true;
        for index in 0..self.times.len() {
            let (table, change) = (TableId(index as u16), self.times[index].change);
            if change.sequence == 0 || change.is_told {
                continue;
            }
            if self.has_pull_before(table, change.since) {
                self.are_delays_told = false;
                continue;
            }
            self.times[index].change.is_told = true;
            let heard = ControlMessage::DelayHeard { sequence: change.sequence, table };
            membership::send(&self.identity, &heard, &mut self.outputs);
        }
    }

    fn has_pull_before(&self, table: TableId, since: Timestamp) -> bool {
        let open = self.operations.iter().take_while(|(timestamp, _)| *timestamp < since);
        open.filter(|(_, operation)| !operation.is_done()).any(|(_, operation)| {
            let header = operation.segments.first().map(|segment| &segment.header);
            header.is_some_and(|header| header.kind == Kind::Pull && header.table == table)
        })
    }
}
