//! `parashard train`: the main job, with all its processes on this machine.

use super::link;
use super::log::LogOptions;
use super::settings::{JobArguments, JobSettings, KEY_CACHE_VARIABLE, SPIN_US, SPIN_VARIABLE};
use crate::error::{ExitCode, Failure};
use crate::launch::{LocalJob, run_local};
use clap::Args;
use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

/// Environment variable that tells the scheduler when the whole command began, in nanoseconds since 1970.
pub(super) const BEGIN_VARIABLE: &str = "PARASHARD_BEGIN_NS";

/// Arguments of `parashard train`.
#[derive(Debug, Clone, Args)]
pub(super) struct TrainArguments {
    #[command(flatten)]
    job: JobArguments,
}

/// Starts scheduler, servers and workers, and waits for the job's end.
pub(super) fn run(arguments: &TrainArguments, log: &LogOptions) -> Result<u8, Failure> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let settings = arguments.job.settings()?;
    let spin_us = arguments.job.merged()?.spin_us.unwrap_or_else(|| local_spin_us(&settings));
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(ExitCode::CannotStart, format!("cannot find this program: {error}")))?;
    let mut environment = log.environment();
    environment.push((BEGIN_VARIABLE.to_owned(), OsString::from(begin.to_string())));
    environment.push((SPIN_VARIABLE.to_owned(), OsString::from(spin_us.to_string())));
    environment.push((KEY_CACHE_VARIABLE.to_owned(), OsString::from(settings.key_cache_bytes.to_string())));
    environment.extend(link::environment(&settings));
    let job = LocalJob {
        program,
        servers: settings.servers,
        shards: settings.shards,
        workers: settings.workers,
        // The scheduler reads the same flags, environment and file as this process has.
        scheduler_arguments: std::env::args_os().skip_while(|argument| argument != "train").skip(1).collect(),
        environment,
        targets: std::iter::once(settings.model).chain(settings.json).collect(),
    };
    Ok(run_local(&job)?)
}

/// Where shards and workers share cores, a node that looks for messages keeps its peer from sending them.
fn local_spin_us(settings: &JobSettings) -> u64 {
    let threads = u64::from(settings.servers) * u64::from(settings.shards) + u64::from(settings.workers);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if threads <= cores as u64 { SPIN_US } else { 0 }
}
