//! Workers that have nothing to do, and units that others still hold.
//!
//! A worker holds the unit that it works on and perhaps the next. When the pool is empty, the last unit that a slow
//! one holds is asked back: all of it where it has another before it and has not begun it, otherwise the rest that
//! it has not begun. The rest is cut into equal parts, one for each that waits and one for the slow worker itself,
//! which has nothing else then; so a few such cuts bring all to their ends at about the same time, however
//! different they are. A unit is asked back once, and each that is cut has shrunk by a minibatch at least: it ends.
//!
//! Which worker is slow needs no measuring: first whoever holds two units when another has none, then whoever holds
//! the unit that was given first of those that are not done.
//!
//! Under `BoundedDelay` the others wait for the times of one that waits here, and what it waits for may be an answer
//! of one of them. So a worker answers at once, even while it waits for a pull (`learn::worker`), and one for which
//! there is no hope is told to end its training, after which nobody waits for it. Under `Sequential` which writer
//! learns from which row is a function of the data and the number of writers, so nothing is taken back.

use crate::id::WriterId;
use std::collections::{BTreeMap, BTreeSet};

/// What is asked back of whom for how many.
#[derive(Debug, Default)]
pub(super) struct Stragglers {
    /// Workers without a unit, which wait for one.
    idle: BTreeSet<WriterId>,
    /// Units that were asked back and are not answered, and who holds them.
    asked: BTreeMap<u64, WriterId>,
    /// Units of which nothing more is to be had.
    begun: BTreeSet<u64>,
}

impl Stragglers {
    /// The worker asks for a unit.
    pub(super) fn on_asks(&mut self, worker: WriterId) {
        self.idle.remove(&worker);
    }

    /// Whether the worker should wait for what another gives back. `open` are the training units that
    /// workers hold, in the order in which they were given.
    pub(super) fn waits(&mut self, worker: WriterId, open: &[(WriterId, u64)]) -> bool {
        // One that asks ahead is asked again when its last unit is done.
        if open.iter().any(|(holder, _)| *holder == worker) {
            return true;
        }
        let has_hope = self.asked.len() > self.idle.len() || self.spare(open).is_some();
        has_hope && self.idle.insert(worker)
    }

    /// How many wait.
    pub(super) fn idle_count(&self) -> usize {
        self.idle.len()
    }

    /// The next unit to ask back, if somebody waits for it.
    pub(super) fn next(&mut self, open: &[(WriterId, u64)]) -> Option<(WriterId, u64)> {
        if self.idle.len() <= self.asked.len() {
            return None;
        }
        let (worker, unit) = self.spare(open)?;
        self.asked.insert(unit, worker);
        Some((worker, unit))
    }

    /// The last unit of a worker that was not asked: the latest that has another before it, otherwise the oldest.
    fn spare(&self, open: &[(WriterId, u64)]) -> Option<(WriterId, u64)> {
        let of = |worker: WriterId| open.iter().filter(move |(holder, _)| *holder == worker);
        let is_spare = |&&(worker, unit): &&(WriterId, u64)| {
            of(worker).next_back() == Some(&(worker, unit))
                && !self.begun.contains(&unit)
                && !self.asked.values().any(|&asked| asked == worker)
        };
        let second = open.iter().rev().filter(is_spare).find(|(worker, _)| of(*worker).count() > 1);
        second.or_else(|| open.iter().find(is_spare)).copied()
    }

    /// The worker has answered, and keeps what it has begun.
    pub(super) fn on_answered(&mut self, unit: u64) {
        self.asked.remove(&unit);
        self.begun.insert(unit);
    }

    /// Nobody holds the unit any more.
    pub(super) fn on_gone(&mut self, unit: u64) {
        self.asked.remove(&unit);
        self.begun.remove(&unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: WriterId = WriterId(0);
    const SLOW: WriterId = WriterId(1);
    const OTHER: WriterId = WriterId(2);

    #[test]
    fn the_last_unit_of_a_slow_worker_is_asked_back_once() {
        let (mut stragglers, open) = (Stragglers::default(), [(OTHER, 6), (SLOW, 7), (SLOW, 8)]);
        assert_eq!(stragglers.next(&open), None, "nobody waits");
        assert!(stragglers.waits(FAST, &open));
        assert_eq!(stragglers.next(&open), Some((SLOW, 8)), "it has another before it");
        assert_eq!(stragglers.next(&open), None);
        stragglers.on_answered(8);
        stragglers.on_asks(FAST);
        assert!(stragglers.waits(FAST, &open));
        assert_eq!(stragglers.next(&open), Some((OTHER, 6)), "the only other one");
        stragglers.on_answered(6);
        stragglers.on_asks(FAST);
        assert!(!stragglers.waits(FAST, &open), "all is begun");
    }

    #[test]
    fn the_unit_that_was_given_first_is_cut_first() {
        let (mut stragglers, open) = (Stragglers::default(), [(SLOW, 3), (OTHER, 7)]);
        assert!(stragglers.waits(FAST, &open));
        assert_eq!(stragglers.next(&open), Some((SLOW, 3)));
        assert!(stragglers.waits(WriterId(3), &open));
        assert_eq!(stragglers.next(&open), Some((OTHER, 7)), "each is asked for one at a time");
        assert!(!stragglers.waits(WriterId(4), &open));
        stragglers.on_gone(3);
        assert!(!stragglers.waits(WriterId(4), &[(OTHER, 7)]));
    }

    #[test]
    fn who_would_wait_for_nothing_does_not_wait() {
        let (mut stragglers, open) = (Stragglers::default(), [(SLOW, 7), (SLOW, 8)]);
        assert!(stragglers.waits(FAST, &open));
        stragglers.next(&open);
        assert!(!stragglers.waits(WriterId(3), &open), "one answer for one worker");
        assert!(stragglers.waits(SLOW, &open) && stragglers.next(&open).is_none(), "it has units of its own");
    }
}
