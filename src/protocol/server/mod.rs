//! One shard of a server: owns key ranges of every table, applies pushes exactly once, and answers
//! pulls when the clock allows.
//!
//! The way of a push: check header, epoch and ownership -> check keys and values as views of the
//! received buffer -> wait for declared dependencies -> claim the sub-ranges whose record lacks it ->
//! `Eventual` and `BoundedDelay`: update function now; `Sequential`: keep the frame for the open step, and at the step's
//! end accumulate all writers' frames in writer order and run the update function once -> hand the
//! applied update to the chain -> acknowledge what the chain has committed.
//!
//! Invariants: nothing is applied before everything about a frame was checked; a frame that waits
//! is accounted in `waiting_bytes`, and past half of [`limit::SHARD_WAITING_BYTES`] new ones are
//! refused `busy`; the other half is for the open step, so that it can always end, and a step that
//! exceeds it is refused; a name that was claimed is never applied again; the committed time never falls.
//!
//! `arrived` unpacks requests, `key_cache` keeps key lists, `push` and `pull` are the data path, `step`
//! the sequential mode, `past` its last step undone for who takes over from a lost worker, `ending` the ends of times,
//! `call` runs functions on rows, `chain` the way from applied to acknowledged, `answer` the replies, `control` the
//! scheduler's words.

mod answer;
mod arrived;
mod call;
mod chain;
mod control;
mod ending;
mod key_cache;
mod past;
mod pull;
mod push;
mod step;
#[cfg(test)]
mod tests;

use super::identity::Identity;
use super::machine::{Input, Machine, Output};
use super::membership::Membership;
use crate::clock::RangeClock;
use crate::error::ExitCode;
use crate::filter;
use crate::id::{Nanos, NodeId, TableId};
use crate::keyspace::{KeyRange, Partition};
use crate::limit;
use crate::memory::Pool;
use crate::store::{Functions, Table};
use crate::wire::{Consistency, Kind, NodeInfo, RxFrame, Shutdown, TableSpec, Task, TaskReply};
use arrived::Arrived;
use call::Answers;
use chain::Chain;
use key_cache::KeyCache;
use std::collections::VecDeque;
use std::sync::Arc;
use step::Step;

pub use key_cache::KeyCacheFigures;

/// What the program that runs a shard is told.
#[derive(Debug)]
pub enum ServerEvent {
    /// The job is known; the tables stand.
    Welcome,
    /// Work with files: carry it out on [`Server::tables`] and call [`Server::task_done`].
    Task {
        /// To be given back.
        sequence: u64,
        /// What to do.
        task: Task,
    },
    /// The job ends.
    Ended(Shutdown),
}

/// Figures of one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerTraffic {
    /// Push segments applied or kept for their step.
    pub pushes: u64,
    /// Push segments that were recognised as duplicates.
    pub duplicates: u64,
    /// Pull segments answered.
    pub pulls: u64,
    /// Pull segments and calls that had to wait for writers to end their times.
    pub waited: u64,
    /// Nanoseconds that pull segments and calls have waited, for writers or for what they depend on.
    pub waited_ns: u64,
    /// Calls run.
    pub calls: u64,
    /// Requests refused because a limit was reached.
    pub busy: u64,
    /// Requests refused for good.
    pub refused: u64,
}

/// One table of the shard, with its clock, its open step and what waits for either.
struct TableState {
    spec: TableSpec,
    table: Table,
    filters: filter::Chain,
    clock: RangeClock,
    step: Step,
    /// Requests that cannot be served yet.
    waiting: Vec<Arrived>,
    /// Pull segments that had to wait for writers to end their times.
    waited: u64,
}

/// The shard's state machine.
pub struct Server {
    identity: Identity,
    pool: Arc<Pool>,
    membership: Membership,
    partition: Partition,
    writers: u32,
    tables: Vec<TableState>,
    key_cache: KeyCache,
    functions: Functions,
    /// To calls, kept until they are settled.
    answers: Answers,
    chain: Chain,
    /// The parts that a push or call claims, while it is served.
    claimed: Vec<KeyRange>,
    waiting_bytes: usize,
    waiting_bytes_max: usize,
    clock_bytes_max: usize,
    /// The moment of the input that is being handled.
    now: Nanos,
    last_task: Option<(u64, Option<TaskReply>)>,
    /// How much of what the scheduler decided about writers is done.
    writers_heard: u64,
    traffic: ServerTraffic,
    outputs: VecDeque<Output<ServerEvent>>,
}

impl Server {
    /// A shard that listens at `address` and registers with the scheduler at `scheduler_address`.
    #[must_use]
    pub fn new(
        now: Nanos,
        identity: Identity,
        address: String,
        host: String,
        scheduler_address: &str,
        pool: Arc<Pool>,
    ) -> Server {
        let mut outputs = VecDeque::new();
        Membership::begin(scheduler_address, &mut outputs);
        Server {
            identity,
            pool,
            membership: Membership::new(now, NodeInfo { node: identity.node, address, host }),
            partition: Partition { epoch: identity.epoch, entries: Vec::new() },
            writers: 0,
            tables: Vec::new(),
            key_cache: KeyCache::new(limit::SHARD_KEY_CACHE_BYTES),
            functions: Functions::default(),
            answers: Answers::default(),
            chain: Chain::default(),
            claimed: Vec::new(),
            waiting_bytes: 0,
            waiting_bytes_max: limit::SHARD_WAITING_BYTES,
            clock_bytes_max: limit::SHARD_CLOCK_BYTES,
            now,
            last_task: None,
            writers_heard: 0,
            traffic: ServerTraffic::default(),
            outputs,
        }
    }

