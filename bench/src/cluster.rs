//! The job under a benchmark: a small one inside this process, or one that runs already.
//!
//! The scheduler sleeps on any core of this process, the server's one shard runs on the server's core,
//! in a process of its own or on a thread of this one, and the worker on the caller's thread.

use crate::options::{TableOptions, Wait, Way};
use crate::peer::Program;
use crate::pin::Placement;
use anyhow::{Context, Result, bail};
use parashard::client::{Cluster, KeyList, Offer, Shutdown, Workload};
use parashard::error::{ExitCode, Failure};
use parashard::id::{JobId, NodeId, TableId, WriterId};
use parashard::keyspace::KeyRange;
use parashard::node::{
    Cast, Consistency, DType, Filters, JobConfig, LauncherWord, Layout, LinkSettings, NodeConfig, NodeError,
    SECRET_VARIABLE, SchedulerHandle, SchedulerPlan, SchedulerProcess, Secret, TableSpec, UpdateFunction, random,
    read_secret_file, run_server, secret_from_environment,
};
use parashard::transport::fabric::LinkKind;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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

/// How long the pair of worker and server may take to agree on its way.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

/// How worker and server wait, and how their data travels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) wait: Wait,
    pub(crate) way: Way,
    /// The server is a thread of this process.
    pub(crate) in_process: bool,
}

/// A scheduler in this process and a server with one shard; they end when it is dropped.
pub(crate) struct LocalJob {
    /// What a worker of the job must know.
    pub(crate) config: NodeConfig,
    handle: SchedulerHandle,
    scheduler: Option<JoinHandle<Result<(), NodeError>>>,
    server: Server,
}

enum Server {
    Thread(Option<JoinHandle<Result<(), NodeError>>>),
    /// Ends with the job, or when this is dropped.
    Process {
        _program: Program,
    },
}

impl LocalJob {
    pub(crate) fn start(
        tables: Vec<TableSpec>,
        secret: &[u8; 32],
        mode: Mode,
        placement: &Placement,
    ) -> Result<LocalJob> {
        let config = node_config(JobId(u64::from_le_bytes(random()?)), Secret::from_bytes(secret)?, mode);
        let job = JobConfig { tables, writers: 1, program: Vec::new(), survives_worker_loss: false };
        let cast = Cast { shards: vec![NodeId::server(0, 0)], workers: 1, replicas: 0 };
        let plan = SchedulerPlan { cast, job, workload: Box::new(NoWork), load: None, save: None };
        let process = SchedulerProcess::open(&NodeConfig { spin: Duration::ZERO, ..config.clone() }, plan)?;
        let handle = process.handle();
        let config = NodeConfig { scheduler: process.address().to_owned(), ..config };
        let scheduler = placement.start_on_all(|| Ok(std::thread::spawn(move || process.run().map(drop))))?;
        let server = placement.start_on_server(|| {
            if !mode.in_process {
                return Ok(Server::Process { _program: server_process(&config, secret, mode)? });
            }
            let config = config.clone();
            Ok(Server::Thread(Some(std::thread::spawn(move || run_server(&config, 0, 1).map(drop)))))
        });
        Ok(LocalJob { config, handle, scheduler: Some(scheduler), server: server? })
    }
}

/// A node of this machine.
fn node_config(job: JobId, secret: Secret, mode: Mode) -> NodeConfig {
    NodeConfig {
        spin: mode.wait.spin(),
        links: LinkSettings { choice: mode.way.choice(), ..LinkSettings::default() },
        ..NodeConfig::local(job, secret)
    }
}

/// `parashard server`, found beside this program.
fn server_process(config: &NodeConfig, secret: &[u8; 32], mode: Mode) -> Result<Program> {
    let program = std::env::current_exe()?.with_file_name("parashard");
    if !program.is_file() {
        let hint = "build it with: cargo build --release --workspace, or give --in-process";
        let message = format!("cannot start {}: it is not there; {hint}", program.display());
        return Err(Failure::new(ExitCode::CannotStart, message).into());
    }
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = Command::new(program);
    command.args(["server", "--rank", "0", "--pin", "none", "--scheduler", &config.scheduler]);
    command.args(["--job", &format!("{:x}", config.job.0), "--transport", &mode.way.choice().to_string()]);
    command.args(["--host-id", "here", "--spin-us", &mode.wait.spin().as_micros().to_string()]);
    command.env(SECRET_VARIABLE, digits);
    Program::start("parashard server", command)
}

impl Drop for LocalJob {
    fn drop(&mut self) {
        // The launcher's going ends scheduler and server.
        self.handle.hear(LauncherWord::Gone);
        let server = match &mut self.server {
            Server::Thread(thread) => thread.take(),
            Server::Process { .. } => None,
        };
        for thread in [server, self.scheduler.take()].into_iter().flatten() {
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
    /// A job of its own with these tables, or the one that runs already.
    pub(crate) fn open(
        tables: Vec<TableSpec>,
        options: &TableOptions,
        mode: Mode,
        placement: &Placement,
    ) -> Result<Job> {
        if options.remote.scheduler.is_some() {
            return Job::join(options, mode);
        }
        let local = LocalJob::start(tables, &random::<32>()?, mode, placement)?;
        let job = Job { worker: Some(Cluster::connect(&local.config, 0)?), local: Some(local), table: None };
        job.await_link()?;
        Ok(job)
    }

    /// Joins a job that runs already.
    fn join(options: &TableOptions, mode: Mode) -> Result<Job> {
        let remote = &options.remote;
        let scheduler = remote.scheduler.clone().context("--scheduler says where the job is")?;
        let secret = match &remote.secret_file {
            Some(path) => Some(read_secret_file(path)?),
            None => secret_from_environment()?,
        };
        let missing =
            || Failure::new(ExitCode::Usage, "missing the job's secret: --secret-file FILE or PARASHARD_SECRET");
        let job = JobId(remote.job.context("--job names the job")?);
        let config = node_config(job, secret.ok_or_else(missing)?, mode);
        let config = NodeConfig { scheduler, host: "bench".to_owned(), ..config };
        let job =
            Job { worker: Some(Cluster::connect(&config, remote.rank)?), local: None, table: remote.table.clone() };
        job.await_link()?;
        Ok(job)
    }

    /// Asks for one value, which connects the worker, and waits until worker and servers know their way.
    fn await_link(&self) -> Result<()> {
        let begin = Instant::now();
        let worker = self.worker.as_ref().context("the worker stays as long as the job")?;
        if let Some(spec) = worker.job().tables.first() {
            let table: Table = worker.table(&spec.name)?;
            match spec.layout {
                Layout::Dense => drop(table.pull_range(KeyRange::new(0, 1))?.wait()?),
                Layout::Sparse => drop(table.pull(&KeyList::new(vec![0])?)?.wait()?),
            }
        }
        while self.links().is_empty() {
            if begin.elapsed() > LINK_TIMEOUT {
                bail!("worker and server have not agreed on a way for their data");
            }
            // Nobody asked for work, so there is none; but looking for it makes progress.
            drop(worker.try_unit());
        }
        Ok(())
    }

    /// Which ways the data takes.
    pub(crate) fn links(&self) -> Vec<LinkKind> {
        let links = self.worker.as_ref().map(|worker| worker.statistics().links);
        links.into_iter().flat_map(|links| links.iter().map(|(kind, _)| kind).collect::<Vec<_>>()).collect()
    }

    /// Their names.
    pub(crate) fn link(&self) -> String {
        self.links().iter().map(|kind| kind.name()).collect::<Vec<_>>().join("+")
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
