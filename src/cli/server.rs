//! `parashard server`

use super::console::tell_error;
use super::extensions::Extensions;
use super::link::LinkOptions;
use super::node::NodeOptions;
use super::settings::{KEY_CACHE_VARIABLE, SPIN_US, SPIN_VARIABLE};
use crate::client::Shutdown;
use crate::error::Failure;
use crate::launch::{JobDir, Member};
use crate::limit;
use crate::node::{LauncherWord, NodeConfig, Pinning, Placement, has_lifeline, run_server, watch_lifeline};
use clap::Args;

/// Arguments of `parashard server`.
#[derive(Debug, Clone, Args)]
pub(super) struct ServerArguments {
    #[command(flatten)]
    node: NodeOptions,
    #[command(flatten)]
    links: LinkOptions,
    /// Which of the job's servers this is, from 0.
    #[arg(long, env = "PARASHARD_RANK", value_name = "I")]
    rank: u32,
    /// Shards, one thread each.
    #[arg(long, env = "PARASHARD_SHARDS", value_name = "N", default_value_t = 1)]
    shards: u8,
    /// Microseconds to look for messages before sleeping, while they come in quick succession.
    #[arg(long, env = SPIN_VARIABLE, value_name = "US", default_value_t = SPIN_US)]
    spin_us: u64,
    /// Bytes that each shard keeps of key lists, for the filter key_cache, and again of answers, for changed.
    #[arg(long, env = KEY_CACHE_VARIABLE, value_name = "BYTES", default_value_t = limit::SHARD_KEY_CACHE_BYTES)]
    key_cache_bytes: usize,
    /// Processors of the shards: numbers separated by commas, none, or auto: next to the network adapter where
    /// there are several memory nodes, and memory from there.
    #[arg(long, env = "PARASHARD_PIN", value_name = "auto|none|LIST", default_value = "auto")]
    pin: Pinning,
}

/// Serves until the job ends.
pub(super) fn run(arguments: &ServerArguments, own: &Extensions) -> Result<u8, Failure> {
    leave_with_launcher(arguments.node.job_dir())?;
    let outcome = serve(arguments, own);
    arguments.node.tell_launcher(Member::Server(arguments.rank), outcome)
}

fn serve(arguments: &ServerArguments, own: &Extensions) -> Result<u8, Failure> {
    let config = arguments.node.config(false, arguments.spin_us, own)?;
    let placement = Placement { pinning: arguments.pin.clone(), ..config.placement };
    let (key_cache_bytes, links) = (arguments.key_cache_bytes, arguments.links.settings()?);
    let config = NodeConfig { key_cache_bytes, links, placement, ..config };
    let shutdown = run_server(&config, arguments.rank, arguments.shards)?;
    Ok(end_code(&shutdown))
}

/// The job's exit code. Where a launcher has started the job, its scheduler says why; elsewhere every node does.
pub(super) fn end_code(shutdown: &Shutdown) -> u8 {
    tracing::info!(exit_code = shutdown.exit_code, message = shutdown.message, "the job has ended");
    if shutdown.exit_code != 0 && !has_lifeline() {
        tell_error(&shutdown.message);
    }
    shutdown.exit_code
}

/// A node that a launcher has started goes when the launcher goes.
pub(super) fn leave_with_launcher(dir: Option<JobDir>) -> Result<(), Failure> {
    if has_lifeline() {
        watch_lifeline(move |word| {
            if word == LauncherWord::Gone {
                tracing::debug!("the launcher is gone, leaving");
                // It may have gone together with the scheduler, which would remove its folder.
                dir.iter().for_each(JobDir::remove);
                std::process::exit(i32::from(crate::error::ExitCode::NodeLost as u8));
            }
        })?;
    }
    Ok(())
}
