//! Workers that crash while the job goes on: whatever the rule of the table, every minibatch is added exactly
//! once, and a sequential table ends with the bits that it has without a loss.
//!
//! A minibatch adds one to each of its keys, and under `Sequential` a number that depends on what was pulled.

use parashard::id::{Incarnation, JobId, Nanos, NodeId, TableId, Timestamp, WriterId};
use parashard::keyspace::KeyRange;
use parashard::memory::{Pool, TxBuf};
use parashard::node::Driver;
use parashard::protocol::Identity;
use parashard::protocol::scheduler::{Cast, Offer, Scheduler, SchedulerEvent, Workload};
use parashard::protocol::server::Server;
use parashard::protocol::worker::{Keys, Request, Worker, WorkerEvent};
use parashard::transport::sim::{SimFaults, SimNetwork, SimRandom, SimTransport};
use parashard::wire::{Consistency, DType, Filters, JobConfig, Layout, Shutdown, TableSpec, Unit, UpdateFunction};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const WORKERS: u32 = 3;
const UNITS: u64 = 24;
const BATCHES: u64 = 4;
const KEYS: u64 = 40;
const TABLE: TableId = TableId(0);
/// The unit that says that a writer has no more.
const END: u64 = u64::MAX;

/// Unit `i` belongs to writer `i mod W`, or under other rules to whoever asks.
struct Units {
    sequential: bool,
    given: Vec<bool>,
    ended: [bool; WORKERS as usize],
    left: [bool; WORKERS as usize],
}

impl Workload for Units {
    fn next(&mut self, worker: WriterId) -> Offer {
        let own = |unit: u64| !self.sequential || unit % u64::from(WORKERS) == u64::from(worker.0);
        let is_left = self.left[worker.0 as usize] && !self.sequential;
        let next = (0..UNITS).find(|&unit| !self.given[unit as usize] && own(unit)).filter(|_| !is_left);
        if let Some(unit) = next {
            self.given[unit as usize] = true;
            return Offer::Unit(Unit { id: unit, payload: Vec::new() });
        }
        match std::mem::replace(&mut self.ended[worker.0 as usize], true) {
            false => Offer::Unit(Unit { id: END - u64::from(worker.0), payload: Vec::new() }),
            true => Offer::Finished,
        }
    }

    fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), Shutdown> {
        Ok(())
    }

    fn progress(&mut self, _: WriterId, _: &[u8]) {}

    fn lost(&mut self, worker: WriterId, _: &str, _: bool) {
        self.left[worker.0 as usize] = true;
    }

    fn stop(&mut self) {}
}

/// The keys of a minibatch.
fn keys(unit: u64, batch: u64) -> Vec<u64> {
    let mut random = SimRandom::new(unit * 31 + batch);
    (0..KEYS).filter(|_| random.happens(0.3)).collect()
}

/// A minibatch under way: its first name, and its pull until it is answered.
struct InFlight {
    unit: u64,
    batch: u64,
    name: Timestamp,
}

#[derive(Default)]
struct Program {
    hand: VecDeque<u64>,
    begun: VecDeque<(u64, u64)>,
    in_flight: VecDeque<InFlight>,
    asked: bool,
    is_welcome: bool,
    no_more: bool,
    ended: bool,
    adopt: Vec<WriterId>,
}

fn request(keys: &[u64], name: u64) -> Request<'static> {
    let keys = Some(Keys::once(TxBuf::from_vec(keys.to_vec())));
    Request { table: TABLE, range: KeyRange::new(0, KEYS), keys, name: Some(Timestamp(name)), ..Request::default() }
}

