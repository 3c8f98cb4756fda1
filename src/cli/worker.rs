//! `parashard worker`

use super::link::LinkOptions;
use super::node::NodeOptions;
use super::server::{end_code, leave_with_launcher};
use super::settings::{SPIN_US, SPIN_VARIABLE};
use crate::client::{ClientError, Cluster, NodeConfig, Shutdown};
use crate::error::{Classify, Failure};
use crate::launch::Member;
use crate::learn::{LearnError, run_worker};
use clap::Args;

/// Arguments of `parashard worker`.
#[derive(Debug, Clone, Args)]
pub(super) struct WorkerArguments {
    #[command(flatten)]
    node: NodeOptions,
    #[command(flatten)]
    links: LinkOptions,
    /// Which of the job's workers this is, from 0.
    #[arg(long, env = "PARASHARD_RANK", value_name = "I")]
    rank: u32,
    /// Microseconds to look for messages before sleeping, while they come in quick succession.
    #[arg(long, env = SPIN_VARIABLE, value_name = "US", default_value_t = SPIN_US)]
    spin_us: u64,
}

/// Works until no work is left and the job ends.
pub(super) fn run(arguments: &WorkerArguments) -> Result<u8, Failure> {
    leave_with_launcher(arguments.node.job_dir())?;
    let outcome = start(arguments).map(|shutdown| end_code(&shutdown));
    arguments.node.tell_launcher(Member::Worker(arguments.rank), outcome)
}

fn start(arguments: &WorkerArguments) -> Result<Shutdown, Failure> {
    let config = arguments.node.config(false, arguments.spin_us)?;
    work(&NodeConfig { links: arguments.links.settings()?, ..config }, arguments.rank)
}

/// Works on a job's units; tells how the job has ended.
pub(super) fn work(config: &NodeConfig, rank: u32) -> Result<Shutdown, Failure> {
    let cluster = match Cluster::connect(config, rank) {
        Ok(cluster) => cluster,
        Err(ClientError::Ended { exit_code, message }) => return Ok(Shutdown { exit_code, message }),
        Err(error) => return Err(error.into()),
    };
    match run_worker(&cluster) {
        Ok(()) | Err(LearnError::Client(ClientError::Ended { .. })) => {}
        // The scheduler has been told.
        Err(error) => tracing::info!(exit_code = error.exit_code() as u8, %error, "this worker cannot go on"),
    }
    Ok(cluster.wait_end()?)
}
