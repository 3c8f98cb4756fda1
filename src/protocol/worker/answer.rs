//! Taking answers: every reply may be fine, `moved`, `need keys`, `busy` or an error.

use super::Worker;
use super::operation::{Operation, OperationError, Segment, SegmentState};
use super::target::Target;
use crate::id::{Nanos, NodeId, Timestamp};
use crate::limit;
use crate::memory::keep_counted;
use crate::wire::{AnswerNumbers, FilterFlags, HEADER_BYTES, Header, Kind, RxFrame, Status};

impl Worker {
    /// Finds the segment that a reply answers and acts on its status. A reply to something that is
    /// not open is a duplicate and is dropped, and so is one that comes from an older epoch.
    pub(super) fn on_answer(&mut self, now: Nanos, from: NodeId, frame: RxFrame) {
        let header = &frame.header;
        if !self.identity.shares_job_with(header) {
            return;
        }
        let timestamp = header.timestamp;
        let Some(operation) = self.operations.at_mut(timestamp) else { return };
        let Some(index) = operation.asked(from, header) else { return };
        match header.status {
            // Who served it did so in an epoch that is over; the owner of now was asked too.
            Status::Ok if header.epoch < self.partition.epoch => {}
            Status::Ok if !operation.segments[index].can_read(header) => self.back_off(now, timestamp, index),
            Status::Ok => self.on_ok(timestamp, index, frame),
            Status::Busy => self.back_off(now, timestamp, index),
            Status::NeedKeys => self.send_with_keys(now, timestamp, index),
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
        self.release_held(now);
        self.release_marks(now);
        self.tell_delays();
    }

    /// The shard's cache has lost the list, or never had it.
    fn send_with_keys(&mut self, now: Nanos, timestamp: Timestamp, index: usize) {
        let Some(operation) = self.operations.at(timestamp) else { return };
        let segment = &operation.segments[index];
        // Late, or without reason: the keys are on their way.
        if !segment.keys_omitted {
            return;
        }
        self.traffic.keys_needed += 1;
        self.shards.on_missed(segment.to, segment.header.digest);
        self.send_segment(now, timestamp, index);
    }

    fn on_ok(&mut self, timestamp: Timestamp, index: usize, frame: RxFrame) {
        let Some(operation) = self.operations.at_mut(timestamp) else { return };
        let segment = &operation.segments[index];
        if segment.header.digest != 0 && frame.header.filter_flags.has(FilterFlags::KEY_CACHE) {
            self.shards.on_held(segment.to, segment.header.digest, segment.keys_omitted);
        }
        if frame.header.kind == Kind::CallReply {
            let answer = keep_counted(frame.body().values).into_vec();
            operation.answers.insert(frame.header.range, answer);
        } else if frame.header.kind == Kind::PullReply {
            self.traffic.bytes_pulled += frame.bytes() as u64;
            self.traffic.changes_pulled += u64::from(frame.header.answer_numbers().base != 0);
            if let Err(reason) = self.take_values(timestamp, index, frame)
                && let Some(operation) = self.operations.at_mut(timestamp)
            {
                let server = operation.segments[index].to;
                operation.error.get_or_insert(OperationError::Refused { server, reason });
            }
        }
        self.on_segment_done(timestamp, index);
    }

    /// Unpacks the values of an answer to their place in the caller's block, unless they have landed there.
    /// The whole answer in one piece that nothing packed is itself that block.
    fn take_values(&mut self, timestamp: Timestamp, index: usize, frame: RxFrame) -> Result<(), String> {
        let Some(operation) = self.operations.at_mut(timestamp) else { return Ok(()) };
        let (segment, flags) = (&operation.segments[index], frame.header.filter_flags);
        let is_remembered = frame.header.answer_numbers() != AnswerNumbers::default();
        let bytes = segment.header.key_count as usize * segment.header.value_size();
        if frame.landed {
            let part = segment.target_offset..segment.target_offset + bytes;
            let is_there = frame.header.value_bytes as usize == bytes && operation.target.on_landed(part);
            return is_there
                .then_some(())
                .ok_or_else(|| "says that values landed where none were asked for".to_owned());
        }
        let is_whole = !operation.is_given && bytes == operation.target_bytes && frame.bytes() == HEADER_BYTES + bytes;
        if is_whole && !is_remembered && !flags.packs(FilterFlags::VALUE_BLOCK) {
            operation.target = frame.into_body().into_block().map_or(Target::Nothing, Target::Block);
            return Ok(());
        }
        let target = operation.target.writable(&self.pool, operation.target_bytes);
        let target = target.get_mut(segment.target_offset..).and_then(|target| target.get_mut(..bytes));
        let Some(target) = target else {
            return Err("answered a request that is no pull with values".to_owned());
        };
        let (chain, values) = (&mut self.chains[usize::from(segment.header.table.0)], frame.body().values);
        chain.values.decode_into(flags, values, target).map_err(|error| {
            format!("answered a pull of {bytes} bytes with {} bytes that do not fit: {error}", values.len())
        })?;
        if is_remembered {
            segment.take_changes(&mut self.pulled, &self.pool, &frame.header, target);
        }
        Ok(())
    }

    fn on_segment_done(&mut self, timestamp: Timestamp, index: usize) {
        let Some(operation) = self.operations.at_mut(timestamp) else { return };
        let segment = &mut operation.segments[index];
        segment.state = SegmentState::Done;
        (segment.keys, segment.values, segment.before) = (None, None, None);
        operation.open_count -= 1;
        if !operation.is_done() {
            return;
        }
        operation.target.settle(&self.pool);
        let is_abandoned = operation.abandoned;
        self.operations.acknowledge(timestamp);
        if is_abandoned {
            self.forget_abandoned(timestamp);
        }
    }

    fn back_off(&mut self, now: Nanos, timestamp: Timestamp, index: usize) {
        let until = now.after(limit::BUSY_BACKOFF);
        if let Some(operation) = self.operations.at_mut(timestamp) {
            operation.segments[index].state = SegmentState::Backoff(until);
            self.resend_at = self.resend_at.min(until);
        }
    }
}

impl Operation {
    /// The open segment that an answer is to. Answers come in the order of the segments as a rule.
    fn asked(&mut self, from: NodeId, answer: &Header) -> Option<usize> {
        let matches = |segment: &Segment| {
            let (asked, done) = (&segment.header, segment.state == SegmentState::Done);
            segment.to == from && asked.range == answer.range && reply_kind(asked.kind) == Some(answer.kind) && !done
        };
        let (before, rest) = self.segments.split_at(self.next_answer.min(self.segments.len()));
        let later = rest.iter().position(matches).map(|index| index + before.len());
        let found = later.or_else(|| before.iter().position(matches))?;
        self.next_answer = found + 1;
        Some(found)
    }
}

/// What answers a request of this kind.
fn reply_kind(request: Kind) -> Option<Kind> {
    match request {
        Kind::Push => Some(Kind::PushReply),
        Kind::Pull => Some(Kind::PullReply),
        Kind::Call => Some(Kind::CallReply),
        Kind::EndOfTime => Some(Kind::EndOfTimeReply),
        _ => None,
    }
}