impl Program {
    fn on_event(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Welcome => self.is_welcome = true,
            WorkerEvent::Assigned(unit) => {
                self.asked = false;
                self.no_more |= unit.is_none();
                if let Some(Unit { id, .. }) = unit {
                    self.hand.push_back(id);
                    let batches = if id > UNITS { 0 } else { BATCHES };
                    self.begun.extend((0..batches).map(|batch| (id, batch)));
                }
            }
            WorkerEvent::Adopt(writer) => self.adopt.push(writer),
            WorkerEvent::Release(_) => {}
            WorkerEvent::Ended(_) => self.ended = true,
        }
    }

    fn act(&mut self, now: Nanos, worker: &mut Worker, consistency: Consistency) {
        if !self.is_welcome || self.ended {
            return;
        }
        if self.hand.len() < 2 && !self.asked && !self.no_more {
            worker.next_unit();
            self.asked = true;
        }
        let ahead = self.in_flight.len() as u32;
        if ahead < 2
            && worker.may_pull_ahead(TABLE, ahead)
            && let Some((unit, batch)) = self.begun.pop_front()
        {
            let name = worker.reserve(3);
            // Always of all keys, so that a later answer may tell what has changed.
            let all: Vec<u64> = (0..KEYS).collect();
            worker.pull(now, &Request { ahead, ..request(&all, name.0) }).expect("a right pull");
            self.in_flight.push_back(InFlight { unit, batch, name });
        }
        // Nothing of a unit is pushed before the account of the one before is given.
        let front = self.hand.front();
        let is_due = |first: &&InFlight| front == Some(&first.unit) && worker.is_done(first.name);
        if let Some(first) = self.in_flight.front().filter(is_due) {
            let InFlight { unit, batch, name } = *first;
            let pulled = worker.take_pulled(name).expect("a right pull");
            let sum: i64 = pulled.typed::<i64>().iter().fold(0, |sum, &number| (sum + number) % 9973);
            let number = if consistency == Consistency::Sequential { 1 + sum + unit as i64 } else { 1 };
            let keys = keys(unit, batch);
            let values = TxBuf::from_vec(vec![number; keys.len()]);
            let push = worker.push(now, &request(&keys, name.0 + 1), values).expect("a right push");
            worker.abandon(push);
            worker.tick_as(now, TABLE, Timestamp(name.0 + 2)).expect("goes on");
            self.in_flight.pop_front();
        }
        let Some(&unit) = self.hand.front() else { return };
        let is_open = self.begun.iter().any(|&(of, _)| of == unit) || self.in_flight.iter().any(|of| of.unit == unit);
        if is_open || !worker.is_settled() {
            return;
        }
        if unit > UNITS {
            worker.finish(now, TABLE).expect("a known table");
            if !worker.is_settled() {
                return;
            }
        }
        let next = self.in_flight.front().map_or(worker.next_name(), |later| later.name);
        worker.unit_done_before(unit, Vec::new(), next, Vec::new());
        self.hand.pop_front();
    }
}

type On<M> = Driver<M, SimTransport>;

struct Node {
    driver: On<Worker>,
    program: Program,
    /// The process that runs it.
    host: u32,
}

/// A job on the simulated network.
struct Job {
    network: SimNetwork,
    pool: Arc<Pool>,
    consistency: Consistency,
    scheduler: On<Scheduler>,
    servers: Vec<On<Server>>,
    workers: BTreeMap<u32, Node>,
    /// Processes started so far.
    starts: u32,
    is_over: bool,
}

fn identity(node: NodeId, incarnation: u32) -> Identity {
    Identity::new(node, JobId(5), Incarnation(incarnation.into()))
}

impl Job {
    fn start(seed: u64, consistency: Consistency, faults: SimFaults) -> Job {
        let (network, pool) = (SimNetwork::new(seed, faults), Pool::unbounded());
        let shards = [NodeId::server(0, 0), NodeId::server(1, 0)];
        let (filtered, changed) = (tells_changes(seed), tells_changes(seed).then_some(0.0));
        let spec = TableSpec {
            id: TABLE,
            name: "sums".to_owned(),
            dtype: DType::I64,
            width: 1,
            key_end: KEYS,
            layout: Layout::Sparse,
            update: UpdateFunction::Sum,
            consistency,
            filters: Filters { key_cache: filtered, nonzero: filtered, changed, ..Filters::default() },
        };
        let sequential = consistency == Consistency::Sequential;
        let (none, count) = ([false; WORKERS as usize], UNITS as usize);
        let work = Units { sequential, given: vec![false; count], ended: none, left: none };
        let job = JobConfig { tables: vec![spec], writers: WORKERS, program: Vec::new(), survives_worker_loss: true };
        let cast = Cast { shards: shards.to_vec(), workers: WORKERS, replicas: 0 };
        let join = |node| network.join(Nanos(0), node, Incarnation(1), &pool);
        let scheduler = Scheduler::new(Nanos(0), identity(NodeId::SCHEDULER, 1), &cast, job, Box::new(work));
        let scheduler = Driver::new(scheduler, join(NodeId::SCHEDULER));
        let server = |shard: NodeId| {
            let (name, pool) = (shard.to_string(), Arc::clone(&pool));
            Driver::new(Server::new(Nanos(0), identity(shard, 1), name, "h".into(), "s", pool), join(shard))
        };
        let servers = shards.map(server).into();
        let workers = BTreeMap::new();
        let mut job = Job { network, pool, consistency, scheduler, servers, workers, starts: 0, is_over: false };
        (0..WORKERS).for_each(|rank| job.start_worker(Nanos(0), rank, rank));
        job
    }

    fn start_worker(&mut self, now: Nanos, rank: u32, host: u32) {
        self.starts += 1;
        let node = NodeId::worker(rank);
        let machine = Worker::new(now, identity(node, self.starts), "h".into(), "s", Arc::clone(&self.pool));
        let transport = self.network.join(now, node, Incarnation(self.starts.into()), &self.pool);
        self.workers.insert(rank, Node { driver: Driver::new(machine, transport), program: Program::default(), host });
    }

    fn poll_scheduler(&mut self, now: Nanos) {
        self.scheduler.poll(now);
        while let Some(event) = self.scheduler.poll_event() {
            let machine = self.scheduler.machine_mut();
            match event {
                SchedulerEvent::ServersReady => machine.begin_work(),
                SchedulerEvent::WorkFinished => machine.end(now, Shutdown { exit_code: 0, message: String::new() }),
                SchedulerEvent::Ended(shutdown) => {
                    assert_eq!(shutdown.exit_code, 0, "{shutdown:?}");
                    self.is_over = true;
                }
                SchedulerEvent::TaskDone { .. } => {}
            }
        }
        self.scheduler.flush(now);
    }

