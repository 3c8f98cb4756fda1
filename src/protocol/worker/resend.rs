//! Sending segments: at first, when a connection stands again, and when an answer is overdue.

use super::Worker;
use super::operation::SegmentState;
use crate::id::{Nanos, NodeId, TableId, Time, Timestamp};
use crate::limit;
use crate::protocol::machine::Output;
use crate::wire::{Header, Kind};

impl Worker {
    /// Sends one open segment if its shard is connected; otherwise it goes out on `Connected`.
    pub(super) fn send_segment(&mut self, now: Nanos, timestamp: Timestamp, index: usize) {
        let settled = self.operations.settled();
        let Some(operation) = self.operations.at_mut(timestamp) else { return };
        let segment = &mut operation.segments[index];
        let is_held = self.held_marks.contains(&timestamp) || !operation.held_for.is_empty();
        if is_held || segment.state == SegmentState::Done || !self.shards.is_connected(segment.to) {
            return;
        }
        if segment.sendings > 0 {
            self.traffic.retries += 1;
        }
        segment.state = SegmentState::Sent(now);
        segment.sendings = segment.sendings.saturating_add(1);
        segment.header.settled = settled;
        let to = segment.to;
        if let Some(frame) = self.encode(timestamp, index) {
            self.outputs.push_back(Output::Send { to, frame });
        }
    }

    /// A connection stands (again): whatever is open for this shard is sent, for what was on its
    /// way when the last connection broke may be lost.
    pub(super) fn send_open_to(&mut self, now: Nanos, peer: NodeId) {
        let of_peer = |segment: &super::operation::Segment| {
            segment.to == peer && !matches!(segment.state, SegmentState::Done | SegmentState::Moved)
        };
        self.send_where(now, of_peer);
    }

    /// Sends what was refused for now or has waited too long for an answer.
    pub(super) fn send_overdue(&mut self, now: Nanos) {
        self.send_where(now, |segment| match segment.state {
            SegmentState::Sent(at) => now >= at.after(limit::RETRY_TIMEOUT),
            SegmentState::Backoff(until) => now >= until,
            _ => false,
        });
        let due = |state: SegmentState| match state {
            SegmentState::Sent(at) => Some(at.after(limit::RETRY_TIMEOUT)),
            SegmentState::Backoff(until) => Some(until),
            _ => None,
        };
        // What waits for a connection goes out with it and is due at no moment.
        let segments = self.operations.iter().flat_map(|(_, operation)| &operation.segments);
        let segments = segments.filter(|segment| self.shards.is_connected(segment.to));
        let next = segments.filter_map(|segment| due(segment.state)).min();
        let latest = now.after(limit::RETRY_TIMEOUT);
        self.resend_at = next.map_or(latest, |next| next.clamp(Nanos(now.0 + 1), latest));
        self.ask_again();
    }

    /// Whether a call of the table, or an exact pull, that began at `time` or before is not answered. Until it
    /// is, the mark that ends `time` is held back: its step could be committed, and the pull then see it; and
    /// when the mark is the writer's last, what overtakes a call would retire the call's name unanswered.
    pub(super) fn has_open_question(&self, table: TableId, time: Time) -> bool {
        self.operations.iter().filter(|(_, operation)| !operation.is_done()).any(|(_, operation)| {
            let holds = |header: &Header| header.kind == Kind::Call || operation.is_exact;
            let of_time = |header: &Header| holds(header) && header.table == table && header.time <= time;
            operation.segments.first().is_some_and(|segment| of_time(&segment.header))
        })
    }

    /// Sends the marks whose pulls are answered.
    pub(super) fn release_marks(&mut self, now: Nanos) {
        let is_free = |worker: &Worker, mark: Timestamp| {
            let header = worker.operations.at(mark).and_then(|operation| operation.segments.first());
            header.is_none_or(|segment| !worker.has_open_question(segment.header.table, segment.header.time))
        };
        while let Some(place) = self.held_marks.iter().position(|&mark| is_free(self, mark)) {
            let mark = self.held_marks.remove(place);
            let count = self.operations.at(mark).map_or(0, |operation| operation.segments.len());
            (0..count).for_each(|index| self.send_segment(now, mark, index));
        }
    }

    fn send_where(&mut self, now: Nanos, wanted: impl Fn(&super::operation::Segment) -> bool) {
        let mut due = Vec::new();
        for (timestamp, operation) in self.operations.iter() {
            let indexes = operation.segments.iter().enumerate().filter(|(_, segment)| wanted(segment));
            due.extend(indexes.map(|(index, _)| (timestamp, index)));
        }
        due.into_iter().for_each(|(timestamp, index)| self.send_segment(now, timestamp, index));
    }
}
