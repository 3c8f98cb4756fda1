//! Flags that tell a node of its job: through the launcher's folder, or one by one.

use super::extensions::Extensions;
use crate::error::{ExitCode, Failure};
use crate::id::JobId;
use crate::launch::{JOB_DIR_VARIABLE, JobDir, Member, wait_for_scheduler};
use crate::limit;
use crate::memory::HugePages;
use crate::node::{
    LinkSettings, NodeConfig, Placement, SECRET_VARIABLE, Secret, has_lifeline, random, read_secret_file,
    secret_from_environment,
};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Where and in which job a node runs.
#[derive(Debug, Clone, Args)]
pub(super) struct NodeOptions {
    /// The job's folder, as the launcher made it; gives job id, secret and the scheduler's address.
    #[arg(long, env = JOB_DIR_VARIABLE, value_name = "DIR")]
    job_dir: Option<PathBuf>,
    /// The job's id, in hexadecimal.
    #[arg(long, env = "PARASHARD_JOB", value_name = "ID", value_parser = job_id)]
    job: Option<u64>,
    /// File with the job's secret in hexadecimal, mode 0600. Without it, the environment variable PARASHARD_SECRET.
    #[arg(long, env = "PARASHARD_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Where the scheduler listens.
    #[arg(long, env = "PARASHARD_SCHEDULER", value_name = "HOST:PORT")]
    scheduler: Option<String>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "PARASHARD_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: String,
    /// Host name to tell the other nodes, when it is not the one listened on.
    #[arg(long, env = "PARASHARD_ADVERTISE", value_name = "HOST")]
    advertise: Option<String>,
    /// Name of this host among the job's hosts.
    #[arg(long, env = "PARASHARD_HOST_ID", value_name = "NAME")]
    host_id: Option<String>,
    /// Pages of payload memory: explicit ones from the machine's reserve, transparent ones, or auto: what there is.
    #[arg(long, env = "PARASHARD_HUGE_PAGES", value_name = "KIND", default_value = "auto")]
    huge_pages: HugePages,
}

fn job_id(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|error| error.to_string())
}

impl NodeOptions {
    /// The launcher's folder, if there is one.
    pub(super) fn job_dir(&self) -> Option<JobDir> {
        self.job_dir.as_deref().map(JobDir::open)
    }

    /// The node's configuration. Waits for the scheduler's address unless this is the scheduler.
    pub(super) fn config(&self, is_scheduler: bool, spin_us: u64, own: &Extensions) -> Result<NodeConfig, Failure> {
        let dir = self.job_dir();
        let job = match (self.job, &dir) {
            (Some(job), _) => JobId(job),
            (None, Some(dir)) => dir.job()?,
            (None, None) => return Err(missing("the job's id: --job ID")),
        };
        let scheduler = match (&self.scheduler, &dir) {
            _ if is_scheduler => String::new(),
            (Some(address), _) => address.clone(),
            (None, Some(dir)) => wait_for_scheduler(dir, limit::START_TIMEOUT)?,
            (None, None) => return Err(missing("the scheduler's address: --scheduler HOST:PORT")),
        };
        Ok(NodeConfig {
            job,
            secret: self.secret(dir.as_ref())?,
            listen: self.listen.clone(),
            advertise: self.advertise.clone(),
            scheduler,
            host: self.host_id.clone().unwrap_or_else(host_id),
            spin: Duration::from_micros(spin_us),
            key_cache_bytes: limit::SHARD_KEY_CACHE_BYTES,
            links: LinkSettings::default(),
            placement: Placement { huge_pages: self.huge_pages, ..Placement::default() },
            functions: own.functions.clone(),
            push_filters: own.push_filters.clone(),
            pull_filters: own.pull_filters.clone(),
        })
    }

    /// Leaves an error to a launcher that listens: it tells it once, for the whole job.
    pub(super) fn tell_launcher(&self, member: Member, outcome: Result<u8, Failure>) -> Result<u8, Failure> {
        match (outcome, self.job_dir().filter(|_| has_lifeline())) {
            // Without its folder the job has ended already, and somebody has said why.
            (Err(failure), Some(dir)) if dir.tell_failure(member, &failure).is_ok() || !dir.path().exists() => {
                Ok(failure.exit_code)
            }
            (outcome, _) => outcome,
        }
    }

    fn secret(&self, dir: Option<&JobDir>) -> Result<Secret, Failure> {
        if let Some(path) = &self.secret_file {
            return Ok(read_secret_file(path)?);
        }
        if let Some(secret) = secret_from_environment()? {
            return Ok(secret);
        }
        match dir {
            Some(dir) => Ok(dir.secret()?),
            None => {
                Err(missing(&format!("the job's secret: --secret-file FILE or the environment's {SECRET_VARIABLE}")))
            }
        }
    }
}

/// The configuration of nodes that are threads of this process, of a job whose id and secret nobody else knows.
pub(super) fn inner_config(spin_us: u64, key_cache_bytes: usize, own: &Extensions) -> Result<NodeConfig, Failure> {
    let secret = Secret::from_bytes(&random::<32>()?)
        .map_err(|error| Failure::new(ExitCode::CannotStart, format!("cannot draw a secret: {error}")))?;
    Ok(NodeConfig {
        job: JobId(u64::from_le_bytes(random()?)),
        secret,
        listen: "127.0.0.1:0".to_owned(),
        advertise: None,
        scheduler: String::new(),
        host: host_id(),
        spin: Duration::from_micros(spin_us),
        key_cache_bytes,
        links: LinkSettings::default(),
        placement: Placement::default(),
        functions: own.functions.clone(),
        push_filters: own.push_filters.clone(),
        pull_filters: own.pull_filters.clone(),
    })
}

fn missing(what: &str) -> Failure {
    Failure::new(ExitCode::Usage, format!("missing {what}, or the launcher's --job-dir DIR"))
}

/// The machine's own id; several simulated hosts on one machine say theirs with `--host-id`.
fn host_id() -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let network = std::fs::read_link("/proc/self/ns/net").map(|link| link.display().to_string()).unwrap_or_default();
    let slurm = std::env::var("SLURMD_NODENAME").unwrap_or_default();
    format!("{}+{network}+{slurm}", machine.trim())
}
