//! A small job inside this process: scheduler and one server on threads, the worker on the caller's.

use anyhow::Result;
use parashard::client::{Cluster, Offer, Shutdown, Workload};
use parashard::id::{JobId, NodeId, TableId, WriterId};
use parashard::node::{
    Cast, Consistency, DType, Filters, JobConfig, Layout, NodeConfig, NodeError, SchedulerHandle, SchedulerPlan,
    SchedulerProcess, Secret, TableSpec, UpdateFunction, random, run_server,
};
use std::thread::JoinHandle;
use std::time::Duration;

/// Name of the sparse table.
pub(crate) const SPARSE: &str = "sparse";
/// Name of the dense table.
pub(crate) const DENSE: &str = "dense";
/// Keys of the dense table: 1 MB of f32.
pub(crate) const DENSE_KEYS: u64 = 1 << 18;

/// Work that never comes: the benchmark uses the tables directly.
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

/// The job's threads, ended on drop.
pub(crate) struct LocalCluster {
    pub(crate) worker: Option<Cluster>,
    handle: SchedulerHandle,
    scheduler: Option<JoinHandle<Result<(), NodeError>>>,
    server: Option<JoinHandle<Result<(), NodeError>>>,
}

impl LocalCluster {
    /// Starts a job with one server shard and one worker; all of them look for messages for `spin`
    /// before they sleep.
    pub(crate) fn start(spin: Duration) -> Result<LocalCluster> {
        let config = NodeConfig {
            job: JobId(u64::from_le_bytes(random()?)),
            secret: Secret::from_bytes(&random::<32>()?)?,
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            scheduler: String::new(),
            host: "here".to_owned(),
            spin,
        };
        let job = JobConfig {
            tables: vec![table(0, SPARSE, u64::MAX, Layout::Sparse), table(1, DENSE, DENSE_KEYS, Layout::Dense)],
            writers: 1,
            program: Vec::new(),
        };
        let cast = Cast { shards: vec![NodeId::server(0, 0)], workers: 1, replicas: 0 };
        let plan = SchedulerPlan { cast, job, workload: Box::new(NoWork), load: None, save: None };
        let process = SchedulerProcess::open(&config, plan)?;
        let handle = process.handle();
        let config = NodeConfig { scheduler: process.address().to_owned(), ..config };
        let scheduler = std::thread::spawn(move || process.run().map(drop));
        let server_config = config.clone();
        let server = std::thread::spawn(move || run_server(&server_config, 0, 1).map(drop));
        let worker = Cluster::connect(&config, 0)?;
        Ok(LocalCluster { worker: Some(worker), handle, scheduler: Some(scheduler), server: Some(server) })
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // The launcher's going ends scheduler and server; the worker hears of it last.
        self.handle.hear(parashard::node::LauncherWord::Gone);
        if let Some(worker) = self.worker.take() {
            let _ = worker.wait_end();
        }
        for thread in [self.server.take(), self.scheduler.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

/// A table of f32 sums.
pub(crate) fn table(id: u16, name: &str, key_end: u64, layout: Layout) -> TableSpec {
    TableSpec {
        id: TableId(id),
        name: name.to_owned(),
        dtype: DType::F32,
        width: 1,
        key_end,
        layout,
        update: UpdateFunction::Sum,
        consistency: Consistency::Eventual,
        filters: Filters::default(),
    }
}
