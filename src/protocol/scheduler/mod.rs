//! The scheduler: server manager (membership, partition) and task scheduler (work units, tasks).
//!
//! It waits until every expected node has registered, tells all of them the job and the partition,
//! hands out units of work as long as the [`Workload`] has any, passes tasks to shards, and ends the
//! job: with the program's word, with a node's failure, or because a node is lost.
//!
//! Invariants: a question or task is answered once and the answer is repeated for a repeated
//! question; a node that is lost, or comes back as another incarnation, ends the job, for without
//! replicas its ranges are gone; after the end begins nothing but the end is said.
//!
//! `nodes` watches nodes, `work` hands out units and tasks, `delay` changes delays, as a `delay_policy`
//! wants, `release` takes units back, `writers` are decisions about those that are gone, `ending` ends.

mod adoption;
mod delay;
mod delay_policy;
mod ending;
mod nodes;
mod release;
mod work;
mod writers;

use super::identity::Identity;
use super::machine::{Input, Machine, Output};
use super::membership;
use crate::error::ExitCode;
use crate::id::{Epoch, Nanos, NodeId, Term};
use crate::keyspace::{HashRing, Partition};
use crate::limit;
use crate::wire::{ControlMessage, JobConfig, Kind, NodeInfo, RxFrame, Shutdown, TaskReply};
use adoption::Adoptions;
use delay::Delays;
use nodes::Node;
use std::collections::{BTreeMap, VecDeque};
use work::{Account, OpenTask, Question};
use writers::Decisions;

pub use delay_policy::{DelayPolicy, Waiting};
pub use work::{NoWork, Offer, Workload};

/// What the program that runs the scheduler is told.
#[derive(Debug)]
pub enum SchedulerEvent {
    /// Every shard is there and knows its tables: load a model, then call [`Scheduler::begin_work`].
    ServersReady,
    /// A shard's answer to [`Scheduler::begin_task`].
    TaskDone {
        /// The shard.
        node: NodeId,
        /// Its answer.
        reply: TaskReply,
    },
    /// Every worker has heard that no work is left.
    WorkFinished,
    /// The job has ended; every node that still lives has been told.
    Ended(Shutdown),
}

/// Who belongs to the job.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Every shard, in the order of the hash ring.
    pub shards: Vec<NodeId>,
    /// Number of workers; worker `i` is writer `i`.
    pub workers: u32,
    /// Copies of each range beside the owner's.
    pub replicas: usize,
}

/// The scheduler's state machine.
pub struct Scheduler {
    identity: Identity,
    job: JobConfig,
    partition: Partition,
    nodes: BTreeMap<NodeId, Node>,
    servers_ready: bool,
    working: bool,
    work_finished: bool,
    workload: Box<dyn Workload>,
    questions: BTreeMap<NodeId, Question>,
    accounts: BTreeMap<NodeId, Account>,
    delays: Delays,
    decisions: Decisions,
    adoptions: Adoptions,
    tasks: BTreeMap<NodeId, OpenTask>,
    task_sequence: u64,
    start_deadline: Nanos,
    ending: Option<ending::Ending>,
    check_at: Nanos,
    outputs: VecDeque<Output<SchedulerEvent>>,
}

impl Scheduler {
    /// A scheduler that waits for its cast.
    #[must_use]
    pub fn new(now: Nanos, identity: Identity, cast: &Cast, job: JobConfig, workload: Box<dyn Workload>) -> Scheduler {
        let identity = Identity { term: Term(1), epoch: Epoch(1), ..identity };
        let workers = (0..cast.workers).map(NodeId::worker);
        let nodes = cast.shards.iter().copied().chain(workers).map(|node| (node, Node::expected()));
        Scheduler {
            identity,
            delays: Delays::new(&job.tables),
            decisions: Decisions::default(),
            adoptions: Adoptions::default(),
            job,
            partition: HashRing::even(&cast.shards).partition(identity.epoch, cast.replicas),
            nodes: nodes.collect(),
            servers_ready: false,
            working: false,
            work_finished: false,
            workload,
            questions: BTreeMap::new(),
            accounts: BTreeMap::new(),
            tasks: BTreeMap::new(),
            task_sequence: 0,
            start_deadline: now.after(limit::START_TIMEOUT),
            ending: None,
            check_at: now.after(limit::HEARTBEAT_INTERVAL),
            outputs: VecDeque::new(),
        }
    }

