//! The worker: turns pushes and pulls into segments for the shards that own their keys, keeps every
//! segment until it is answered, and sends it again when a connection was lost, an answer is
//! overdue, a shard is busy or a range has moved.
//!
//! Invariants:
//! * An operation keeps its timestamp for ever; what is sent again carries the same name and bytes.
//! * The source of a push (counted buffers) lives here until every segment is acknowledged.
//! * `settled` is the lowest timestamp of a push that is not acknowledged everywhere; it never falls.
//! * At most [`limit::WINDOW_TIMESTAMPS`] timestamps are open above `settled`; `has_room` says when to wait.
//!
//! `input` hears, `keys` are what is asked for, `slicing` cuts, `depend` parts what an operation waits for,
//! `operation` is what is kept, by timestamp in `operations`; `encode` makes the frames, `shard` knows who holds
//! which key list, `pulled` keeps answers to which later ones are changes, `pull` begins pulls and `call` calls, `demand` says what they wait for, `delay` hears how that
//! changes, `answer` takes replies, `target` is where their values go, `resend` sends again, `value_filter` changes
//! values, `residual` keeps what it does not send and `flush` sends it in the end, `work` asks for units of work,
//! `reserve` names operations before they begin.

mod answer;
mod call;
mod delay;
mod demand;
mod depend;
mod encode;
mod flush;
mod input;
mod keys;
mod operation;
mod operations;
mod pull;
mod pulled;
mod resend;
mod reserve;
mod residual;
mod shard;
mod slicing;
mod target;
mod value_filter;
mod work;

use super::identity::Identity;
use super::machine::Output;
use super::membership::{self, Membership};
use crate::filter;
use crate::id::{Nanos, NodeId, TableId, Time, Timestamp, WriterId};
use crate::keyspace::{KeyRange, Partition};
use crate::limit;
use crate::memory::{Block, Pool, TxBuf};
use crate::wire::{
    Consistency, ControlMessage, Flags, GivenBack, JobConfig, Kind, NodeInfo, ResumePoint, Shutdown, TableSpec, Unit,
};
use delay::DelayChange;
use keys::Piece;
use operation::Operation;
use operations::Operations;
use pulled::PulledAnswers;
use shard::Shards;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use value_filter::ValueFilter;
use work::{Accounts, Question};

pub use keys::Keys;
pub use operation::OperationError;

pub use crate::filter::{Kkt, MakePushFilter, PushFilter, PushFilters};

/// What the program that runs a worker is told.
#[derive(Debug)]
pub enum WorkerEvent {
    /// The job is known and its shards are being dialled: tables can be used.
    Welcome,
    /// The answer to `next_unit`; `None` when no work is left.
    Assigned(Option<Unit>),
    /// Run the worker program also as this worker, whose node is lost: as a node of its own.
    Adopt(WriterId),
    /// Give this unit back, or what is not begun of it; answer by [`Worker::answer_release`].
    Release(u64),
    /// The job ends.
    Ended(Shutdown),
}

/// What a push, pull or call works on.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The table.
    pub table: TableId,
    /// The key range claimed or asked for; all keys lie inside.
    pub range: KeyRange,
    /// Strictly ascending keys, or `None` for every key of the range (dense).
    pub keys: Option<Keys>,
    /// Operations of this writer, of whatever kind and table, that must be done first: pushes applied,
    /// calls run, pulls answered. On another table they must be acknowledged, which a push to a
    /// sequential one is with its step.
    pub after: &'a [Timestamp],
    /// Pull: another rule than the table's, weaker or stronger.
    pub consistency: Option<Consistency>,
    /// Pull: how many of this writer's times lie between its own and the one that the pull is for.
    pub ahead: u32,
    /// A name that was reserved; the next one where there is none.
    pub name: Option<Timestamp>,
}

/// Figures of one worker's traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of push frames, retries included.
    pub bytes_pushed: u64,
    /// Bytes of questions for values, retries included.
    pub bytes_asked: u64,
    /// Bytes of answers to pulls.
    pub bytes_pulled: u64,
    /// Segments sent more than once.
    pub retries: u64,
    /// Segments whose keys were left out because the shard holds their list.
    pub keys_omitted: u64,
    /// Segments for which the shard then needed the keys all the same.
    pub keys_needed: u64,
    /// Answers that told only what had changed.
    pub changes_pulled: u64,
}

/// Time of one table.
#[derive(Debug, Clone)]
struct TableTime {
    /// The table's rule, with the delay that holds now.
    consistency: Consistency,
    change: DelayChange,
    time: Time,
    /// Segments pushed at this time, by shard; at all times where only the last is told.
    slices: Vec<(NodeId, u32)>,
    /// Whether the writer has said that it pushes no more.
    finished: bool,
}

impl TableTime {
    fn new(consistency: Consistency) -> TableTime {
        let (time, change) = (Time(0), DelayChange::default());
        TableTime { consistency, change, time, slices: Vec::new(), finished: false }
    }
}

