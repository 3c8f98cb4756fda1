//! One cluster in virtual time: every node a driver with a production state machine on the
//! simulated network. Goes from event to event and checks what must hold at every moment.

use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::pool_of_work::{PoolOfWork, Units};
use crate::program::Program;
use crate::watch::Watch;
use parashard::id::{Incarnation, JobId, Nanos, NodeId, Role, TableId, Time, WriterId};
use parashard::memory::Pool;
use parashard::node::Driver;
use parashard::protocol::Identity;
use parashard::protocol::scheduler::{Cast, Scheduler, SchedulerEvent};
use parashard::protocol::server::{Server, ServerEvent};
use parashard::protocol::worker::Worker;
use parashard::transport::sim::{SimNetwork, SimTransport};
use parashard::wire::{JobConfig, Shutdown, Task, TaskReply};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type On<M> = Driver<M, Watch<SimTransport>>;

/// Moments in one run; far above what a run needs.
const MOMENTS_MAX: u64 = 60_000;

pub(crate) struct SchedulerNode {
    pub(crate) driver: On<Scheduler>,
    tasks_open: usize,
    work_finished: bool,
    ending: bool,
}

pub(crate) struct ServerNode {
    pub(crate) driver: On<Server>,
    committed: Vec<Option<Time>>,
}

pub(crate) struct WorkerNode {
    pub(crate) driver: On<Worker>,
    pub(crate) program: Program,
}

/// All nodes and what is known of their work.
pub(crate) struct Cluster {
    pub(crate) plan: Plan,
    pub(crate) network: SimNetwork,
    pub(crate) now: Nanos,
    pub(crate) oracle: Oracle,
    pub(crate) units: Arc<Mutex<Units>>,
    pub(crate) scheduler: SchedulerNode,
    pub(crate) servers: BTreeMap<NodeId, ServerNode>,
    pub(crate) workers: BTreeMap<NodeId, WorkerNode>,
    /// How each node was told that the job ends.
    pub(crate) ends: BTreeMap<NodeId, (Nanos, Shutdown)>,
    /// Nodes that are not driven: crashed, or ended.
    pub(crate) gone: Vec<NodeId>,
    pool: Arc<Pool>,
    landing_pool: Arc<Pool>,
    moments: u64,
}

impl Cluster {
    pub(crate) fn new(plan: &Plan) -> Cluster {
        let network = SimNetwork::new(plan.seed, plan.faults.clone());
        let pool = Pool::unbounded();
        let (work, units) = PoolOfWork::new(plan.units, plan.eager || plan.seed.is_multiple_of(2), plan.delays.clone());
        let cast = Cast { shards: plan.shards.clone(), workers: plan.workers, replicas: 0 };
        let job = JobConfig {
            tables: plan.tables.clone(),
            writers: plan.workers,
            program: vec![7],
            survives_worker_loss: false,
        };
        let scheduler = Scheduler::new(Nanos(0), identity(NodeId::SCHEDULER, 1), &cast, job, Box::new(work));
        let driver = on(&network, &pool, Nanos(0), NodeId::SCHEDULER, 1, scheduler);
        let scheduler = SchedulerNode { driver, tasks_open: 0, work_finished: false, ending: false };
        let mut cluster = Cluster {
            plan: plan.clone(),
            network,
            now: Nanos(0),
            oracle: Oracle::new(plan),
            units,
            scheduler,
            servers: BTreeMap::new(),
            workers: BTreeMap::new(),
            ends: BTreeMap::new(),
            gone: Vec::new(),
            pool,
            landing_pool: Pool::unbounded(),
            moments: 0,
        };
        plan.shards.iter().for_each(|&shard| cluster.start_server(shard, 1));
        for writer in (0..plan.workers).map(WriterId) {
            cluster.start_worker(writer);
        }
        cluster
    }

