//! The ends of times: what writers say of themselves, and what the scheduler says of writers that are gone.
//!
//! `Sequential` commits steps by them, `BoundedDelay` answers pulls by them. An `Eventual` table hears
//! only that a writer has finished: all its slices then count for one time, and the clock retires it.

use super::Server;
use crate::id::{NodeId, Time, WriterId};
use crate::protocol::membership;
use crate::wire::{Consistency, ControlMessage, Flags, Header, RxFrame, Status, WriterChange};

impl Server {
    /// Hears that a writer has ended a time, and acknowledges it. A repeated mark changes nothing.
    pub(super) fn on_end_of_time(&mut self, from: NodeId, frame: &RxFrame) {
        let Some(index) = self.route(from, frame) else { return };
        let header = frame.header;
        self.settle(index, &header);
        let (time, is_last) = (self.counted_time(index, &header), header.flags.has(Flags::FINISHED));
        let clock = &mut self.tables[index].clock;
        if clock.end_time(header.writer, header.timestamp, time, header.slice_count, is_last).is_err() {
            self.refuse_busy(from, &header);
            return;
        }
        self.reply(from, &header, Status::Ok);
        self.on_times_changed(index);
    }

    /// The time for which a slice or mark counts.
    pub(super) fn counted_time(&self, index: usize, header: &Header) -> Time {
        if self.tables[index].spec.consistency == Consistency::Eventual { Time(0) } else { header.time }
    }

    /// Does what the scheduler has decided about a writer, once and in order. A `Sequential` table goes on
    /// waiting for one that has left: who takes its work over pushes under the same names.
    pub(super) fn on_writer(&mut self, sequence: u64, writer: WriterId, change: WriterChange) {
        if !self.membership.is_welcomed() || sequence > self.writers_heard + 1 {
            return;
        }
        if sequence == self.writers_heard + 1 {
            self.writers_heard = sequence;
            for index in 0..self.tables.len() {
                if !self.is_sequential(index) {
                    let clock = &mut self.tables[index].clock;
                    match change {
                        WriterChange::Left { from_time } => clock.leave(writer, from_time),
                        WriterChange::Joined { from_time } => clock.join(writer, from_time),
                    }
                    self.on_times_changed(index);
                }
            }
        }
        let heard = ControlMessage::WriterHeard { sequence: self.writers_heard };
        membership::send(&self.identity, &heard, &mut self.outputs);
    }

    fn on_times_changed(&mut self, index: usize) {
        if self.is_sequential(index) {
            self.end_complete_steps(index);
        }
        self.serve_waiting(index);
    }
}
