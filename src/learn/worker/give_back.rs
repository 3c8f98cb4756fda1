//! Giving up what is not begun of the last unit in hand, for a worker that has nothing to do.
//!
//! A unit of which a minibatch has begun is cut behind the first that is not learnt from yet. Those behind it, whose
//! pulls may be in flight, are dropped: only a push claims a name. So are rows that the reader has read ahead, and
//! the next unit is cut into minibatches as if they had never been. The scheduler is told at once, and again in the
//! unit's account. Until it has heard that, no step of another unit begins, and the names of dropped steps stay
//! reserved, so that no shard is told that they are settled: if nobody has heard of the cut when this worker is lost,
//! who takes its place does the rest under these names.
//!
//! The question is heard between two minibatches, and while a pull is waited for: what that waits for may be the
//! times of the very worker that has nothing to do.

use super::Worker;
use crate::client::GivenBack;
use crate::learn::config::WorkItem;
use crate::learn::data::UnitProgress;
use crate::learn::error::LearnError;

impl Worker<'_> {
    /// Answers the scheduler if it wants a unit back.
    pub(super) fn give_back(&mut self) -> Result<(), LearnError> {
        self.wanted = self.cluster.asked_back().or(self.wanted);
        let Some(unit) = self.wanted else { return Ok(()) };
        self.drop_begun(unit);
        let is_second = self.queue.len() > 1;
        let is_wanted = |last: &&super::InHand| last.unit == unit && !last.is_cut;
        let last = self.queue.back().filter(is_wanted).filter(|last| matches!(last.item, WorkItem::Train { .. }));
        let given = match last {
            None => GivenBack::Nothing,
            Some(last) if last.is_begun => match last.rest.as_ref().map(postcard::to_stdvec) {
                Some(Ok(rest)) => GivenBack::Rest(rest),
                _ => GivenBack::Nothing,
            },
            Some(_) if is_second => GivenBack::Whole,
            // Every unit that is cut has shrunk, or it could go to and fro for ever.
            Some(_) => return Ok(()),
        };
        self.wanted = None;
        let is_cut = matches!(given, GivenBack::Rest(_));
        if given == GivenBack::Whole {
            self.queue.pop_back();
            self.train.cut(unit, 0);
        }
        self.cluster.answer_release(unit, given);
        if is_cut { self.end_behind_begun(unit) } else { Ok(()) }
    }

    /// Drops the minibatches of the last unit in hand that are in flight, but for the oldest of them.
    fn drop_begun(&mut self, unit: u64) {
        let is_wanted = |last: &&mut super::InHand| last.unit == unit && !last.is_cut;
        let Some(held) = self.queue.back_mut().filter(is_wanted).filter(|_| self.beginning.is_none()) else { return };
        while let [.., before, last] = self.in_flight.make_contiguous()
            && (before.unit, last.unit) == (unit, unit)
            && last.step.is_some()
        {
            held.rest = before.rest;
            held.rows -= last.batch.row_count() as u64;
            let Some(dropped) = self.in_flight.pop_back() else { return };
            self.dropped.extend(dropped.step);
            self.train.recycle(dropped.batch);
        }
    }

    /// Ends the last unit in hand behind the last minibatch that has begun.
    fn end_behind_begun(&mut self, unit: u64) -> Result<(), LearnError> {
        let Some(last) = self.queue.back_mut() else { return Ok(()) };
        last.is_cut = true;
        self.train.cut(unit, last.rows);
        match self.in_flight.back_mut().filter(|last| last.unit == unit) {
            // The one that is beginning will be the last.
            _ if self.beginning.is_some() => Ok(()),
            Some(last) => {
                last.progress.is_last = true;
                Ok(())
            }
            None => self.end_unit(unit, UnitProgress { is_last: true, rows_total: None }),
        }
    }

    /// Waits for the weights of the oldest minibatch in flight, and answers the scheduler meanwhile.
    pub(super) fn await_oldest(&mut self) -> Result<(), LearnError> {
        while let Some(oldest) = self.in_flight.front() {
            if self.cluster.wait_unless_asked_back(oldest.weights.timestamp())? {
                break;
            }
            self.give_back()?;
        }
        Ok(())
    }
}