    /// One round of every node.
    fn step(&mut self, now: Nanos) {
        self.poll_scheduler(now);
        for server in &mut self.servers {
            server.poll(now);
            while server.poll_event().is_some() {}
        }
        let mut adopted = Vec::new();
        for node in self.workers.values_mut() {
            node.driver.poll(now);
            while let Some(event) = node.driver.poll_event() {
                node.program.on_event(event);
            }
            node.program.act(now, node.driver.machine_mut(), self.consistency);
            assert!(node.driver.machine_mut().take_refusal().is_none(), "refused");
            node.driver.flush(now);
            adopted.extend(node.program.adopt.drain(..).map(|writer| (writer.0, node.host)));
        }
        adopted.into_iter().for_each(|(rank, host)| self.start_worker(now, rank, host));
    }

    /// The process dies, and every worker that it runs.
    fn crash(&mut self, now: Nanos, host: u32) {
        let of_host = self.workers.iter().filter(|(_, node)| node.host == host);
        let dead: Vec<u32> = of_host.map(|(&rank, _)| rank).collect();
        for rank in dead {
            self.network.crash(now, NodeId::worker(rank));
            self.workers.remove(&rank);
        }
    }

    /// The sums of all keys.
    fn sums(&self) -> BTreeMap<u64, i64> {
        let mut sums = BTreeMap::new();
        for machine in self.servers.iter().map(On::machine) {
            let Some(table) = machine.tables().next() else { continue };
            for range in machine.owned(TABLE) {
                let keys: Vec<u64> = (range.begin..range.end).collect();
                let mut values = vec![0; keys.len() * 8];
                table.gather(range, Some(&keys), &mut values);
                let numbers = values.chunks(8).map(|bytes| i64::from_le_bytes(bytes.try_into().expect("eight bytes")));
                sums.extend(keys.into_iter().zip(numbers));
            }
        }
        sums
    }
}

/// Whether answers tell only what has changed.
fn tells_changes(seed: u64) -> bool {
    seed % 3 == 1
}

/// Runs a job in which these workers' processes crash at these moments; gives the sums of all keys.
fn run(seed: u64, consistency: Consistency, crashes: &[(u32, u64)], faults: SimFaults) -> BTreeMap<u64, i64> {
    let mut job = Job::start(seed, consistency, faults);
    let (mut now, mut crashes) = (Nanos(0), crashes.iter().peekable());
    for _ in 0..400_000 {
        job.step(now);
        if job.is_over {
            let changes = job.workers.values().map(|node| node.driver.machine().traffic().changes_pulled);
            assert_eq!(changes.sum::<u64>() > 0, tells_changes(seed), "seed {seed} {consistency}");
            return job.sums();
        }
        now = now.after(Duration::from_micros(200));
        if let Some(&(host, _)) = crashes.next_if(|(_, at)| now.0 >= at * 1_000_000) {
            job.crash(now, host);
        }
    }
    panic!("seed {seed} {consistency}: it never ends");
}

/// One or two crashes at random moments of a job.
fn crashes(seed: u64) -> Vec<(u32, u64)> {
    let mut random = SimRandom::new(seed ^ 0xc0ffee);
    let first = random.below(u64::from(WORKERS)) as u32;
    let at = 5 + random.below(60);
    let second = (first + 1 + random.below(2) as u32) % WORKERS;
    let later = at + random.below(9000);
    if random.happens(0.4) { vec![(first, at), (second, later)] } else { vec![(first, at)] }
}

#[test]
fn every_minibatch_counts_once_though_workers_crash() {
    let mut due: BTreeMap<u64, i64> = (0..KEYS).map(|key| (key, 0)).collect();
    for (unit, batch) in (0..UNITS).flat_map(|unit| (0..BATCHES).map(move |batch| (unit, batch))) {
        keys(unit, batch).into_iter().for_each(|key| *due.entry(key).or_default() += 1);
    }
    for seed in 0..40 {
        for consistency in [Consistency::Eventual, Consistency::BoundedDelay { delay_max: (seed % 4) as u32 }] {
            let faults = if seed % 2 == 0 { SimFaults::none() } else { SimFaults::rough() };
            let found = run(seed, consistency, &crashes(seed), faults);
            assert_eq!(found, due, "seed {seed} {consistency}");
        }
    }
}

#[test]
fn a_sequential_table_does_not_show_that_workers_crashed() {
    let undisturbed = run(0, Consistency::Sequential, &[], SimFaults::none());
    for seed in 0..40 {
        let faults = if seed % 2 == 0 { SimFaults::none() } else { SimFaults::rough() };
        assert_eq!(run(seed, Consistency::Sequential, &crashes(seed), faults), undisturbed, "seed {seed}");
    }
}