/// The worker's state machine.
pub struct Worker {
    identity: Identity,
    writer: WriterId,
    pool: Arc<Pool>,
    /// For answers that do not come with their replies; none where no fabric can do that.
    landing_pool: Option<Arc<Pool>>,
    landing_bytes_min: usize,
    membership: Membership,
    job: Option<JobConfig>,
    partition: Partition,
    /// The shards that own something, in order.
    owners: Vec<NodeId>,
    shards: Shards,
    times: Vec<TableTime>,
    /// The lossless filters of each table.
    chains: Vec<filter::Chain>,
    /// The value-changing filters of each table that has some.
    value_filters: Vec<Option<ValueFilter>>,
    /// Answers of tables that remember them.
    pulled: PulledAnswers,
    /// The filters of the program's own that tables may declare.
    own_filters: PushFilters,
    /// Pulls whose answers a filter is to see: table, range, keys.
    watched: BTreeMap<Timestamp, (TableId, KeyRange, Option<TxBuf>)>,
    operations: Operations,
    /// How the request under way is cut.
    pieces: Vec<Piece>,
    /// Operations that wait here for others.
    held: Vec<Timestamp>,
    /// Marks that wait for the answers to the pulls of their time, oldest first.
    held_marks: Vec<Timestamp>,
    /// Whether every change of a delay that can be acknowledged is.
    are_delays_told: bool,
    question: Question,
    accounts: Accounts,
    /// Where this writer's work goes on, as the scheduler said in its welcome.
    resume: ResumePoint,
    /// The last time that each writer was adopted.
    adopted: BTreeMap<WriterId, u32>,
    /// The latest units that were asked back, and the answers once there are.
    releases: VecDeque<(u64, Option<GivenBack>)>,
    /// First refusal of an operation whose outcome nobody waits for.
    refusal: Option<OperationError>,
    traffic: Traffic,
    resend_at: Nanos,
    outputs: VecDeque<Output<WorkerEvent>>,
}

impl Worker {
    /// A worker that registers with the scheduler at `scheduler_address`.
    #[must_use]
    pub fn new(now: Nanos, identity: Identity, host: String, scheduler_address: &str, pool: Arc<Pool>) -> Worker {
        let mut outputs = VecDeque::new();
        Membership::begin(scheduler_address, &mut outputs);
        let info = NodeInfo { node: identity.node, address: String::new(), host };
        Worker {
            identity,
            writer: WriterId(identity.node.rank()),
            pool,
            landing_pool: None,
            landing_bytes_min: limit::LANDING_BYTES_MIN,
            membership: Membership::new(now, info),
            job: None,
            partition: Partition { epoch: identity.epoch, entries: Vec::new() },
            owners: Vec::new(),
            shards: Shards::default(),
            times: Vec::new(),
            chains: Vec::new(),
            value_filters: Vec::new(),
            pulled: PulledAnswers::default(),
            own_filters: PushFilters::default(),
            watched: BTreeMap::new(),
            operations: Operations::starting(ResumePoint::FIRST),
            pieces: Vec::new(),
            held: Vec::new(),
            held_marks: Vec::new(),
            are_delays_told: true,
            question: Question::default(),
            accounts: Accounts::default(),
            resume: ResumePoint::default(),
            adopted: BTreeMap::new(),
            releases: VecDeque::new(),
            refusal: None,
            traffic: Traffic::default(),
            resend_at: now.after(limit::RETRY_TIMEOUT),
            outputs,
        }
    }

    /// Lets tables declare these filters; before the job is known.
    pub fn filter_by(&mut self, filters: PushFilters) {
        self.own_filters = filters;
    }

    /// The job, once the scheduler has said what it is.
    #[must_use]
    pub fn job(&self) -> Option<&JobConfig> {
        self.job.as_ref()
    }

