//! Microbenchmarks of Parashard, each beside the physical limit measured in the same run.
//!
//! `parashard bench …` executes this program, found beside it. README.md says how to read the figures.
//!
//! * `latency`, `bandwidth`, `push_pull`, `sparse`  a worker and a server on this machine (`cluster`).
//! * `aggregate`  the store alone. `clock`  the clock alone. `filters`, `kkt`, `consistency`  whole trainings (`trainer`, `training`).
//! * `pair`  two transports without them.
//! * `limit`, `peer`  what is measured beside them; `timing`, `report`  how, and how it is told.

mod aggregate;
mod bandwidth;
mod clock;
mod cluster;
mod consistency;
mod filters;
mod kkt;
mod latency;
mod limit;
mod machine;
mod options;
mod pair;
mod peer;
mod pin;
mod push_pull;
mod report;
mod sample;
mod sparse;
#[cfg(test)]
mod tests;
mod timing;
mod trainer;
mod training;

use anyhow::Result;
use clap::{Parser, Subcommand};
use parashard::client::ClientError;
use parashard::error::{Classify, Failure};
use parashard::node::NodeError;
use std::process::ExitCode;

/// Microbenchmarks of Parashard, each beside the physical limit measured in the same run.
#[derive(Debug, Parser)]
#[command(name = "parashard-bench", bin_name = "parashard bench", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Round trips of 1 and 100 keys, or of frames alone, beside a raw TCP ping-pong that waits in the same way.
    Latency(latency::LatencyArguments),
    /// Dense pushes alone and pulls alone, beside what the machine gives one stream on the same way.
    Bandwidth(bandwidth::BandwidthArguments),
    /// A push and a pull of the same, dense and sparse.
    PushPull(options::TableOptions),
    /// Pushes and pulls of sorted random keys, known to the server or not.
    Sparse(sparse::SparseArguments),
    /// Adding a push to a table, on one core and without a network, beside a hash map of the same keys.
    Aggregate(options::Options),
    /// Recording slices of pushes in a shard's clock, on one core and without a network.
    Clock(options::Options),
    /// Bytes an example, loss and speed of training with each filter.
    Filters(filters::FiltersArguments),
    /// Features and bytes of each pass of block proximal gradient, with the KKT filter and without.
    Kkt(kkt::KktArguments),
    /// Loss over time and waiting by the delay, with one slow worker and with none; a sleep stands for computing.
    Consistency(consistency::ConsistencyArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match parashard::simd::check_environment().map_err(Failure::from).map_err(Into::into).and_then(|_| run(&arguments))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parashard bench: error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Latency(latency) => latency::run(latency),
        Command::Bandwidth(bandwidth) => bandwidth::run(bandwidth),
        Command::PushPull(push_pull) => push_pull::run(push_pull),
        Command::Sparse(sparse) => sparse::run(sparse),
        Command::Aggregate(options) => aggregate::run(options),
        Command::Clock(options) => clock::run(options),
        Command::Filters(filters) => filters::run(filters),
        Command::Kkt(kkt) => kkt::run(kkt),
        Command::Consistency(consistency) => consistency::run(consistency),
    }
}

/// The code of the library's error below, if there is one; else the machine did not give what was needed.
fn exit_code(error: &anyhow::Error) -> u8 {
    let of = |cause: &(dyn std::error::Error + 'static)| {
        let failure = cause.downcast_ref::<Failure>().map(|failure| failure.exit_code);
        let client = cause.downcast_ref::<ClientError>().map(|error| error.exit_code() as u8);
        failure.or(client).or_else(|| cause.downcast_ref::<NodeError>().map(|error| error.exit_code() as u8))
    };
    error.chain().find_map(of).unwrap_or(parashard::error::ExitCode::CannotStart as u8)
}
