//! `parashard train`: the main job, with all its roles on this machine.

use super::extensions::Extensions;
use super::log::LogOptions;
use super::settings::{JobArguments, JobSettings, KEY_CACHE_VARIABLE, SPIN_US, SPIN_VARIABLE};
use super::{link, node, scheduler, worker};
use crate::error::{ExitCode, Failure};
use crate::launch::{InProcessJob, Listening, LocalJob, Roles, run_in_process, run_local};
use crate::node::NodeConfig;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
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
pub(super) fn run(arguments: &TrainArguments, log: &LogOptions, own: &Extensions) -> Result<u8, Failure> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let settings = arguments.job.settings()?;
    let spin_us = arguments.job.merged()?.spin_us.unwrap_or_else(|| local_spin_us(&settings));
    if settings.in_process {
        return run_threads(settings, spin_us, begin.as_secs_f64(), own);
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(ExitCode::CannotStart, format!("cannot find this program: {error}")))?;
    let mut environment = log.environment();
    environment.push((BEGIN_VARIABLE.to_owned(), OsString::from(begin.as_nanos().to_string())));
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
        targets: targets(&settings),
    };
    Ok(run_local(&job)?)
}

/// Runs all roles as threads of this process.
fn run_threads(settings: JobSettings, spin_us: u64, begin_at: f64, own: &Extensions) -> Result<u8, Failure> {
    let config = node::inner_config(spin_us, settings.key_cache_bytes, own)?;
    let job = InProcessJob {
        config: NodeConfig { links: link::inner_settings(&settings)?, ..config },
        servers: settings.servers,
        shards: settings.shards,
        workers: settings.workers,
        targets: targets(&settings),
    };
    let of_job = settings.clone();
    let check = move |config: &NodeConfig| scheduler::check_outputs(&of_job, config.job);
    let scheduler = move |config: &NodeConfig, listening: &Listening| {
        let (end, progress) = scheduler::run_job(&settings, config, |process| {
            listening.tell(process);
            Ok(())
        })?;
        scheduler::tell(&settings, &progress, &end, begin_at)
    };
    let worker = |config: &NodeConfig, rank| worker::work(config, rank).map(drop);
    run_in_process(&job, Roles { check: Box::new(check), scheduler: Box::new(scheduler), worker })
}

/// What the job writes.
fn targets(settings: &JobSettings) -> Vec<PathBuf> {
    std::iter::once(&settings.model).chain(&settings.json).cloned().collect()
}

/// Where shards and workers share cores, a node that looks for messages keeps its peer from sending them.
fn local_spin_us(settings: &JobSettings) -> u64 {
    let threads = u64::from(settings.servers) * u64::from(settings.shards) + u64::from(settings.workers);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if threads <= cores as u64 { SPIN_US } else { 0 }
}
