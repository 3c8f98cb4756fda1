//! Microbenchmarks of Parashard, each beside the physical limit measured in the same run.
//!
//! `parashard bench …` executes this program, found beside it.

mod aggregate;
mod cluster;
mod raw;
mod round_trip;
mod sample;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Microbenchmarks of Parashard, each beside the physical limit measured in the same run.
#[derive(Debug, Parser)]
#[command(name = "parashard-bench", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Adding a push to a table, on one core and without a network, beside a hash map of the same keys.
    Aggregate {
        /// Interleaved runs; the table shows their medians.
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Also write the rows as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Round trips over loopback: a one-key push and pull and a dense push, beside raw TCP of the same bytes.
    RoundTrip {
        /// Interleaved runs; the table shows their medians.
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Also write the rows as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parashard-bench: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Arguments::parse().command {
        Command::Aggregate { runs, json } => aggregate::run(runs.max(1), json.as_deref()),
        Command::RoundTrip { runs, json } => round_trip::run(runs.max(1), json.as_deref()),
    }
}
