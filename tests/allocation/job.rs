//! A job of one shard and one worker in threads of this process.

use parashard::client::{Cluster, Offer, Shutdown, Workload};
use parashard::id::{JobId, NodeId, TableId, WriterId};
use parashard::node::{
    Cast, Consistency, DType, JobConfig, LauncherWord, Layout, LinkSettings, NodeConfig, SchedulerHandle,
    SchedulerPlan, SchedulerProcess, Secret, TableSpec, TransportChoice, UpdateFunction, run_server,
};
use std::thread::JoinHandle;

/// Keys of a table.
pub(crate) const KEY_END: u64 = 1 << 24;

/// Work that never comes.
struct NoWork;

impl Workload for NoWork {
    fn next(&mut self, _: WriterId) -> Offer {
        Offer::Wait
    }

    fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), Shutdown> {
        Ok(())
    }

    fn progress(&mut self, _: WriterId, _: &[u8]) {}

    fn stop(&mut self) {}
}

/// Scheduler and server in threads; they end when it is dropped.
pub(crate) struct Job {
    pub(crate) config: NodeConfig,
    handle: SchedulerHandle,
    threads: Vec<JoinHandle<()>>,
}

impl Job {
    /// A scheduler for these tables, without a server.
    pub(crate) fn scheduler(tables: Vec<TableSpec>, choice: TransportChoice) -> Job {
        let mut config = NodeConfig {
            key_cache_bytes: 64 << 20,
            links: LinkSettings { choice, ..LinkSettings::default() },
            ..NodeConfig::local(JobId(0xa110c), Secret::from_bytes(&[7; 32]).expect("long enough"))
        };
        let plan = SchedulerPlan {
            cast: Cast { shards: vec![NodeId::server(0, 0)], workers: 1, replicas: 0 },
            job: JobConfig { tables, writers: 1, program: Vec::new(), survives_worker_loss: false },
            workload: Box::new(NoWork),
            load: None,
            save: None,
        };
        let process = SchedulerProcess::open(&config, plan).expect("opens");
        let handle = process.handle();
        config.scheduler = process.address().to_owned();
        let scheduler = std::thread::spawn(move || drop(process.run()));
        Job { config, handle, threads: vec![scheduler] }
    }

    /// A whole job.
    pub(crate) fn start(tables: Vec<TableSpec>, choice: TransportChoice) -> (Job, Cluster) {
        let mut job = Job::scheduler(tables, choice);
        let config = job.config.clone();
        job.threads.push(std::thread::spawn(move || drop(run_server(&config, 0, 1))));
        let cluster = Cluster::connect(&job.config, 0).expect("joins");
        (job, cluster)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.handle.hear(LauncherWord::Gone);
        // Who has panicked has said so.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// An eventual table of single floats.
pub(crate) fn table(index: u16, name: &str, layout: Layout, filters: &str) -> TableSpec {
    TableSpec {
        id: TableId(index),
        name: name.to_owned(),
        dtype: DType::F32,
        width: 1,
        key_end: KEY_END,
        layout,
        update: UpdateFunction::Sum,
        consistency: Consistency::Eventual,
        filters: filters.parse().expect("good names"),
    }
}
