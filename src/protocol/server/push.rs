//! The data path of a push.

use super::{Server, Waiting};
use crate::clock::ClockError;
use crate::id::NodeId;
use crate::keyspace::KeyRange;
use crate::wire::{Flags, Header, RxFrame, Status};

/// Keys of a request: its key block, or `None` when it is dense.
pub(super) fn keys_of(frame: &RxFrame) -> Option<&[u64]> {
    (!frame.header.flags.has(Flags::DENSE)).then(|| frame.body().keys)
}

impl Server {
    pub(super) fn on_push(&mut self, from: NodeId, frame: RxFrame) {
        let Some(index) = self.route(from, &frame) else { return };
        let header = frame.header;
        if self.refuse_malformed(from, index, &frame) {
            return;
        }
        self.settle(index, &header);
        if !self.dependencies_applied(index, &frame) {
            self.park(from, index, frame);
            return;
        }
        self.claim_and_apply(from, index, frame);
        self.serve_waiting(index);
    }

    /// Refuses a push whose keys or values are wrong, before anything of it is applied.
    fn refuse_malformed(&mut self, from: NodeId, index: usize, frame: &RxFrame) -> bool {
        let header = frame.header;
        let keys = keys_of(frame);
        if keys.is_some_and(|keys| keys.len() != header.key_count as usize) {
            self.refuse(from, &header, "the key block does not hold as many keys as the header says");
            return true;
        }
        match self.tables[index].table.check_push(header.range, keys, frame.body().values) {
            Ok(()) => false,
            Err(error) => {
                self.refuse(from, &header, &error.to_string());
                true
            }
        }
    }

    /// Everything of the writer below its settled mark is acknowledged everywhere.
    pub(super) fn settle(&mut self, index: usize, header: &Header) {
        self.tables[index].clock.settle(header.writer, header.settled);
    }

    /// Whether what the frame depends on is applied here.
    pub(super) fn dependencies_applied(&self, index: usize, frame: &RxFrame) -> bool {
        let clock = &self.tables[index].clock;
        let writer = frame.header.writer;
        frame.body().dependencies.iter().all(|dependency| clock.has(writer, dependency.timestamp(), dependency.range()))
    }

    /// Keeps a request that must wait, within the shard's limit. A repeated one is dropped.
    pub(super) fn park(&mut self, from: NodeId, index: usize, frame: RxFrame) {
        let same = |waiting: &Waiting| {
            let (old, new) = (&waiting.frame.header, &frame.header);
            (old.writer, old.timestamp, old.range) == (new.writer, new.timestamp, new.range)
        };
        if self.tables[index].waiting.iter().any(same) {
            return;
        }
        if !self.may_wait(&frame) {
            self.refuse_busy(from, &frame.header);
            return;
        }
        self.waiting_bytes += frame.bytes();
        self.tables[index].waiting.push(Waiting { from, frame });
    }

    /// Whether there is room for a frame that waits without belonging to an open step.
    pub(super) fn may_wait(&self, frame: &RxFrame) -> bool {
        self.waiting_bytes + frame.bytes() <= self.waiting_bytes_max / 2
    }

    /// Claims the push's name and applies what nobody applied before.
    pub(super) fn claim_and_apply(&mut self, from: NodeId, index: usize, frame: RxFrame) {
        let header = frame.header;
        let sequential = self.is_sequential(index);
        if sequential && header.time < self.tables[index].step.open_time() {
            self.answer_past_step(from, index, &header);
            return;
        }
        if sequential && self.refuse_overflow(from, index, &frame) {
            return;
        }
        let parts = match self.tables[index].clock.claim(header.writer, header.timestamp, header.range) {
            Ok(parts) => parts,
            Err(ClockError::Window { .. } | ClockError::Ranges { .. }) => {
                self.refuse_busy(from, &header);
                return;
            }
            Err(error @ ClockError::Timestamp(_)) => {
                self.refuse(from, &header, &error.to_string());
                return;
            }
        };
        if parts.is_empty() {
            self.traffic.duplicates += 1;
            // A sequential push that is not committed yet is acknowledged with its step.
            if !sequential {
                self.reply(from, &header, Status::Ok);
            }
            return;
        }
        self.traffic.pushes += 1;
        if sequential {
            self.keep_for_step(from, index, frame, parts);
        } else {
            self.apply(index, &frame, &parts);
            self.chain.applied(from, header);
            self.acknowledge_committed();
        }
    }

    fn apply(&mut self, index: usize, frame: &RxFrame, parts: &[KeyRange]) {
        let table = &mut self.tables[index].table;
        for &part in parts {
            table.apply(part, frame.header.range, keys_of(frame), frame.body().values);
        }
    }

    /// A push of a step that is committed: a duplicate if its name is known, otherwise too late.
    fn answer_past_step(&mut self, from: NodeId, index: usize, header: &Header) {
        let state = &self.tables[index];
        if state.clock.has(header.writer, header.timestamp, header.range) {
            self.traffic.duplicates += 1;
            self.reply(from, header, Status::Ok);
        } else {
            let open = state.step.open_time();
            self.refuse(
                from,
                header,
                &format!("{} pushed at {}, which ended: now is {open}", header.writer, header.time),
            );
        }
    }

    /// Sends the acknowledgements of everything that the chain has committed.
    pub(super) fn acknowledge_committed(&mut self) {
        while let Some((to, header)) = self.chain.poll_committed() {
            self.reply(to, &header, Status::Ok);
        }
    }
}
