//! The job under a benchmark: a small one inside this process, or one that runs already.
//!
//! Inside this process the scheduler sleeps on any core, the server's one shard runs on the server's
//! core and the worker on the caller's thread.

use crate::options::{RemoteOptions, Wait};
use crate::pin::Placement;
use anyhow::{Context, Result};
use parashard::client::{Cluster, Offer, Shutdown, Workload};
use parashard::error::{ExitCode, Failure};
use parashard::id::{JobId, NodeId, TableId, WriterId};
use parashard::node::{
    Cast, Consistency, DType, Filters, JobConfig, LauncherWord, Layout, LinkSettings, NodeConfig, NodeError,
    SchedulerHandle, SchedulerPlan, SchedulerProcess, Secret, TableSpec, UpdateFunction, random, read_secret_file,
    run_server, secret_from_environment,
};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// A scheduler and a server with one shard on threads of this process; they end when it is dropped.
pub(crate) struct LocalJob {
    /// What a worker of the job must know.
    pub(crate) config: NodeConfig,
    handle: SchedulerHandle,
    scheduler: Option<JoinHandle<Result<(), NodeError>>>,
    server: Option<JoinHandle<Result<(), NodeError>>>,
}

impl LocalJob {
    pub(crate) fn start(tables: Vec<TableSpec>, secret: Secret, wait: Wait, placement: &Placement) -> Result<LocalJob> {
        let config = NodeConfig {
            job: JobId(u64::from_le_bytes(random()?)),
            secret,
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            scheduler: String::new(),
            host: "here".to_owned(),
            spin: Duration::ZERO,
            key_cache_bytes: parashard::limit::SHARD_KEY_CACHE_BYTES,
            links: LinkSettings::default(),
            placement: parashard::node::Placement::default(),
        };
        let job = JobConfig { tables, writers: 1, program: Vec::new() };
        let cast = Cast { shards: vec![NodeId::server(0, 0)], workers: 1, replicas: 0 };
        let plan = SchedulerPlan { cast, job, workload: Box::new(NoWork), load: None, save: None };
        let process = SchedulerProcess::open(&config, plan)?;
        let handle = process.handle();
        let config = NodeConfig { scheduler: process.address().to_owned(), spin: wait.spin(), ..config };
        let scheduler = placement.start_on_all(|| Ok(std::thread::spawn(move || process.run().map(drop))))?;
        let server_config = config.clone();
        let serve = move || run_server(&server_config, 0, 1).map(drop);
        let server = placement.start_on_server(|| Ok(std::thread::spawn(serve)))?;
        Ok(LocalJob { config, handle, scheduler: Some(scheduler), server: Some(server) })
    }
}

impl Drop for LocalJob {
    fn drop(&mut self) {
        // The launcher's going ends scheduler and server.
        self.handle.hear(LauncherWord::Gone);
        for thread in [self.server.take(), self.scheduler.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

/// A worker in a job. Dropped, it leaves, and the job ends.
pub(crate) struct Job {
    worker: Option<Cluster>,
    local: Option<LocalJob>,
    /// The one table of a job that runs already.
    table: Option<String>,
}

impl Job {
    /// A job of its own with these tables.
    pub(crate) fn start(tables: Vec<TableSpec>, wait: Wait, placement: &Placement) -> Result<Job> {
        let secret = Secret::from_bytes(&random::<32>()?)?;
        let local = LocalJob::start(tables, secret, wait, placement)?;
        let worker = Cluster::connect(&local.config, 0)?;
        Ok(Job { worker: Some(worker), local: Some(local), table: None })
    }

    /// Joins a job that runs already.
    pub(crate) fn join(remote: &RemoteOptions, wait: Wait) -> Result<Job> {
        let scheduler = remote.scheduler.clone().context("--scheduler says where the job is")?;
        let secret = match &remote.secret_file {
            Some(path) => Some(read_secret_file(path)?),
            None => secret_from_environment()?,
        };
        let missing =
            || Failure::new(ExitCode::Usage, "missing the job's secret: --secret-file FILE or PARASHARD_SECRET");
        let config = NodeConfig {
            job: JobId(remote.job.context("--job names the job")?),
            secret: secret.ok_or_else(missing)?,
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            scheduler,
            host: "bench".to_owned(),
            spin: wait.spin(),
            key_cache_bytes: parashard::limit::SHARD_KEY_CACHE_BYTES,
            links: LinkSettings::default(),
            placement: parashard::node::Placement::default(),
        };
        Ok(Job { worker: Some(Cluster::connect(&config, remote.rank)?), local: None, table: remote.table.clone() })
    }

    /// A table of f32 by its name; in a job that runs already, the one of `--table`.
    pub(crate) fn table(&self, name: &str, layout: Layout) -> Result<Table> {
        let worker = self.worker.as_ref().context("the worker stays as long as the job")?;
        let table: Table = worker.table(self.table.as_deref().unwrap_or(name))?;
        let spec = table.spec();
        if spec.layout != layout || spec.width != 1 {
            let message = format!(
                "table '{}' is {} and {} wide; this benchmark needs one that is {layout} and 1 wide",
                spec.name, spec.layout, spec.width
            );
            return Err(Failure::new(ExitCode::BadInput, message).into());
        }
        Ok(table)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        match &self.local {
            Some(local) => local.handle.hear(LauncherWord::Gone),
            None => worker.fail(0, "the benchmark is done".to_owned()),
        }
        let _ = worker.wait_end();
    }
}

/// What the benchmarks push to and pull from.
pub(crate) type Table = parashard::client::Table<f32>;

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
