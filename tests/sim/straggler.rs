//! A job in virtual time of which one worker is slow: each draws a minibatch, pulls, computes for so long, pushes
//! and ends its time. Tells how long they waited for servers.
//!
//! `waiting` holds the tests; `parashard bench consistency` draws the same figures beside those of real processes.

use parashard::id::{Incarnation, JobId, Nanos, NodeId, TableId, Timestamp, WriterId};
use parashard::keyspace::KeyRange;
use parashard::memory::{Pool, TxBuf};
use parashard::node::Driver;
use parashard::protocol::scheduler::{Cast, Offer, Scheduler, SchedulerEvent, Workload};
use parashard::protocol::server::{Server, ServerEvent};
use parashard::protocol::worker::{Request, Worker, WorkerEvent};
use parashard::protocol::{Identity, Machine};
use parashard::transport::sim::{SimFaults, SimNetwork, SimTransport};
use parashard::wire::{Consistency, DType, Filters, JobConfig, Layout, Shutdown, TableSpec, Unit, UpdateFunction};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Workers of the job; the last is the slow one.
pub(crate) const WORKERS: u32 = 4;
/// How long a minibatch takes a worker that is not slow.
const COMPUTE: Duration = Duration::from_millis(10);
const KEYS: u64 = 64;
const TABLE: TableId = TableId(0);
/// Moments in one run; far above what a run needs.
const MOMENTS_MAX: u64 = 200_000;

/// Where all workers spent their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) computing: Duration,
    /// For answers of servers, while there was something to do.
    pub(crate) waiting: Duration,
    /// Until the last minibatch was accounted for.
    pub(crate) took: Duration,
    /// Pulls that servers kept waiting.
    pub(crate) kept_waiting: u64,
}

impl Spent {
    /// The share of waiting.
    pub(crate) fn waiting_share(&self) -> f64 {
        self.waiting.as_secs_f64() / (self.waiting + self.computing).as_secs_f64()
    }
}

/// Hands each minibatch out once, to whoever asks.
struct Minibatches {
    count: u64,
    given: u64,
}

impl Workload for Minibatches {
    fn next(&mut self, _: WriterId) -> Offer {
        if self.given == self.count {
            return Offer::Finished;
        }
        self.given += 1;
        Offer::Unit(Unit { id: self.given, payload: Vec::new() })
    }

    fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), Shutdown> {
        Ok(())
    }

    fn progress(&mut self, _: WriterId, _: &[u8]) {}

    fn stop(&mut self) {}
}

/// What a worker is at.
enum Doing {
    Nothing,
    /// Its pull is on the way.
    Pulling {
        unit: u64,
        pull: Timestamp,
        since: Nanos,
    },
    Computing {
        unit: u64,
        until: Nanos,
    },
    /// Its push is on the way.
    Pushing {
        unit: u64,
        since: Nanos,
    },
    Finished,
}

/// A worker's program.
struct Program {
    /// How long it computes for one minibatch.
    compute: Duration,
    doing: Doing,
    /// Asked for ahead.
    hand: VecDeque<u64>,
    is_welcome: bool,
    no_more: bool,
    computing: Duration,
    waiting: Duration,
}

fn request() -> Request<'static> {
    Request { table: TABLE, range: KeyRange::new(0, KEYS), ..Request::default() }
}

impl Program {
    fn new(compute: Duration) -> Program {
        let (computing, waiting) = (Duration::ZERO, Duration::ZERO);
        let hand = VecDeque::new();
        Program { compute, doing: Doing::Nothing, hand, is_welcome: false, no_more: false, computing, waiting }
    }

