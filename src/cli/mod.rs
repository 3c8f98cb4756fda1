//! The command line: one file per subcommand.
//!
//! Results go to standard output, everything else to standard error. An error is one line: what,
//! where, what to do; the exit code says of which kind it is.

mod console;
mod ear;
mod log;
mod node;
mod options;
mod progress_display;
mod scheduler;
mod server;
mod settings;
mod train;
mod worker;

use crate::error::Failure;
use crate::launch::survive_file_size_limit;
use clap::{Parser, Subcommand};

/// A parameter server for HPC clusters.
#[derive(Debug, Parser)]
#[command(name = "parashard", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    log: log::LogOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model: scheduler, servers and workers on this machine, one command.
    Train(train::TrainArguments),
    /// Run a job's scheduler, with the flags of `train`.
    Scheduler(scheduler::SchedulerArguments),
    /// Run one server process of a job.
    Server(server::ServerArguments),
    /// Run one worker process of a job.
    Worker(worker::WorkerArguments),
}

/// Runs the program; returns its exit code.
#[must_use]
pub fn run() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream each wants.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return code;
        }
    };
    let outcome = log::start(&arguments.log)
        .and_then(|()| Ok(survive_file_size_limit()?))
        .and_then(|()| dispatch(&arguments));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            console::tell_error(&failure);
            failure.exit_code
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Train(train) => train::run(train, &arguments.log),
        Command::Scheduler(scheduler) => scheduler::run(scheduler),
        Command::Server(server) => server::run(server),
        Command::Worker(worker) => worker::run(worker),
    }
}
