//! Units that are taken back from workers that have not begun them, for workers that have nothing to do.
//!
//! A worker that has begun a unit keeps it: the unit has used names of its writer. Whoever answers that it
//! has not begun one will never begin it, so another may do it under other names.

use super::Scheduler;
use crate::id::{NodeId, WriterId};
use crate::wire::ControlMessage;

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
                self.workload.released(writer, unit, false);
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
    pub(super) fn on_released(&mut self, from: NodeId, unit: u64, is_released: bool) {
        let Some(account) = self.accounts.get_mut(&from).filter(|account| account.release == Some(unit)) else {
            return;
        };
        account.release = None;
        if is_released {
            account.open.retain(|open| open.id != unit);
        }
        self.workload.released(WriterId(from.rank()), unit, is_released);
        self.answer_questions();
    }
}
