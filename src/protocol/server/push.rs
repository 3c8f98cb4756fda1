//! The data path of a push.

use super::Server;
use super::arrived::Arrived;
use crate::error::{Classify, Severity};
use crate::id::NodeId;
use crate::keyspace::KeyRange;
use crate::store::StoreError;
use crate::wire::{Header, RxFrame, Shutdown, Status};

impl Server {
    pub(super) fn on_push(&mut self, from: NodeId, frame: RxFrame) {
        let Some(index) = self.route(from, &frame) else { return };
        let Some(push) = self.receive(from, index, frame) else { return };
        self.settle(index, &push.header().clone());
        if !self.dependencies_applied(index, push.frame()) {
            self.park(index, push);
            return;
        }
        self.claim_and_apply(index, push);
        self.serve_waiting(index);
    }

    /// Everything of the writer below its settled mark is acknowledged everywhere.
    pub(super) fn settle(&mut self, index: usize, header: &Header) {
        self.tables[index].clock.settle(header.writer, header.settled);
        self.answers.settle(header.writer, header.settled);
    }

    /// Whether what the frame depends on is applied here.
    pub(super) fn dependencies_applied(&self, index: usize, frame: &RxFrame) -> bool {
        let clock = &self.tables[index].clock;
        let writer = frame.header.writer;
        frame.body().dependencies.iter().all(|dependency| clock.has(writer, dependency.timestamp(), dependency.range()))
    }

    /// Keeps a request that must wait, within the shard's limit. A repeated one is dropped.
    pub(super) fn park(&mut self, index: usize, request: Arrived) {
        let new = *request.header();
        let same = |waiting: &Arrived| {
            let old = waiting.header();
            (old.writer, old.timestamp, old.range) == (new.writer, new.timestamp, new.range)
        };
        if self.tables[index].waiting.iter().any(same) {
            return;
        }
        if !self.may_wait(&request) {
            self.refuse_busy(request.from, &new);
            return;
        }
        if !self.is_in_time(index, &new) {
            self.tables[index].waited += 1;
        }
        self.waiting_bytes += request.bytes();
        self.tables[index].waiting.push(request);
    }

    /// Whether there is room for a request that waits without belonging to an open step.
    pub(super) fn may_wait(&self, request: &Arrived) -> bool {
        self.waiting_bytes + request.bytes() <= self.waiting_bytes_max / 2
    }

    /// Claims the push's name and applies what nobody applied before.
    pub(super) fn claim_and_apply(&mut self, index: usize, push: Arrived) {
        let (from, header) = (push.from, *push.header());
        let sequential = self.is_sequential(index);
        if sequential && header.time < self.tables[index].step.open_time() {
            self.answer_past_step(from, index, &header);
            return;
        }
        if sequential && self.refuse_overflow(index, &push) {
            return;
        }
        let time = self.counted_time(index, &header);
        let mut parts = std::mem::take(&mut self.claimed);
        match self.tables[index].clock.claim(header.writer, header.timestamp, time, header.range, &mut parts) {
            Ok(()) if parts.is_empty() => self.answer_duplicate(from, index, &header),
            Ok(()) => {
                self.traffic.pushes += 1;
                if sequential {
                    self.keep_for_step(index, push, &parts);
                } else {
                    self.apply(index, &push, &parts);
                    match self.tables[index].table.take_panic() {
                        Some(error) => self.give_up(&error, [(from, header)]),
                        None => self.chain.applied(from, header),
                    }
                    self.acknowledge_committed();
                }
            }
            Err(error) if error.severity() == Severity::Retryable => self.refuse_busy(from, &header),
            Err(error) => self.refuse(from, &header, &error.to_string()),
        }
        self.claimed = parts;
    }

    /// A sequential push that is not committed yet is acknowledged with its step.
    fn answer_duplicate(&mut self, from: NodeId, index: usize, header: &Header) {
        self.traffic.duplicates += 1;
        if !self.is_sequential(index) {
            self.reply(from, header, Status::Ok);
        }
    }

    /// Runs the update function on the claimed parts; on a whole kept list by its positions.
    fn apply(&mut self, index: usize, push: &Arrived, parts: &[KeyRange]) {
        let (table, header) = (&mut self.tables[index].table, push.header());
        if let Some(list) = push.list()
            && parts == [header.range]
            && let Some(positions) = self.key_cache.positions(list.digest)
        {
            table.apply_at(&list.keys, positions, push.values());
            self.key_cache.changed(list.digest);
            return;
        }
        for &part in parts {
            table.apply(part, header.range, push.keys(), push.values());
        }
    }

    /// The update function has panicked: these pushes are not, or not wholly, applied and cannot be taken back.
    pub(super) fn give_up(&mut self, error: &StoreError, pushes: impl IntoIterator<Item = (NodeId, Header)>) {
        let message = error.to_string();
        pushes.into_iter().for_each(|(from, header)| self.refuse(from, &header, &message));
        let message = format!("{}: {message}", self.identity.node);
        self.fail(Shutdown { exit_code: error.exit_code() as u8, message });
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
