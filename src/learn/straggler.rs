//! Units that are held by workers that have not begun them, while others have nothing to do.
//!
//! A worker holds the unit that it works on and the next. At the end of training a slow one's next unit is
//! asked back, and offered again when it says that it has not begun it. Which worker is slow needs no
//! measuring: whoever still holds two units when another has none is.

use crate::id::WriterId;
use std::collections::BTreeSet;

/// What is asked back of whom for how many.
#[derive(Debug, Default)]
pub(super) struct Stragglers {
    /// Workers without a unit, which wait for one.
    idle: BTreeSet<WriterId>,
    /// Units that were asked back and are not answered.
    asked: BTreeSet<u64>,
    /// Units whose workers have begun them.
    begun: BTreeSet<u64>,
}

impl Stragglers {
    /// The worker asks for a unit.
    pub(super) fn on_asks(&mut self, worker: WriterId) {
        self.idle.remove(&worker);
    }

    /// Whether the worker should wait for a unit that another gives back. `open` are the training units that
    /// workers hold, in the order in which they were given.
    pub(super) fn waits(&mut self, worker: WriterId, open: &[(WriterId, u64)]) -> bool {
        // One that asks ahead is asked again when its last unit is done.
        if open.iter().any(|(holder, _)| *holder == worker) {
            return true;
        }
        let has_hope = self.asked.len() > self.idle.len() || self.spare(open).is_some();
        has_hope && self.idle.insert(worker)
    }

    /// The next unit to ask back, if somebody waits for it.
    pub(super) fn next(&mut self, open: &[(WriterId, u64)]) -> Option<(WriterId, u64)> {
        if self.idle.len() <= self.asked.len() {
            return None;
        }
        let (worker, unit) = self.spare(open)?;
        self.asked.insert(unit);
        Some((worker, unit))
    }

    /// The last unit of a worker that holds another one before it.
    fn spare(&self, open: &[(WriterId, u64)]) -> Option<(WriterId, u64)> {
        let is_spare = |&&(worker, unit): &&(WriterId, u64)| {
            let mut held = open.iter().filter(|(holder, _)| *holder == worker).map(|&(_, held)| held);
            held.next() != Some(unit)
                && held.next_back() == Some(unit)
                && !self.begun.contains(&unit)
                && !self.asked.contains(&unit)
        };
        open.iter().rev().find(is_spare).copied()
    }

    /// A worker has answered, has finished the unit, or is lost.
    pub(super) fn on_answered(&mut self, unit: u64, is_begun: bool) {
        self.asked.remove(&unit);
        if is_begun {
            self.begun.insert(unit);
        } else {
            self.begun.remove(&unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: WriterId = WriterId(0);
    const SLOW: WriterId = WriterId(1);

    #[test]
    fn the_second_unit_of_a_slow_worker_is_asked_back_once() {
        let (mut stragglers, open) = (Stragglers::default(), [(SLOW, 7), (SLOW, 8)]);
        assert_eq!(stragglers.next(&open), None, "nobody waits");
        assert!(stragglers.waits(FAST, &open));
        assert_eq!(stragglers.next(&open), Some((SLOW, 8)));
        assert_eq!(stragglers.next(&open), None);
        stragglers.on_answered(8, true);
        stragglers.on_asks(FAST);
        assert!(!stragglers.waits(FAST, &open), "it is begun");
    }

    #[test]
    fn who_would_wait_for_nothing_does_not_wait() {
        let (mut stragglers, open) = (Stragglers::default(), [(SLOW, 7), (SLOW, 8), (WriterId(2), 9)]);
        assert!(stragglers.waits(FAST, &open));
        stragglers.next(&open);
        assert!(!stragglers.waits(WriterId(3), &open), "one unit for one worker");
        assert!(stragglers.waits(SLOW, &open) && stragglers.next(&open).is_none(), "it has units of its own");
    }
}