    /// The shard's part of every table, in the job's order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().map(|state| &state.table)
    }

    /// The shard's part of one table, to load a model into.
    pub fn table_mut(&mut self, table: TableId) -> Option<&mut Table> {
        self.tables.get_mut(usize::from(table.0)).map(|state| &mut state.table)
    }

    /// The ranges of a table that this shard owns, in order.
    #[must_use]
    pub fn owned(&self, table: TableId) -> Vec<KeyRange> {
        let spec = self.tables.get(usize::from(table.0)).map(|state| &state.spec);
        spec.map_or(Vec::new(), |spec| self.partition.owned_by(self.identity.node, spec.key_end))
    }

    /// What was served so far.
    #[must_use]
    pub fn traffic(&self) -> ServerTraffic {
        ServerTraffic { waited: self.tables.iter().map(|state| state.waited).sum(), ..self.traffic }
    }

    /// Pull segments of one table that had to wait for writers to end their times.
    #[must_use]
    pub fn waited(&self, table: TableId) -> u64 {
        self.tables.get(usize::from(table.0)).map_or(0, |state| state.waited)
    }

    /// What the key cache holds and how often it helped.
    #[must_use]
    pub fn key_cache(&self) -> KeyCacheFigures {
        self.key_cache.figures()
    }

    /// Bounds the key cache; zero keeps no list.
    pub fn limit_key_cache(&mut self, bytes_max: usize) {
        self.key_cache.limit(bytes_max);
    }

    /// Gives the shard the functions of the server program, in place of the built-in ones alone; before it
    /// is welcomed.
    pub fn serve_functions(&mut self, functions: Functions) {
        self.functions = functions;
    }

    /// Number of ranges with a record of their own, over all tables.
    #[must_use]
    pub fn clock_range_count(&self) -> usize {
        self.tables.iter().map(|state| state.clock.range_count()).sum()
    }

    /// Bytes of all records of what was applied, beside the tables themselves.
    #[must_use]
    pub fn clock_bytes(&self) -> usize {
        self.tables.iter().map(|state| state.clock.bytes()).sum()
    }

    /// The time before which everything is applied: under `Sequential` the open step, otherwise the first
    /// time that some writer has not ended.
    #[must_use]
    pub fn committed_time(&self, table: TableId) -> Option<crate::id::Time> {
        let time_of = |state: &TableState| match state.spec.consistency {
            Consistency::Sequential => state.step.open_time(),
            _ => state.clock.ended(),
        };
        self.tables.get(usize::from(table.0)).map(time_of)
    }

    /// Tells the scheduler that this shard cannot go on; the job's end follows as an event.
    pub fn fail(&mut self, why: Shutdown) {
        self.membership.fail(&self.identity, why, &mut self.outputs);
    }

    fn on_data(&mut self, from: NodeId, frame: RxFrame) {
        if !self.identity.shares_job_with(&frame.header) || frame.header.source != from {
            return;
        }
        match frame.header.kind {
            Kind::Push => self.on_push(from, frame),
            Kind::Pull => self.on_pull(from, frame),
            Kind::Call => self.on_call(from, frame),
            Kind::EndOfTime => self.on_end_of_time(from, &frame),
            // A shard asks nothing of workers yet, so there is nothing to answer.
            _ => {}
        }
    }

    /// Whether a table's pushes are applied step by step.
    fn is_sequential(&self, index: usize) -> bool {
        self.tables[index].spec.consistency == Consistency::Sequential
    }
}

impl Machine for Server {
    type Event = ServerEvent;

    fn handle(&mut self, now: Nanos, input: Input) {
        self.now = now;
        match input {
            Input::Frame { from: NodeId::SCHEDULER, frame } if frame.header.kind == Kind::Control => {
                if self.identity.is_ruled_by(&frame.header) {
                    self.on_control(now, &frame);
                }
            }
            Input::Frame { from, frame } => {
                let (request, target, first) = (frame.header, frame.target, self.outputs.len());
                self.on_data(from, frame);
                self.aim(target, &request, first);
            }
            Input::Connected { peer: NodeId::SCHEDULER, incarnation } => {
                let end = self.membership.on_connected(now, incarnation, &self.identity, &mut self.outputs);
                if let Some(shutdown) = end {
                    self.outputs.push_back(Output::Event(ServerEvent::Ended(shutdown)));
                }
                self.repeat_task_reply();
            }
            Input::Lost { peer: NodeId::SCHEDULER, .. } => self.membership.on_lost(now),
            Input::Connected { peer, incarnation } => self.forget_former(peer, incarnation),
            // Workers come and go; what they asked for is kept under their names, not their connections.
            Input::Lost { .. } => {}
            Input::Refused { peer, reason } => {
                let message = format!("{}: {peer} refuses this node: {reason}", self.identity.node);
                let shutdown = Shutdown { exit_code: ExitCode::CannotStart as u8, message };
                self.outputs.push_back(Output::Event(ServerEvent::Ended(shutdown)));
            }
        }
    }

    fn handle_timeout(&mut self, now: Nanos) {
        if let Some(shutdown) = self.membership.on_timeout(now, &self.identity, &mut self.outputs) {
            self.outputs.push_back(Output::Event(ServerEvent::Ended(shutdown)));
        }
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        self.membership.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Output<ServerEvent>> {
        self.outputs.pop_front()
    }
}