    /// Who owns what.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// What the nodes were told of the job.
    #[must_use]
    pub fn job(&self) -> &JobConfig {
        &self.job
    }

    /// The learning program's part, for its figures.
    pub fn workload_mut(&mut self) -> &mut dyn Workload {
        &mut *self.workload
    }

    fn on_message(&mut self, now: Nanos, from: NodeId, frame: &RxFrame) {
        if !self.identity.shares_job_with(&frame.header) {
            return;
        }
        let Ok(message) = ControlMessage::from_frame(frame) else { return };
        if self.is_given_up(from, frame.header.incarnation) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&from) else { return };
        node.on_heard(now);
        if self.ending.is_some() {
            self.on_message_at_end(from, &message);
            return;
        }
        match message {
            ControlMessage::Register(info) => self.on_register(from, info, frame.header.incarnation),
            ControlMessage::Heartbeat => self.say(from, &ControlMessage::Heartbeat),
            ControlMessage::NextUnit { sequence } => self.on_next_unit(from, sequence),
            ControlMessage::UnitDone { sequence, unit, report, resume } => {
                self.on_unit_done(now, from, sequence, (unit, &report, resume));
            }
            ControlMessage::Released { unit, given } => self.on_released(now, from, unit, &given),
            ControlMessage::Progress { report } => {
                self.workload.progress(crate::id::WriterId(from.rank()), &report);
                self.check_delays();
            }
            ControlMessage::DelayHeard { sequence, table } => {
                self.delays.on_heard(from, table, sequence);
                self.settle_delays();
            }
            ControlMessage::WriterHeard { sequence } => self.on_writer_heard(from, sequence),
            ControlMessage::TaskDone { sequence, reply } => self.on_task_done(from, sequence, reply),
            ControlMessage::Failed(shutdown) => self.end(now, shutdown),
            // A goodbye is for the end, and what only a scheduler says is not for schedulers.
            _ => {}
        }
    }

    /// Sends a message over a connection that stands; otherwise it is said again when one does.
    fn say(&mut self, to: NodeId, message: &ControlMessage) {
        if self.nodes.get(&to).is_some_and(Node::is_connected) {
            membership::send_to(&self.identity, to, message, &mut self.outputs);
        }
    }

    fn shard_infos(&self) -> Option<Vec<NodeInfo>> {
        let shards = self.nodes.iter().filter(|(node, _)| node.role() == Some(crate::id::Role::Server));
        shards.map(|(_, node)| node.info.clone()).collect()
    }

    fn lose(&mut self, now: Nanos, node: NodeId, reason: &str) {
        if self.survive(now, node, reason) {
            return;
        }
        if let Some(lost) = self.nodes.get_mut(&node).filter(|node| !node.is_connected()) {
            lost.said_goodbye = true;
        }
        let why = match node.role() {
            Some(crate::id::Role::Server) => "its part of the model has no replica",
            _ if self.job.survives_worker_loss => "no worker is left to take its work over",
            _ => "its part of the work cannot be given to another",
        };
        let message = format!("{node} is lost: {reason}; the job ends, for {why}");
        self.end(now, Shutdown { exit_code: ExitCode::NodeLost as u8, message });
    }
}

impl Machine for Scheduler {
    type Event = SchedulerEvent;

    fn handle(&mut self, now: Nanos, input: Input) {
        match input {
            Input::Frame { from, frame } if frame.header.kind == Kind::Control => self.on_message(now, from, &frame),
            // Data never goes to the scheduler.
            Input::Frame { .. } | Input::Refused { .. } => {}
            Input::Connected { peer, incarnation } => self.on_connected(now, peer, incarnation),
            Input::Lost { peer, reason } => self.on_lost(now, peer, reason),
        }
    }

    fn handle_timeout(&mut self, now: Nanos) {
        if now < self.check_at {
            return;
        }
        self.check_at = now.after(limit::HEARTBEAT_INTERVAL / 2);
        if self.ending.is_none() {
            self.check_nodes(now);
            self.repeat_tasks();
            self.repeat_delays();
            self.repeat_decisions();
            self.check_adoptions(now);
            self.repeat_releases();
        }
        self.check_ending(now);
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        let ended = self.ending.as_ref().is_some_and(|ending| ending.is_over);
        (!ended).then_some(self.check_at)
    }

    fn poll_output(&mut self) -> Option<Output<SchedulerEvent>> {
        self.outputs.pop_front()
    }
}