    /// Starts a shard, for the first time or anew.
    pub(crate) fn start_server(&mut self, shard: NodeId, incarnation: u64) {
        let (address, host) = (shard.to_string(), "host".to_owned());
        let identity = identity(shard, incarnation);
        let mut machine = Server::new(self.now, identity, address, host, "scheduler", Arc::clone(&self.pool));
        machine.limit_key_cache(self.plan.key_cache_bytes);
        machine.limit_sent(self.plan.sent_bytes);
        let mut driver = on(&self.network, &self.pool, self.now, shard, incarnation, machine);
        driver.transport_mut().answers_early = self.plan.answers_early;
        driver.flush(self.now);
        self.gone.retain(|&gone| gone != shard);
        self.servers.insert(shard, ServerNode { driver, committed: vec![None; self.plan.tables.len()] });
    }

    fn start_worker(&mut self, writer: WriterId) {
        let node = NodeId::worker(writer.0);
        let mut machine =
            Worker::new(self.now, identity(node, 1), "host".to_owned(), "scheduler", Arc::clone(&self.pool));
        machine.limit_pulled(self.plan.pulled_bytes);
        // Of most seeds: in the others answers travel with their replies alone.
        if !self.plan.seed.is_multiple_of(5) {
            machine.land_in(&self.landing_pool, 1);
        }
        let mut driver = on(&self.network, &self.pool, self.now, node, 1, machine);
        driver.flush(self.now);
        self.workers.insert(node, WorkerNode { driver, program: Program::new(&self.plan, writer) });
    }

    /// Takes a node away without a word.
    pub(crate) fn crash(&mut self, node: NodeId) {
        self.network.crash(self.now, node);
        self.gone.push(node);
    }

    /// Goes on until `until` holds or nothing more can happen; whether it holds.
    pub(crate) fn run_until(&mut self, until: impl Fn(&Cluster) -> bool) -> bool {
        while !until(self) {
            let Some((due, nodes)) = self.next_moment() else { return false };
            self.moments += 1;
            assert!(self.moments < MOMENTS_MAX, "it runs on and on: now {:?}, {nodes:?} wants to act", self.now);
            self.now = due;
            nodes.into_iter().for_each(|node| self.drive(node));
        }
        true
    }

    /// Runs until every node is gone.
    pub(crate) fn run(&mut self) {
        let count = 1 + self.servers.len() + self.workers.len();
        let all_gone = self.run_until(|cluster| cluster.gone.len() == count);
        assert!(all_gone, "nothing happens any more, but only {:?} have ended", self.ends);
    }

    /// The next moment at which a node acts, and the nodes that act then.
    fn next_moment(&self) -> Option<(Nanos, Vec<NodeId>)> {
        let scheduler = [(NodeId::SCHEDULER, self.scheduler.driver.poll_timeout())];
        let servers = self.servers.iter().map(|(&node, server)| (node, server.driver.poll_timeout()));
        let workers = self.workers.iter().map(|(&node, worker)| {
            let own = worker.program.wake_at.filter(|_| worker.program.ended.is_none());
            (node, [worker.driver.poll_timeout(), own].into_iter().flatten().min())
        });
        let living = scheduler.into_iter().chain(servers).chain(workers);
        let dues = living.filter(|(node, _)| !self.gone.contains(node)).filter_map(|(node, due)| {
            let due = due?.max(self.now);
            Some((self.network.paused_until(due, node).unwrap_or(due), node))
        });
        let mut nodes = Vec::new();
        let mut first = None;
        for (due, node) in dues {
            if first.is_none_or(|first| due < first) {
                first = Some(due);
                nodes.clear();
            }
            if first == Some(due) {
                nodes.push(node);
            }
        }
        Some((first?, nodes))
    }

    fn drive(&mut self, node: NodeId) {
        match node.role() {
            Some(Role::Scheduler) => self.drive_scheduler(),
            Some(Role::Server) => self.drive_server(node),
            _ => self.drive_worker(node),
        }
    }

