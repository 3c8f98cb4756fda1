//! The data path of a pull, and the requests that wait.

use super::Server;
use super::push::keys_of;
use crate::id::NodeId;
use crate::wire::{Kind, RxFrame};

impl Server {
    pub(super) fn on_pull(&mut self, from: NodeId, frame: RxFrame) {
        let Some(index) = self.route(from, &frame) else { return };
        self.settle(index, &frame.header);
        match self.tables[index].table.check_pull(frame.header.range, keys_of(&frame)) {
            Err(error) => self.refuse(from, &frame.header, &error.to_string()),
            Ok(_) if !self.may_answer(index, &frame) => {
                self.traffic.waited += 1;
                self.park(from, index, frame);
            }
            Ok(reply_bytes) => self.answer_pull(from, index, &frame, reply_bytes),
        }
    }

    /// Whether committed state meets the clock that a pull demands.
    fn may_answer(&self, index: usize, frame: &RxFrame) -> bool {
        let in_time = !self.is_sequential(index) || frame.header.time <= self.tables[index].step.open_time();
        in_time && self.dependencies_applied(index, frame)
    }

    fn answer_pull(&mut self, from: NodeId, index: usize, frame: &RxFrame, reply_bytes: usize) {
        self.traffic.pulls += 1;
        let mut values = self.pool.block(reply_bytes);
        self.tables[index].table.gather(frame.header.range, keys_of(frame), &mut values);
        self.reply_values(from, &frame.header, values);
    }

    /// Serves whatever no longer has to wait, in order of time. A push that is applied may free
    /// others, so it looks again until nothing moves.
    pub(super) fn serve_waiting(&mut self, index: usize) {
        if self.tables[index].waiting.is_empty() {
            return;
        }
        self.tables[index].waiting.sort_by_key(|waiting| (waiting.frame.header.time, waiting.frame.header.timestamp));
        let ready = |server: &Server| {
            server.tables[index].waiting.iter().position(|waiting| match waiting.frame.header.kind {
                Kind::Pull => server.may_answer(index, &waiting.frame),
                _ => server.dependencies_applied(index, &waiting.frame),
            })
        };
        while let Some(position) = ready(self) {
            let waiting = self.tables[index].waiting.remove(position);
            self.waiting_bytes -= waiting.frame.bytes();
            match waiting.frame.header.kind {
                Kind::Pull => self.answer_waiting_pull(waiting.from, index, &waiting.frame),
                _ => self.claim_and_apply(waiting.from, index, waiting.frame),
            }
        }
    }

    fn answer_waiting_pull(&mut self, from: NodeId, index: usize, frame: &RxFrame) {
        match self.tables[index].table.check_pull(frame.header.range, keys_of(frame)) {
            Ok(reply_bytes) => self.answer_pull(from, index, frame, reply_bytes),
            Err(error) => self.refuse(from, &frame.header, &error.to_string()),
        }
    }
}
