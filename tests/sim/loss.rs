//! Workers that crash or are slow while the job goes on: whatever the rule of the table, every line counts exactly
//! once, and a sequential table ends with the bits that it has without a loss.

use crate::lines::{KEYS, LINES, Program, TABLE, keys, pool_of_work};
use parashard::id::{Incarnation, JobId, Nanos, NodeId};
use parashard::learn::progress::Progress;
use parashard::memory::Pool;
use parashard::node::Driver;
use parashard::protocol::Identity;
use parashard::protocol::scheduler::{Cast, Scheduler, SchedulerEvent};
use parashard::protocol::server::Server;
use parashard::protocol::worker::Worker;
use parashard::transport::sim::{SimFaults, SimNetwork, SimRandom, SimTransport};
use parashard::wire::{Consistency, DType, Filters, JobConfig, Layout, Shutdown, TableSpec, UpdateFunction};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WORKERS: u32 = 3;
/// A slow worker does something in one of so many rounds.
const SLOWNESS: u64 = 50;

type On<M> = Driver<M, SimTransport>;

struct Node {
    driver: On<Worker>,
    program: Program,
    /// The process that runs it.
    host: u32,
    rounds: u64,
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
    progress: Arc<Mutex<Progress>>,
    /// The process that is slow, if one is.
    slow: Option<u32>,
    is_over: bool,
}

fn identity(node: NodeId, incarnation: u32) -> Identity {
    Identity::new(node, JobId(5), Incarnation(incarnation.into()))
}

impl Job {
    fn start(seed: u64, consistency: Consistency, faults: SimFaults) -> Job {
        let (network, pool) = (SimNetwork::new(seed, faults), Pool::unbounded());
        let shards = [NodeId::server(0, 0), NodeId::server(1, 0)];
        let spec = TableSpec {
            id: TABLE,
            name: "sums".to_owned(),
            dtype: DType::I64,
            width: 1,
            key_end: KEYS,
            layout: Layout::Sparse,
            update: UpdateFunction::Sum,
            consistency,
            filters: Filters::default(),
        };
        let progress = Arc::default();
        let work = pool_of_work(consistency, WORKERS, &progress);
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
        let (starts, slow, is_over) = (0, None, false);
        let mut job = Job { network, pool, consistency, scheduler, servers, workers, starts, progress, slow, is_over };
        (0..WORKERS).for_each(|rank| job.start_worker(Nanos(0), rank, rank));
        job
    }

    fn start_worker(&mut self, now: Nanos, rank: u32, host: u32) {
        self.starts += 1;
        let node = NodeId::worker(rank);
        let machine = Worker::new(now, identity(node, self.starts), "h".into(), "s", Arc::clone(&self.pool));
        let transport = self.network.join(now, node, Incarnation(self.starts.into()), &self.pool);
        let node = Node { driver: Driver::new(machine, transport), program: Program::default(), host, rounds: 0 };
        self.workers.insert(rank, node);
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
            node.rounds += 1;
            if self.slow != Some(node.host) || node.rounds.is_multiple_of(SLOWNESS) {
                node.program.act(now, node.driver.machine_mut(), self.consistency);
            }
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

/// What may happen to a job beside its crashes.
#[derive(Clone)]
struct Conditions {
    slow: Option<u32>,
    faults: SimFaults,
    keeps_the_rest: bool,
}

impl Conditions {
    fn quiet() -> Conditions {
        Conditions { slow: None, faults: SimFaults::none(), keeps_the_rest: false }
    }

    /// Of a seed: half of them rough, and three of four with a slow worker.
    fn of(seed: u64) -> Conditions {
        let faults = if seed.is_multiple_of(2) { SimFaults::none() } else { SimFaults::rough() };
        Conditions { slow: Some((seed / 2 % 4) as u32), faults, keeps_the_rest: false }
    }
}

/// Runs a job in which these workers' processes crash at these moments.
fn run(seed: u64, consistency: Consistency, crashes: &[(u32, u64)], conditions: Conditions) -> Job {
    let mut job = Job::start(seed, consistency, conditions.faults);
    job.slow = conditions.slow;
    let (mut now, mut crashes) = (Nanos(0), crashes.iter().peekable());
    for _ in 0..400_000 {
        job.workers.values_mut().for_each(|node| node.program.keeps_the_rest = conditions.keeps_the_rest);
        job.step(now);
        if job.is_over {
            return job;
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

/// How often each key is in all lines.
fn due() -> BTreeMap<u64, i64> {
    let mut due: BTreeMap<u64, i64> = (0..KEYS).map(|key| (key, 0)).collect();
    for key in (0..LINES).flat_map(keys) {
        *due.entry(key).or_default() += 1;
    }
    due
}

/// The rules under which units are taken back and cut.
fn rules(seed: u64) -> [Consistency; 2] {
    [Consistency::Eventual, Consistency::BoundedDelay { delay_max: (seed % 4) as u32 }]
}

/// Fails unless every line counts once; gives how many units were taken back and cut.
fn check(seed: u64, consistency: Consistency, crashes: &[(u32, u64)]) -> (u64, u64) {
    let job = run(seed, consistency, crashes, Conditions::of(seed));
    assert_eq!(job.sums(), due(), "seed {seed} {consistency}");
    let progress = job.progress.lock().expect("one thread");
    assert_eq!(progress.rows(), LINES, "seed {seed} {consistency}: what the summary says");
    (progress.units_taken_back, progress.units_cut)
}

#[test]
fn every_line_counts_once_though_workers_crash() {
    for seed in 0..40 {
        for consistency in rules(seed) {
            check(seed, consistency, &crashes(seed));
        }
    }
}

#[test]
fn what_a_slow_worker_has_not_begun_is_done_by_others_once() {
    for bounded in [false, true] {
        let (mut taken_back, mut cut) = (0, 0);
        for seed in 0..40 {
            let (whole, rests) = check(seed, rules(seed)[usize::from(bounded)], &[]);
            (taken_back, cut) = (taken_back + whole, cut + rests);
        }
        assert!(taken_back > 0 && cut > 20, "{taken_back} units were taken back and {cut} cut");
    }
}

#[test]
fn a_worker_that_does_what_it_has_given_up_is_found() {
    let conditions = Conditions { keeps_the_rest: true, slow: Some(1), ..Conditions::quiet() };
    assert_ne!(run(0, Consistency::Eventual, &[], conditions).sums(), due());
}

#[test]
fn a_sequential_table_does_not_show_that_workers_crashed() {
    let undisturbed = run(0, Consistency::Sequential, &[], Conditions::quiet()).sums();
    for seed in 0..40 {
        let job = run(seed, Consistency::Sequential, &crashes(seed), Conditions::of(seed));
        assert_eq!(job.sums(), undisturbed, "seed {seed}");
        assert_eq!(job.progress.lock().expect("one thread").units_cut, 0, "seed {seed}");
    }
}
