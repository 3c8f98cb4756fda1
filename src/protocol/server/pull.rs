//! The data path of a pull, and the requests that wait.

use super::Server;
use super::arrived::Arrived;
use super::past::Past;
use crate::id::{Incarnation, NodeId};
use crate::limit;
use crate::memory::{TxBuf, count_gathered};
use crate::wire::{Consistency, Header, Kind, Pieces, RxFrame};

impl Server {
    pub(super) fn on_pull(&mut self, from: NodeId, frame: RxFrame) {
        let Some(index) = self.route(from, &frame) else { return };
        let Some(pull) = self.receive(from, index, frame) else { return };
        self.settle(index, &pull.header().clone());
        if self.may_answer(index, &pull) {
            self.answer_pull(index, &pull);
        } else {
            self.park(index, pull);
        }
    }

    /// Whether committed state meets the clock that a pull or call demands.
    pub(super) fn may_answer(&self, index: usize, pull: &Arrived) -> bool {
        self.is_in_time(index, pull.header()) && self.dependencies_applied(index, pull.frame())
    }

    /// Whether every writer has ended the times that a pull or call demands; whatever else comes is in time.
    pub(super) fn is_in_time(&self, index: usize, request: &Header) -> bool {
        let state = &self.tables[index];
        !matches!(request.kind, Kind::Pull | Kind::Call)
            || match state.spec.consistency {
                Consistency::Sequential => request.time <= state.step.open_time(),
                Consistency::BoundedDelay { .. } => state.clock.has_reached(request.time, request.range),
                Consistency::Eventual => true,
            }
    }

    fn count_waited(&mut self, request: &Arrived) {
        let waited = self.now.since(request.since);
        self.traffic.waited_ns += u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
    }

    fn answer_pull(&mut self, index: usize, pull: &Arrived) {
        self.traffic.pulls += 1;
        let values = match self.past_values(index, pull) {
            Some(values) => values.into(),
            None => self.views(index, pull).unwrap_or_else(|| self.gather(index, pull).into()),
        };
        self.reply_values(index, pull, values);
    }

    /// The values before the last step, for a pull of that step by a writer that takes part in it.
    fn past_values(&self, index: usize, pull: &Arrived) -> Option<TxBuf> {
        let (header, state) = (pull.header(), &self.tables[index]);
        let is_of = |past: &&Past| past.is_of(header.time) && state.clock.takes_part(header.writer, header.time);
        let past = state.step.past().filter(is_of)?;
        let mut values = self.pool.block(pull.value_bytes(state.spec.value_size()));
        state.table.gather(header.range, pull.keys(), &mut values);
        past.restore(header.range, pull.keys(), &mut values);
        count_gathered(values.len());
        Some(values.freeze())
    }

    /// Forgets what a former start of a worker waits for: it asks no more, and whoever came in its place asks
    /// again under the same names, with memory of its own for the answers.
    pub(super) fn forget_former(&mut self, peer: NodeId, incarnation: Incarnation) {
        let is_former = |waiting: &Arrived| waiting.from == peer && waiting.header().incarnation != incarnation;
        for state in &mut self.tables {
            let former = state.waiting.iter().filter(|waiting| is_former(waiting));
            self.waiting_bytes -= former.map(Arrived::bytes).sum::<usize>();
            state.waiting.retain(|waiting| !is_former(waiting));
        }
    }

    /// The values of a dense pull as they lie in the table, where that is worth a pin.
    fn views(&mut self, index: usize, pull: &Arrived) -> Option<Pieces> {
        let state = &mut self.tables[index];
        if pull.keys().is_some() || pull.value_bytes(state.spec.value_size()) < limit::PINNED_BYTES_MIN {
            return None;
        }
        let pieces = state.table.gather_views(pull.header().range)?;
        // A filter reads one piece.
        (state.filters.values.is_plain() || pieces.count() == 1).then_some(pieces)
    }

    /// The values of a pull in a block.
    fn gather(&mut self, index: usize, pull: &Arrived) -> TxBuf {
        let (header, state) = (pull.header(), &self.tables[index]);
        let mut values = self.pool.block(pull.value_bytes(state.spec.value_size()));
        match pull.list().and_then(|list| Some((list, self.key_cache.positions(list.digest)?))) {
            Some((list, positions)) => {
                state.table.gather_at(&list.keys, positions, &mut values);
                self.key_cache.changed(list.digest);
            }
            None => state.table.gather(header.range, pull.keys(), &mut values),
        }
        count_gathered(values.len());
        values.freeze()
    }

    /// Serves whatever no longer has to wait, in order of time. A push that is applied may free
    /// others, so it looks again until nothing moves.
    pub(super) fn serve_waiting(&mut self, index: usize) {
        if self.tables[index].waiting.is_empty() {
            return;
        }
        self.tables[index].waiting.sort_unstable_by_key(|waiting| {
            let header = waiting.header();
            (header.time, header.timestamp, header.writer, header.range)
        });
        let ready = |server: &Server| {
            server.tables[index].waiting.iter().position(|waiting| match waiting.header().kind {
                Kind::Pull | Kind::Call => server.may_answer(index, waiting),
                _ => server.dependencies_applied(index, waiting.frame()),
            })
        };
        while let Some(position) = ready(self) {
            let waiting = self.tables[index].waiting.remove(position);
            self.waiting_bytes -= waiting.bytes();
            match waiting.header().kind {
                Kind::Pull => {
                    self.count_waited(&waiting);
                    self.answer_pull(index, &waiting);
                }
                Kind::Call => {
                    self.count_waited(&waiting);
                    self.run_call(index, &waiting);
                }
                _ => self.claim_and_apply(index, waiting),
            }
        }
    }
}
