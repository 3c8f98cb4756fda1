//! `parashard worker`

use super::extensions::Extensions;
use super::link::LinkOptions;
use super::node::NodeOptions;
use super::server::{end_code, leave_with_launcher};
use super::settings::{SPIN_US, SPIN_VARIABLE};
use crate::client::{ClientError, Cluster, NodeConfig, Shutdown};
use crate::error::{Classify, Failure};
use crate::launch::Member;
use crate::learn::{LearnError, run_worker};
use clap::Args;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

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
pub(super) fn run(arguments: &WorkerArguments, own: &Extensions) -> Result<u8, Failure> {
    leave_with_launcher(arguments.node.job_dir())?;
    let outcome = start(arguments, own).map(|shutdown| end_code(&shutdown));
    arguments.node.tell_launcher(Member::Worker(arguments.rank), outcome)
}

fn start(arguments: &WorkerArguments, own: &Extensions) -> Result<Shutdown, Failure> {
    let config = arguments.node.config(false, arguments.spin_us, own)?;
    work(&NodeConfig { links: arguments.links.settings()?, ..config }, arguments.rank)
}

/// The threads that do the work of lost workers.
#[derive(Clone, Default)]
struct Adopted {
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Adopted {
    /// Starts a node in the name of a lost one. Where that cannot be the scheduler asks another process.
    fn start(&self, config: &NodeConfig, rank: u32) {
        let (config, adopted) = (config.clone(), self.clone());
        let work = move || match work_as(&config, rank, &adopted) {
            Ok(_) => tracing::debug!(rank, "the work of a lost worker is done"),
            Err(failure) => tracing::warn!(rank, %failure, "cannot do the work of a lost worker"),
        };
        match Builder::new().name(format!("worker {rank}")).spawn(work) {
            Ok(thread) => self.threads().push(thread),
            Err(error) => tracing::warn!(rank, %error, "cannot start a thread for the work of a lost worker"),
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the job has ended for all of them too.
    fn join(&self) {
        while let Some(thread) = { self.threads().pop() } {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

/// Works on a job's units, and on those of lost workers that the scheduler gives to this process; tells how the
/// job has ended.
pub(super) fn work(config: &NodeConfig, rank: u32) -> Result<Shutdown, Failure> {
    let adopted = Adopted::default();
    let outcome = work_as(config, rank, &adopted);
    adopted.join();
    outcome
}

/// Works as the worker of this rank.
fn work_as(config: &NodeConfig, rank: u32, adopted: &Adopted) -> Result<Shutdown, Failure> {
    let cluster = match Cluster::connect(config, rank) {
        Ok(cluster) => cluster,
        Err(ClientError::Ended { exit_code, message }) => return Ok(Shutdown { exit_code, message }),
        Err(error) => return Err(error.into()),
    };
    let (for_others, own) = (config.clone(), adopted.clone());
    cluster.on_adopt(move |rank| own.start(&for_others, rank));
    match run_worker(&cluster) {
        Ok(()) | Err(LearnError::Client(ClientError::Ended { .. })) => {}
        // The scheduler has been told.
        Err(error) => tracing::info!(exit_code = error.exit_code() as u8, %error, "this worker cannot go on"),
    }
    Ok(cluster.wait_end()?)
}
