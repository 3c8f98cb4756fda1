//! Units that are taken back from workers, or what they have not begun of them, for workers that have nothing to do.
//!
//! Who owns which work: a unit belongs to the writer that was given it until its last account was heard or it was
//! given back. Whoever answers that it has not begun a unit, or the rest of one, will never begin that, so another
//! may do it under other names. What was begun has used names of its writer, and stays the writer's.
//!
//! A unit that is cut is replaced here by what its worker keeps, at the moment when the rest goes to the pool. So
//! if the worker is lost afterwards, who takes its place does what was kept, under the same names, and ends there;
//! if it is lost before its answer was heard, nobody else was given the rest, and all of it is done in its place.
//! Between the two moments, that of the answer and that of its being heard, the worker must not use names behind
//! what it keeps, for those of the rest would be the same: it begins nothing else before the scheduler has heard
//! its account of the unit, and names the rest there again, for the account may overtake the answer. Whichever is
//! heard first cuts the unit; the other says nothing new. Of a node that was given up neither is heard.
//!
//! A question is asked again until it is answered, and a repeated one gets the same answer. An answer to what was
//! not asked, or is settled by an account, changes nothing.

use super::Scheduler;
use crate::id::{Nanos, NodeId, WriterId};
use crate::wire::{ControlMessage, GivenBack};

impl Scheduler {
    /// Asks workers for the units that the learning program wants back; one at a time of each.
    pub(super) fn take_units_back(&mut self) {
        while let Some((writer, unit)) = self.workload.take_back() {
            let node = NodeId::worker(writer.0);
            let Some(account) = self.accounts.get_mut(&node) else { continue };
            if account.has_told(unit) && account.release.is_none() {
                account.release = Some(unit);
                self.say(node, &ControlMessage::Release { unit });
            } else {
                // Nothing that the worker has said is lost by this: it was not asked.
                let _ = self.workload.released(writer, unit, &GivenBack::Nothing);
            }
        }
    }

    /// Asks again for what was not answered.
    pub(super) fn repeat_releases(&mut self) {
        let asked = self.accounts.iter().filter_map(|(&node, account)| Some((node, account.release?)));
        for (node, unit) in asked.collect::<Vec<_>>() {
            self.say(node, &ControlMessage::Release { unit });
        }
    }

    /// A worker answers; a repeated answer changes nothing.
    pub(super) fn on_released(&mut self, now: Nanos, from: NodeId, unit: u64, given: &GivenBack) {
        let Some(account) = self.accounts.get_mut(&from).filter(|account| account.release == Some(unit)) else {
            return;
        };
        account.release = None;
        match self.workload.released(WriterId(from.rank()), unit, given) {
            Err(shutdown) => return self.end(now, shutdown),
            Ok(_) if *given == GivenBack::Whole => account.open.retain(|open| open.id != unit),
            Ok(kept) => {
                let open = account.open.iter_mut().find(|open| open.id == unit);
                open.into_iter().zip(kept).for_each(|(open, kept)| open.payload = kept);
            }
        }
        self.answer_questions();
    }
}
