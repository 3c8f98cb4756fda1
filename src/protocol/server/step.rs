//! The sequential mode: one step at a time, a pure function of what the writers pushed.
//!
//! A step holds the pushes of one time. It is complete when every writer has ended that time and as
//! many slices have come from it as its mark says, or has finished before. Then the frames are
//! accumulated in the order of (writer, timestamp, range), whatever order they came in, the update
//! function runs once, everything is acknowledged, and the next time is open. So the result depends
//! neither on servers, shards and transport nor on retries.

use super::arrived::Arrived;
use super::key_cache::KeyCache;
use super::{Server, TableState};
use crate::id::{NodeId, Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::store::Table;
use crate::wire::{Flags, Header, RxFrame, Status};
use smallvec::SmallVec;
use std::collections::BTreeMap;

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

/// What a writer has said of one time.
#[derive(Debug, Clone, Copy)]
struct Slices {
    at: (Time, WriterId),
    received: u32,
    announced: Option<u32>,
}

/// The open step of one table and what came early for later ones. The lists keep their memory from
/// step to step, so that a step like those before allocates nothing.
pub(super) struct Step {
    open: Time,
    writers: u32,
    /// In the order of arrival.
    kept: Vec<Kept>,
    /// In order.
    slices: Vec<Slices>,
    finished: BTreeMap<WriterId, Time>,
}

impl Step {
    pub(super) fn new(writers: u32) -> Step {
        Step { open: Time(0), writers, kept: Vec::new(), slices: Vec::new(), finished: BTreeMap::new() }
    }

    /// Every step before this time is committed.
    pub(super) fn open_time(&self) -> Time {
        self.open
    }

    fn is_finished(&self, writer: WriterId) -> bool {
        self.finished.get(&writer).is_some_and(|&from| from <= self.open)
    }

    fn all_finished(&self) -> bool {
        (0..self.writers).all(|writer| self.is_finished(WriterId(writer)))
    }

    fn is_complete(&self) -> bool {
        let ended = |writer| {
            let found = self.slices.binary_search_by_key(&(self.open, writer), |slices| slices.at);
            found.is_ok_and(|place| self.slices[place].announced == Some(self.slices[place].received))
        };
        self.open != Time::FINISHED
            && (0..self.writers).map(WriterId).all(|writer| ended(writer) || self.is_finished(writer))
    }

    /// What the writer has said of that time, nothing at first.
    fn slices_mut(&mut self, time: Time, writer: WriterId) -> &mut Slices {
        let at = (time, writer);
        let place = self.slices.binary_search_by_key(&at, |slices| slices.at).unwrap_or_else(|place| {
            self.slices.insert(place, Slices { at, received: 0, announced: None });
            place
        });
        &mut self.slices[place]
    }

    /// Brings what is kept into the order of accumulation; gives how much of it is of the open step.
    fn order_open(&mut self) -> usize {
        self.kept.sort_unstable_by_key(Kept::place);
        self.kept.partition_point(|kept| kept.place().0 <= self.open)
    }

    /// Opens the next time; the last one for ever when every writer has finished.
    fn advance(&mut self) {
        self.open = Time(self.open.0 + 1);
        if self.all_finished() {
            self.open = Time::FINISHED;
        }
        let open = self.open;
        self.slices.retain(|slices| slices.at.0 >= open);
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
        let header = *push.header();
        self.waiting_bytes += push.bytes();
        let step = &mut self.tables[index].step;
        step.slices_mut(header.time, header.writer).received += 1;
        step.kept.push(Kept { push, parts: parts.into() });
        self.end_complete_steps(index);
    }

    /// Hears that a writer has ended a time, and acknowledges it. A repeated mark changes nothing.
    pub(super) fn on_end_of_time(&mut self, from: NodeId, frame: &RxFrame) {
        let Some(index) = self.route(from, frame) else { return };
        let header = frame.header;
        self.settle(index, &header);
        let ahead = header.time.0.saturating_sub(self.tables[index].step.open.0);
        if ahead as usize >= limit::WINDOW_TIMESTAMPS {
            self.refuse_busy(from, &header);
            return;
        }
        self.record_end(index, &header);
        self.reply(from, &header, Status::Ok);
        self.end_complete_steps(index);
        self.serve_waiting(index);
    }

    fn record_end(&mut self, index: usize, header: &Header) {
        let state = &mut self.tables[index];
        if header.time >= state.step.open {
            state.step.slices_mut(header.time, header.writer).announced = Some(header.slice_count);
        }
        if header.flags.has(Flags::FINISHED) {
            let from = Time(header.time.0.saturating_add(1));
            state.step.finished.entry(header.writer).or_insert(from);
            state.clock.finish_time(header.writer, Time::FINISHED);
        } else {
            state.clock.finish_time(header.writer, header.time);
        }
    }

    fn end_complete_steps(&mut self, index: usize) {
        while self.tables[index].step.is_complete() {
            let TableState { table, step, .. } = &mut self.tables[index];
            let count = step.order_open();
            step.kept[..count].iter().for_each(|kept| kept.accumulate(table, &mut self.key_cache));
            table.commit();
            for Kept { push, .. } in step.kept.drain(..count) {
                self.waiting_bytes -= push.bytes();
                self.chain.applied(push.from, *push.header());
            }
            step.advance();
            self.acknowledge_committed();
        }
    }
}