    /// This worker's slot.
    #[must_use]
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// What was sent and received so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether another operation may begin; otherwise wait for answers first.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let window = self.operations.next_timestamp().0 - self.operations.settled().0;
        window < limit::WINDOW_TIMESTAMPS as u64
            && self.operations.unacknowledged_bytes() < limit::WORKER_UNACKNOWLEDGED_BYTES
    }

    /// Begins a push. `values` holds one value per key, in key order.
    ///
    /// # Errors
    /// When the request does not fit the table; nothing was sent.
    pub fn push(&mut self, now: Nanos, request: &Request<'_>, values: TxBuf) -> Result<Timestamp, OperationError> {
        request.check(self.spec(request.table)?, Some(&values))?;
        self.check_unfinished(request.table)?;
        let time = self.times[usize::from(request.table.0)].time;
        let timestamp = self.begin(now, Kind::Push, request, time, Some(values), Operation::default())?;
        self.count_slices(request.table, timestamp);
        self.flush_over_limit(now, request.table)?;
        Ok(timestamp)
    }

    /// Ends the table's time: the next push belongs to the next one. Except under `Eventual` every shard
    /// is told how many slices of the old time were sent to it; under `Sequential` as soon as the pulls
    /// of that time are answered.
    ///
    /// # Errors
    /// When the table is not known or this writer has finished it.
    pub fn tick(&mut self, now: Nanos, table: TableId) -> Result<(), OperationError> {
        self.end_time(now, table, Flags::default(), None)
    }

    /// Says that this writer pushes no more to the table: nobody waits for it after this time. What
    /// filters hold back is pushed before. Saying it again changes nothing.
    ///
    /// # Errors
    /// When the table is not known.
    pub fn finish(&mut self, now: Nanos, table: TableId) -> Result<(), OperationError> {
        if self.is_finished(table) {
            return Ok(());
        }
        self.flush_held(now, table)?;
        self.end_time(now, table, Flags::FINISHED, None)
    }

    /// Whether this writer has finished the table.
    #[must_use]
    pub fn is_finished(&self, table: TableId) -> bool {
        self.times.get(usize::from(table.0)).is_some_and(|own| own.finished)
    }

    /// Whether the operation is answered by every shard.
    #[must_use]
    pub fn is_done(&self, timestamp: Timestamp) -> bool {
        self.operations.at(timestamp).is_none_or(Operation::is_over)
    }

    /// Whether the operation was begun, and its outcome neither taken nor given up.
    #[must_use]
    pub fn is_kept(&self, timestamp: Timestamp) -> bool {
        self.operations.at(timestamp).is_some()
    }

    /// Whether every push so far is acknowledged.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.operations.is_settled()
    }

    /// Takes the values of a pull that is done: one value per key, in key order.
    ///
    /// # Errors
    /// What the server refused it for.
    ///
    /// # Panics
    /// When the pull is not done or was taken before.
    pub fn take_pulled(&mut self, timestamp: Timestamp) -> Result<Block, OperationError> {
        assert!(self.is_done(timestamp), "{timestamp} is still open");
        match self.operations.remove(timestamp) {
            Some(outcome) => {
                let values = outcome.pulled(&self.pool);
                match &values {
                    Ok(values) => self.show_pulled(timestamp, values),
                    Err(_) => drop(self.watched.remove(&timestamp)),
                }
                values
            }
            None => panic!("{timestamp} was taken before"),
        }
    }

    /// Takes the outcome of a push that is done.
    ///
    /// # Errors
    /// What the server refused it for.
    ///
    /// # Panics
    /// When the push is not done.
    pub fn take_pushed(&mut self, timestamp: Timestamp) -> Result<(), OperationError> {
        assert!(self.is_done(timestamp), "{timestamp} is still open");
        self.operations.remove(timestamp).map_or(Ok(()), |outcome| outcome.pushed())
    }

    /// Gives up interest in an operation's outcome. A push is still delivered; a refusal of it is
    /// told by [`Worker::take_refusal`].
    pub fn abandon(&mut self, timestamp: Timestamp) {
        self.watched.remove(&timestamp);
        let Some(operation) = self.operations.at_mut(timestamp) else { return };
        operation.abandoned = true;
        if operation.is_done() {
            self.forget_abandoned(timestamp);
        }
    }

    /// Forgets an operation at once, answered or not: a pull, or a push to a job that has ended.
    pub fn cancel(&mut self, now: Nanos, timestamp: Timestamp) {
        self.watched.remove(&timestamp);
        self.operations.acknowledge(timestamp);
        if let Some(outcome) = self.operations.remove(timestamp)
            && outcome.is_given_away()
        {
            self.outputs.push_back(Output::Withdraw { timestamp });
        }
        self.release_held(now);
        self.release_marks(now);
        self.tell_delays();
    }

    /// The first refusal of an operation that was abandoned, once.
    pub fn take_refusal(&mut self) -> Option<OperationError> {
        self.refusal.take()
    }

    /// Tells the scheduler the latest figures; may be lost.
    pub fn report_progress(&mut self, report: Vec<u8>) {
        if self.membership.is_connected() {
            membership::send(&self.identity, &ControlMessage::Progress { report }, &mut self.outputs);
        }
    }

    /// Tells the scheduler that this worker cannot go on; the job's end follows as an event.
    pub fn fail(&mut self, why: Shutdown) {
        self.membership.fail(&self.identity, why, &mut self.outputs);
    }

    fn spec(&self, table: TableId) -> Result<&TableSpec, OperationError> {
        let tables = self.job.as_ref().map_or(&[][..], |job| &job.tables);
        tables.get(usize::from(table.0)).ok_or(OperationError::UnknownTable(table))
    }

    fn forget_abandoned(&mut self, timestamp: Timestamp) {
        let error = self.operations.remove(timestamp).and_then(|outcome| outcome.error);
        self.refusal = self.refusal.take().or(error);
    }
}