    fn drive_scheduler(&mut self) {
        let now = self.now;
        let idle = |node: &WorkerNode| node.program.is_idle(node.driver.machine());
        let all_idle = self.workers.values().all(idle);
        let node = &mut self.scheduler;
        node.driver.poll(now);
        while let Some(event) = node.driver.poll_event() {
            match event {
                SchedulerEvent::ServersReady if self.plan.begins_with_task => {
                    for &shard in &self.plan.shards {
                        node.driver.machine_mut().begin_task(shard, Task::Count { with_state: false });
                        node.tasks_open += 1;
                    }
                }
                SchedulerEvent::ServersReady => node.driver.machine_mut().begin_work(),
                SchedulerEvent::TaskDone { node: shard, reply } => {
                    assert_eq!(reply, TaskReply::Loaded { key_count: u64::from(shard.0) });
                    node.tasks_open -= 1;
                    if node.tasks_open == 0 {
                        node.driver.machine_mut().begin_work();
                    }
                }
                SchedulerEvent::WorkFinished => {
                    assert!(!std::mem::replace(&mut node.work_finished, true), "work is finished twice");
                    let units = self.units.lock().expect("one thread");
                    assert!(units.finished.iter().all(|&count| count == 1), "work is finished: {units:?}");
                }
                SchedulerEvent::Ended(shutdown) => {
                    assert!(self.ends.insert(NodeId::SCHEDULER, (now, shutdown)).is_none(), "it ends twice");
                }
            }
        }
        for table in (0..self.plan.tables.len()).filter(|&table| self.plan.delay(table).is_some()) {
            if let Some(delay_max) = node.driver.machine().delay_in_force(TableId(table as u16)) {
                self.oracle.delay_in_force(table, delay_max);
            }
        }
        if node.work_finished && all_idle && !node.ending {
            node.ending = true;
            node.driver.machine_mut().end(now, Shutdown { exit_code: 0, message: String::new() });
        }
        node.driver.flush(now);
        if self.ends.contains_key(&NodeId::SCHEDULER) {
            self.crash(NodeId::SCHEDULER);
        }
    }

    fn drive_server(&mut self, shard: NodeId) {
        let now = self.now;
        let Some(node) = self.servers.get_mut(&shard) else { return };
        node.driver.poll(now);
        while let Some(event) = node.driver.poll_event() {
            match event {
                ServerEvent::Welcome => {}
                ServerEvent::Task { sequence, task } => {
                    assert_eq!(task, Task::Count { with_state: false });
                    let reply = TaskReply::Loaded { key_count: u64::from(shard.0) };
                    node.driver.machine_mut().task_done(sequence, reply);
                }
                ServerEvent::Ended(shutdown) => {
                    assert!(self.ends.insert(shard, (now, shutdown)).is_none(), "{shard} ends twice");
                    self.gone.push(shard);
                }
            }
        }
        node.driver.flush(now);
        let server = node.driver.machine();
        for (table, committed) in node.committed.iter_mut().enumerate() {
            let time = server.committed_time(TableId(table as u16));
            assert!(time >= *committed, "{shard}: table {table} went back from {committed:?} to {time:?}");
            *committed = time;
        }
        let ranges_max = 250 * self.plan.tables.len();
        assert!(server.clock_range_count() <= ranges_max, "{shard}: {} clock ranges", server.clock_range_count());
    }

    fn drive_worker(&mut self, id: NodeId) {
        let now = self.now;
        let Some(WorkerNode { driver, program }) = self.workers.get_mut(&id) else { return };
        driver.poll(now);
        while let Some(event) = driver.poll_event() {
            program.on_event(now, event);
        }
        program.take_answers(driver.machine_mut(), &mut self.oracle);
        program.act(now, driver.machine_mut(), &self.plan, &mut self.oracle);
        driver.flush(now);
        if let Some(shutdown) = &program.ended {
            self.ends.insert(id, (now, shutdown.clone()));
            self.gone.push(id);
        }
    }
}

fn identity(node: NodeId, incarnation: u64) -> Identity {
    Identity::new(node, JobId(5), Incarnation(incarnation))
}

fn on<M: parashard::protocol::Machine>(
    network: &SimNetwork,
    pool: &Arc<Pool>,
    now: Nanos,
    node: NodeId,
    incarnation: u64,
    machine: M,
) -> On<M> {
    let transport = network.join(now, node, Incarnation(incarnation), pool);
    Driver::new(machine, Watch::new(transport, node))
}