    fn on_event(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Welcome => self.is_welcome = true,
            WorkerEvent::Assigned(Some(unit)) => self.hand.push_back(unit.id),
            WorkerEvent::Assigned(None) => self.no_more = true,
            WorkerEvent::Adopt(_) | WorkerEvent::Release(_) | WorkerEvent::Ended(_) => {}
        }
    }

    /// When it goes on by itself.
    fn wake_at(&self) -> Option<Nanos> {
        match self.doing {
            Doing::Computing { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Does what can be done now.
    fn act(&mut self, now: Nanos, worker: &mut Worker) {
        if !self.is_welcome {
            return;
        }
        while let Some(next) = self.next(now, worker) {
            self.doing = next;
        }
        if self.hand.is_empty() && !self.no_more {
            worker.next_unit();
        }
    }

    /// What it is at next, if it is through with what it is at.
    fn next(&mut self, now: Nanos, worker: &mut Worker) -> Option<Doing> {
        match self.doing {
            Doing::Nothing => match self.hand.pop_front() {
                Some(unit) => {
                    let pull = worker.pull(now, &request()).expect("a right pull");
                    Some(Doing::Pulling { unit, pull, since: now })
                }
                None if self.no_more => {
                    worker.finish(now, TABLE).expect("a known table");
                    Some(Doing::Finished)
                }
                None => None,
            },
            Doing::Pulling { unit, pull, since } => worker.is_done(pull).then(|| {
                worker.take_pulled(pull).expect("a right pull");
                self.waiting += now.since(since);
                Doing::Computing { unit, until: now.after(self.compute) }
            }),
            Doing::Computing { unit, until } => (now >= until).then(|| {
                self.computing += self.compute;
                let values = TxBuf::from_vec(vec![1i64; KEYS as usize]);
                let push = worker.push(now, &request(), values).expect("a right push");
                worker.abandon(push);
                worker.tick(now, TABLE).expect("a known table");
                Doing::Pushing { unit, since: now }
            }),
            Doing::Pushing { unit, since } => worker.is_settled().then(|| {
                self.waiting += now.since(since);
                worker.unit_done(unit, Vec::new());
                Doing::Nothing
            }),
            Doing::Finished => None,
        }
    }
}

type On<M> = Driver<M, SimTransport>;

/// The nodes of the job.
struct Job {
    scheduler: On<Scheduler>,
    servers: Vec<On<Server>>,
    workers: Vec<(On<Worker>, Program)>,
    work_finished: bool,
}

impl Job {
    fn start(consistency: Consistency, minibatches: u64, slowness: u32) -> Job {
        let (network, pool) = (SimNetwork::new(1, SimFaults::none()), Pool::unbounded());
        let shards = [NodeId::server(0, 0), NodeId::server(1, 0)];
        let spec = TableSpec {
            id: TABLE,
            name: "sums".to_owned(),
            dtype: DType::I64,
            width: 1,
            key_end: KEYS,
            layout: Layout::Dense,
            update: UpdateFunction::Sum,
            consistency,
            filters: Filters::default(),
        };
        let job = JobConfig { tables: vec![spec], writers: WORKERS, program: Vec::new(), survives_worker_loss: false };
        let cast = Cast { shards: shards.to_vec(), workers: WORKERS, replicas: 0 };
        let work = Box::new(Minibatches { count: minibatches, given: 0 });
        let scheduler = Scheduler::new(Nanos(0), identity(NodeId::SCHEDULER), &cast, job, work);
        let server = |shard: NodeId| {
            let (name, host) = (shard.to_string(), "host".to_owned());
            let machine = Server::new(Nanos(0), identity(shard), name, host, "scheduler", Arc::clone(&pool));
            on(&network, &pool, shard, machine)
        };
        let worker = |rank: u32| {
            let node = NodeId::worker(rank);
            let machine = Worker::new(Nanos(0), identity(node), "host".to_owned(), "scheduler", Arc::clone(&pool));
            let compute = if rank + 1 == WORKERS { COMPUTE * slowness } else { COMPUTE };
            (on(&network, &pool, node, machine), Program::new(compute))
        };
        Job {
            scheduler: on(&network, &pool, NodeId::SCHEDULER, scheduler),
            servers: shards.into_iter().map(server).collect(),
            workers: (0..WORKERS).map(worker).collect(),
            work_finished: false,
        }
    }

    /// When any node acts next.
    fn next_moment(&self) -> Option<Nanos> {
        let servers = self.servers.iter().map(On::poll_timeout);
        let workers = self.workers.iter().flat_map(|(driver, program)| [driver.poll_timeout(), program.wake_at()]);
        servers.chain(workers).chain([self.scheduler.poll_timeout()]).flatten().min()
    }

    /// One round of every node.
    fn step(&mut self, now: Nanos) {
        self.scheduler.poll(now);
        while let Some(event) = self.scheduler.poll_event() {
            match event {
                SchedulerEvent::ServersReady => self.scheduler.machine_mut().begin_work(),
                SchedulerEvent::WorkFinished => self.work_finished = true,
                SchedulerEvent::TaskDone { .. } => {}
                SchedulerEvent::Ended(shutdown) => panic!("it ends by itself: {shutdown:?}"),
            }
        }
        self.scheduler.flush(now);
        for server in &mut self.servers {
            server.poll(now);
            while let Some(event) = server.poll_event() {
                assert!(!matches!(event, ServerEvent::Ended(_)), "{event:?}");
            }
            server.flush(now);
        }
        for (driver, program) in &mut self.workers {
            driver.poll(now);
            while let Some(event) = driver.poll_event() {
                program.on_event(event);
            }
            program.act(now, driver.machine_mut());
            driver.flush(now);
        }
    }
}

fn identity(node: NodeId) -> Identity {
    Identity::new(node, JobId(5), Incarnation(1))
}

fn on<M: Machine>(network: &SimNetwork, pool: &Arc<Pool>, node: NodeId, machine: M) -> On<M> {
    Driver::new(machine, network.join(Nanos(0), node, Incarnation(1), pool))
}

/// Runs a job of so many minibatches, one of whose workers takes `slowness` times as long for each.
pub(crate) fn run(consistency: Consistency, minibatches: u64, slowness: u32) -> Spent {
    let mut job = Job::start(consistency, minibatches, slowness);
    let mut now = Nanos(0);
    for _ in 0..MOMENTS_MAX {
        job.step(now);
        if job.work_finished {
            let programs = || job.workers.iter().map(|(_, program)| program);
            let kept_waiting = job.servers.iter().map(|server| server.machine().waited(TABLE)).sum();
            return Spent {
                computing: programs().map(|program| program.computing).sum(),
                waiting: programs().map(|program| program.waiting).sum(),
                took: now.since(Nanos(0)),
                kept_waiting,
            };
        }
        now = job.next_moment().expect("somebody has something to do").max(now);
    }
    panic!("{consistency}, {slowness}: it never ends");
}
