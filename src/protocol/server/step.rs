//! The sequential mode: one step at a time, a pure function of what the writers pushed.
//!
//! A step holds the pushes of one time. It is complete when every writer has ended that time, as the
//! clock knows, or has finished before. Then the frames are
//! accumulated in the order of (writer, timestamp, range), whatever order they came in, the update
//! function runs once, everything is acknowledged, and the next time is open. So the result depends
//! neither on servers, shards and transport nor on retries.

use super::arrived::Arrived;
use super::key_cache::KeyCache;
use super::past::Past;
use super::{Server, TableState};
use crate::clock::RangeClock;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::memory::Block;
use crate::store::Table;
use smallvec::SmallVec;

/// A push kept for its step, and the parts of it that are claimed: one, unless it was cut anew.
struct Kept {
    push: Arrived,
    parts: SmallVec<[KeyRange; 1]>,
}

impl Kept {
    /// Its place in the order of accumulation. No two claims of one name share a part, but two frames
    /// of it may begin alike.
    fn place(&self) -> (Time, WriterId, Timestamp, u64) {
        let header = self.push.header();
        let begin = self.parts.first().map_or(header.range.begin, |part| part.begin);
        (header.time, header.writer, header.timestamp, begin)
    }

    /// Adds the claimed parts to the step's sums; a whole kept list by its positions.
    fn accumulate(&self, table: &mut Table, key_cache: &mut KeyCache) {
        let (push, range) = (&self.push, self.push.header().range);
        if let Some(list) = push.list()
            && *self.parts == [range]
            && let Some(positions) = key_cache.positions(list.digest)
        {
            table.accumulate_at(&list.keys, positions, push.values());
            key_cache.changed(list.digest);
            return;
        }
        for &part in &self.parts {
            table.accumulate(part, range, push.keys(), push.values());
        }
    }
}

/// The open step of one table and what came early for later ones. The lists keep their memory from
/// step to step, so that a step like those before allocates nothing.
#[derive(Default)]
pub(super) struct Step {
    open: Time,
    /// In the order of arrival.
    kept: Vec<Kept>,
    /// The step before, where the job survives the loss of workers.
    past: Option<Past>,
}

impl Step {
    /// The first step; `keeps_past` where the one before may have to be undone for a pull.
    pub(super) fn new(keeps_past: bool) -> Step {
        Step { past: keeps_past.then(Past::default), ..Step::default() }
    }

    pub(super) fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    /// Every step before this time is committed.
    pub(super) fn open_time(&self) -> Time {
        self.open
    }

    fn is_complete(&self, clock: &RangeClock) -> bool {
        self.open != Time::FINISHED && clock.ended() > self.open
    }

    /// Brings what is kept into the order of accumulation; gives how much of it is of the open step.
    fn order_open(&mut self) -> usize {
        self.kept.sort_unstable_by_key(Kept::place);
        self.kept.partition_point(|kept| kept.place().0 <= self.open)
    }

    /// Opens the next time; the last one for ever when every writer has finished.
    fn advance(&mut self, clock: &RangeClock) {
        self.open = Time(self.open.0 + 1);
        if clock.end().is_some_and(|end| end <= self.open) {
            self.open = Time::FINISHED;
        }
    }
}

impl Server {
    /// Refuses a push for which there is no room: one that came early for now, one of the open step
    /// for good, for that step could never end.
    pub(super) fn refuse_overflow(&mut self, index: usize, push: &Arrived) -> bool {
        let state = &self.tables[index];
        let (from, header) = (push.from, *push.header());
        if state.clock.has(header.writer, header.timestamp, header.range) {
            return false;
        }
        let is_early = header.time > state.step.open;
        if is_early && !self.may_wait(push) {
            self.refuse_busy(from, &header);
            return true;
        }
        if self.waiting_bytes + push.bytes() > self.waiting_bytes_max {
            let bytes = self.waiting_bytes_max;
            self.refuse(from, &header, &format!("a step holds more than {bytes} bytes: push less at one time"));
            return true;
        }
        false
    }

    /// Keeps a claimed push for its step and ends the step if this was the last slice.
    pub(super) fn keep_for_step(&mut self, index: usize, push: Arrived, parts: &[KeyRange]) {
        self.waiting_bytes += push.bytes();
        self.tables[index].step.kept.push(Kept { push, parts: parts.into() });
        self.end_complete_steps(index);
    }

    pub(super) fn end_complete_steps(&mut self, index: usize) {
        loop {
            let TableState { table, step, clock, .. } = &mut self.tables[index];
            if !step.is_complete(clock) {
                return;
            }
            let count = step.order_open();
            let is_kept = step.past.is_some();
            step.past.iter_mut().for_each(|past| past.begin(step.open));
            let kept = step.kept[..count].iter().filter(|_| is_kept);
            let before: Vec<Block> = kept.map(|kept| Past::values_of(&kept.push, table, &self.pool)).collect();
            step.kept[..count].iter().for_each(|kept| kept.accumulate(table, &mut self.key_cache));
            table.commit();
            let (panicked, mut before) = (table.take_panic(), before.into_iter());
            let mut refused = Vec::new();
            for Kept { push, .. } in step.kept.drain(..count) {
                self.waiting_bytes -= push.bytes();
                match &panicked {
                    Some(_) => refused.push((push.from, *push.header())),
                    None => self.chain.applied(push.from, *push.header()),
                }
                if let (Some(past), Some(before)) = (&mut step.past, before.next()) {
                    past.keep(push, before);
                }
            }
            step.advance(clock);
            panicked.into_iter().for_each(|error| self.give_up(&error, refused.drain(..)));
            self.acknowledge_committed();
        }
    }
}
