//! Taking answers: every reply may be fine, `moved`, `need keys`, `busy` or an error.

use super::Worker;
use super::operation::{OperationError, SegmentState};
use crate::id::{Nanos, NodeId, Timestamp};
use crate::limit;
use crate::wire::{Kind, RxFrame, Status};

impl Worker {
    /// Finds the segment that a reply answers and acts on its status. A reply to something that is
    /// not open is a duplicate and is dropped, and so is one that comes from an older epoch.
    pub(super) fn on_answer(&mut self, now: Nanos, from: NodeId, frame: &RxFrame) {
        let header = &frame.header;
        if !self.identity.shares_job_with(header) {
            return;
        }
        let timestamp = header.timestamp;
        let Some(operation) = self.operations.get_mut(&timestamp) else { return };
        let matches = |segment: &super::operation::Segment| {
            let (asked, done) = (&segment.header, segment.state == SegmentState::Done);
            segment.to == from && asked.range == header.range && reply_kind(asked.kind) == Some(header.kind) && !done
        };
        let Some(index) = operation.segments.iter().position(matches) else { return };
        match header.status {
            // Who served it did so in an epoch that is over; the owner of now was asked too.
            Status::Ok if header.epoch < self.partition.epoch => {}
            Status::Ok => self.on_ok(timestamp, index, frame),
            Status::Busy => self.back_off(now, timestamp, index),
            Status::NeedKeys => self.send_segment(now, timestamp, index),
            Status::Moved if header.epoch > self.partition.epoch => {
                operation.segments[index].state = SegmentState::Moved;
                self.membership.ask_partition(&self.identity, &mut self.outputs);
            }
            // The shard knows less than we do, or both know the same and disagree for a moment.
            Status::Moved => self.back_off(now, timestamp, index),
            Status::Error => {
                let reason = String::from_utf8_lossy(frame.body().values).into_owned();
                let error = OperationError::Refused { server: from, reason };
                operation.error.get_or_insert(error);
                self.on_segment_done(timestamp, index);
            }
        }
        self.release_marks(now);
    }

    fn on_ok(&mut self, timestamp: Timestamp, index: usize, frame: &RxFrame) {
        let Some(operation) = self.operations.get_mut(&timestamp) else { return };
        if frame.header.kind == Kind::PullReply {
            self.traffic.bytes_pulled += frame.bytes() as u64;
            let segment = &operation.segments[index];
            let values = frame.body().values;
            let value_size = segment.header.dtype.bytes() * usize::from(segment.header.width);
            let bytes = segment.header.key_count as usize * value_size;
            match operation.target.as_mut() {
                Some(target) if values.len() == bytes => {
                    target[segment.target_offset..segment.target_offset + bytes].copy_from_slice(values);
                }
                _ => {
                    let reason = format!("answered a pull of {bytes} bytes with {} bytes", values.len());
                    operation.error.get_or_insert(OperationError::Refused { server: segment.to, reason });
                }
            }
        }
        self.on_segment_done(timestamp, index);
    }

    fn on_segment_done(&mut self, timestamp: Timestamp, index: usize) {
        let Some(operation) = self.operations.get_mut(&timestamp) else { return };
        let segment = &mut operation.segments[index];
        segment.state = SegmentState::Done;
        (segment.keys, segment.values) = (None, None);
        operation.open_count -= 1;
        if !operation.is_done() {
            return;
        }
        if self.unacknowledged.remove(&timestamp) {
            self.unacknowledged_bytes -= operation.source_bytes;
        }
        if operation.abandoned {
            let error = self.operations.remove(&timestamp).and_then(|operation| operation.error);
            self.refusal = self.refusal.take().or(error);
        }
    }

    fn back_off(&mut self, now: Nanos, timestamp: Timestamp, index: usize) {
        let until = now.after(limit::BUSY_BACKOFF);
        if let Some(operation) = self.operations.get_mut(&timestamp) {
            operation.segments[index].state = SegmentState::Backoff(until);
            self.resend_at = self.resend_at.min(until);
        }
    }
}

/// What answers a request of this kind.
fn reply_kind(request: Kind) -> Option<Kind> {
    match request {
        Kind::Push => Some(Kind::PushReply),
        Kind::Pull => Some(Kind::PullReply),
        Kind::EndOfTime => Some(Kind::EndOfTimeReply),
        _ => None,
    }
}
