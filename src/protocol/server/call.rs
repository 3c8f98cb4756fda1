//! The way of a call: check -> wait for the time that it demands and for declared dependencies -> claim
//! its name -> run the function on the rows -> keep the answer -> reply.
//!
//! A call runs once. Its answer is kept until the writer has settled its name, and a repeated question is
//! answered from there; a name that is claimed without an answer is settled, and nobody waits for it.
//!
//! A function that panics is a call that is answered with an error; the shard and the job go on.
//!
//! Past [`limit::SHARD_ANSWER_BYTES`] of kept answers a call is refused `busy`, unless it is its writer's
//! oldest open operation: so the one for which all others wait always goes on.

use super::Server;
use super::arrived::Arrived;
use crate::error::{Classify, Severity};
use crate::id::{NodeId, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::TxBuf;
use crate::store::CallError;
use crate::wire::{CallBody, Header, RxFrame};
use std::collections::BTreeMap;

/// Answers by the names of their calls.
#[derive(Debug, Default)]
pub(super) struct Answers {
    kept: BTreeMap<(WriterId, Timestamp, KeyRange), Result<TxBuf, String>>,
    bytes: usize,
}

/// Bytes that one kept answer costs.
fn cost(answer: &Result<TxBuf, String>) -> usize {
    size_of::<(WriterId, Timestamp, KeyRange, TxBuf)>() + answer.as_ref().map_or_else(String::len, |bytes| bytes.len())
}

impl Answers {
    fn keep(&mut self, call: &Header, answer: Result<TxBuf, String>) {
        self.bytes += cost(&answer);
        if let Some(old) = self.kept.insert((call.writer, call.timestamp, call.range), answer) {
            self.bytes -= cost(&old);
        }
    }

    fn of(&self, call: &Header) -> Option<&Result<TxBuf, String>> {
        self.kept.get(&(call.writer, call.timestamp, call.range))
    }

    /// The writer has the answers to all calls below `settled`.
    pub(super) fn settle(&mut self, writer: WriterId, settled: Timestamp) {
        let first = (writer, Timestamp(0), KeyRange::default());
        while let Some((&name, answer)) = self.kept.range(first..(writer, settled, KeyRange::default())).next() {
            self.bytes -= cost(answer);
            self.kept.remove(&name);
        }
    }

    fn has_room(&self) -> bool {
        self.bytes + limit::CALL_ANSWER_BYTES <= limit::SHARD_ANSWER_BYTES
    }
}

impl Server {
    pub(super) fn on_call(&mut self, from: NodeId, frame: RxFrame) {
        let Some(index) = self.route(from, &frame) else { return };
        let header = frame.header;
        self.settle(index, &header);
        if let Err(reason) = self.check_call(&frame) {
            self.refuse(from, &header, &reason);
            return;
        }
        let call = Arrived::of_call(from, self.now, frame);
        if !self.may_answer(index, &call) {
            self.park(index, call);
            return;
        }
        self.run_call(index, &call);
        self.serve_waiting(index);
    }

    /// Everything that can be wrong with a call before the function looks at it.
    fn check_call(&self, frame: &RxFrame) -> Result<(), String> {
        let body = CallBody::decode(frame.body().values)?;
        self.functions.call(body.function)?;
        let (found, limit) = (body.arguments.len(), limit::CALL_ARGUMENT_BYTES);
        match (frame.header.key_bytes, found > limit) {
            (0, false) => Ok(()),
            (0, true) => Err(format!("{found} bytes of arguments, limit {limit}")),
            (bytes, _) => Err(format!("a call with {bytes} bytes of keys")),
        }
    }

    /// Runs a call, or repeats its answer.
    pub(super) fn run_call(&mut self, index: usize, call: &Arrived) {
        let (from, header) = (call.from, *call.header());
        if let Some(answer) = self.answers.of(&header).cloned() {
            self.traffic.duplicates += 1;
            self.answer_call(from, &header, answer);
            return;
        }
        if !self.answers.has_room() && header.settled < header.timestamp {
            self.refuse_busy(from, &header);
            return;
        }
        let mut parts = std::mem::take(&mut self.claimed);
        match self.tables[index].clock.record(header.writer, header.timestamp, header.range, &mut parts) {
            Ok(()) if parts.is_empty() => self.traffic.duplicates += 1,
            Ok(()) => {
                self.traffic.calls += 1;
                let answer = self.run(index, call, &parts);
                self.answers.keep(&header, answer.clone());
                self.answer_call(from, &header, answer);
            }
            Err(error) if error.severity() == Severity::Retryable => self.refuse_busy(from, &header),
            Err(error) => self.refuse(from, &header, &error.to_string()),
        }
        self.claimed = parts;
    }

    fn run(&mut self, index: usize, call: &Arrived, parts: &[KeyRange]) -> Result<TxBuf, String> {
        let body = CallBody::decode(call.values())?;
        let (function, state) = (self.functions.call(body.function)?, &mut self.tables[index]);
        let answer = state.table.run(function.as_ref(), parts, body.arguments);
        let (table, function) = (&state.spec.name, body.function);
        let named = |error: CallError| match error {
            CallError::Refused(reason) => format!("table '{table}', function '{function}': {reason}"),
            CallError::Panicked(_) => format!("table '{table}', function '{function}' {error}"),
        };
        answer.map(TxBuf::from_vec).map_err(named)
    }

    fn answer_call(&mut self, to: NodeId, request: &Header, answer: Result<TxBuf, String>) {
        match answer {
            Ok(answer) => self.reply_answer(to, request, answer),
            Err(reason) => self.refuse(to, request, &reason),
        }
    }
}
