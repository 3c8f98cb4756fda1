//! The command line: one file per subcommand.
//!
//! Results go to standard output, everything else to standard error. An error is one line: what,
//! where, what to do; the exit code says of which kind it is.

mod bench;
mod config;
mod consistency;
mod console;
mod data;
mod doctor;
mod ear;
mod evaluate;
mod extensions;
mod link;
mod log;
mod model;
mod node;
mod options;
mod output;
mod predict;
mod progress_display;
mod scheduler;
mod score;
mod server;
mod settings;
mod train;
mod worker;

use crate::error::Failure;
use crate::launch::survive_file_size_limit;
use crate::learn::data::BITS_MAX;
pub use extensions::Extensions;

use clap::builder::RangedI64ValueParser;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    /// Write the probability of label 1 for each row of a data set.
    Predict(predict::PredictArguments),
    /// Tell how good a model is on labelled data.
    Evaluate(evaluate::EvaluateArguments),
    /// Look at model files, and write them as text and back.
    Model(model::ModelArguments),
    /// Generate, convert and look at data.
    Data(data::DataArguments),
    /// Tell what a configuration comes to.
    Config(config::ConfigArguments),
    /// Run a job's scheduler, with the flags of `train`.
    Scheduler(scheduler::SchedulerArguments),
    /// Run one server process of a job.
    Server(server::ServerArguments),
    /// Run one worker process of a job.
    Worker(worker::WorkerArguments),
    /// Run a microbenchmark.
    Bench(bench::BenchArguments),
    /// Tell what of this machine a job would use, and try it.
    Doctor(doctor::DoctorArguments),
}

/// Runs the program; returns its exit code.
#[must_use]
pub fn run() -> u8 {
    run_with(&Extensions::default())
}

/// As [`run`], with a program's own functions and filters: a `main` that calls it is a `parashard` whose
/// subcommands `server`, `worker` and `train` have them.
#[must_use]
pub fn run_with(own: &Extensions) -> u8 {
    // The matches know where each value comes from, the parsed arguments do not.
    let parsed = Arguments::command()
        .try_get_matches()
        .and_then(|matches| Arguments::from_arg_matches(&matches).map(|arguments| (arguments, matches)));
    let (arguments, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream each wants.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return code;
        }
    };
    let ready = log::start(&arguments.log).and_then(|()| Ok(survive_file_size_limit()?)).and_then(|()| check_simd());
    let outcome = ready.and_then(|()| dispatch(&arguments, &matches, own));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            console::tell_error(&failure);
            failure.exit_code
        }
    }
}

/// Settles which instruction set the kernels use, so that a wrong choice is told at once.
fn check_simd() -> Result<(), Failure> {
    let level = crate::simd::check_environment()?;
    tracing::debug!(%level, "kernels");
    Ok(())
}

fn dispatch(arguments: &Arguments, matches: &ArgMatches, own: &Extensions) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Train(train) => train::run(train, &arguments.log, own),
        Command::Predict(predict) => predict::run(predict),
        Command::Evaluate(evaluate) => evaluate::run(evaluate),
        Command::Model(model) => model::run(model),
        Command::Data(data) => data::run(data),
        Command::Config(config) => config::run(config, matches.subcommand_matches("config")),
        Command::Scheduler(scheduler) => scheduler::run(scheduler),
        Command::Server(server) => server::run(server, own),
        Command::Worker(worker) => worker::run(worker, own),
        Command::Bench(bench) => bench::run(bench),
        Command::Doctor(doctor) => doctor::run(doctor),
    }
}

/// Reads a number of bits of hashed keys.
fn bits() -> RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=i64::from(BITS_MAX))
}
