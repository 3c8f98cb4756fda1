//! Flags that the benchmarks have in common.

use crate::pin::Placement;
use anyhow::Result;
use clap::{Args, ValueEnum};
use parashard::error::{ExitCode, Failure};
use parashard::node::TransportChoice;
use std::path::PathBuf;
use std::time::Duration;

/// How each benchmark is run and where its figures go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Interleaved runs; the figures are their medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) runs: u16,
    /// Write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the rows as CSV.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the rows.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Tiny sizes and few rounds: shows that it runs, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Cores of client and server; by default the first two of this process.
    #[arg(long, value_name = "CLIENT,SERVER", value_parser = core_pair)]
    pin: Option<(usize, usize)>,
    /// Leave threads where the system puts them.
    #[arg(long, conflicts_with = "pin")]
    no_pin: bool,
}

impl Options {
    pub(crate) fn placement(&self) -> Result<Placement> {
        Placement::choose(self.pin, self.no_pin)
    }

    /// `normal`, or with `--quick` so much less.
    pub(crate) fn amount<T>(&self, normal: T, quick: T) -> T {
        if self.quick { quick } else { normal }
    }
}

fn core_pair(text: &str) -> Result<(usize, usize), String> {
    let pair = text.split_once(',').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    pair.ok_or_else(|| "two numbers of cores, as in 0,1".to_owned())
}

/// How a side waits for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// Looks again and again.
    Spin,
    /// Sleeps in the kernel.
    Block,
}

impl Wait {
    /// How long a node looks for messages before it sleeps. Far above a round trip, and short enough
    /// that a node that is not measured sleeps soon.
    pub(crate) fn spin(self) -> Duration {
        match self {
            Wait::Spin => Duration::from_millis(2),
            Wait::Block => Duration::ZERO,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Wait::Spin => "spin",
            Wait::Block => "block",
        }
    }
}

/// A way of the data between worker and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// The fastest there is.
    Auto,
    /// The connection.
    Tcp,
    /// Shared memory of one host.
    Shm,
    /// RDMA verbs.
    Verbs,
}

impl Way {
    /// The choice that stands for it.
    pub(crate) fn choice(self) -> TransportChoice {
        match self {
            Way::Auto => TransportChoice::Auto,
            Way::Tcp => TransportChoice::Tcp,
            Way::Shm => TransportChoice::Shm,
            Way::Verbs => TransportChoice::Verbs,
        }
    }
}

/// Which ways are measured, and where the server runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct WayOptions {
    /// Ways of the data between worker and server, measured side by side.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_value = "auto")]
    pub(crate) transport: Vec<Way>,
    /// The server is a thread of this process; by itself it is a process of its own.
    #[arg(long, conflicts_with = "scheduler")]
    pub(crate) in_process: bool,
}

impl WayOptions {
    /// The one way, for a benchmark that measures one at a time.
    pub(crate) fn only(&self) -> Result<Way> {
        match self.transport[..] {
            [way] => Ok(way),
            _ => Err(Failure::new(ExitCode::Usage, "--transport: give one here").into()),
        }
    }
}

/// A job that runs already, instead of servers of the benchmark's own.
#[derive(Debug, Clone, Args)]
pub(crate) struct RemoteOptions {
    /// Scheduler of a running job; the benchmark joins as one of its workers and ends it when done.
    #[arg(long, value_name = "HOST:PORT", requires_all = ["job", "table"])]
    pub(crate) scheduler: Option<String>,
    /// The job's id, in hexadecimal.
    #[arg(long, value_name = "ID", requires = "scheduler", value_parser = job_id)]
    pub(crate) job: Option<u64>,
    /// File with the job's secret; without it, the environment variable PARASHARD_SECRET.
    #[arg(long, value_name = "FILE", requires = "scheduler")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Which of the job's workers the benchmark is.
    #[arg(long, value_name = "R", requires = "scheduler", default_value_t = 0)]
    pub(crate) rank: u32,
    /// A table of f32 of the job, to push to and pull from; its values change.
    #[arg(long, value_name = "NAME", requires = "scheduler")]
    pub(crate) table: Option<String>,
}

fn job_id(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|error| error.to_string())
}

/// Options of a benchmark of pushes and pulls.
#[derive(Debug, Clone, Args)]
pub(crate) struct TableOptions {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(flatten)]
    pub(crate) remote: RemoteOptions,
    #[command(flatten)]
    pub(crate) ways: WayOptions,
    /// How both sides wait; `latency` without it does both.
    #[arg(long, value_enum)]
    pub(crate) wait: Option<Wait>,
}

/// Whether other programs are measured beside.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PeerOptions {
    /// Also measure what bench/peers/install.sh has installed.
    #[arg(long, conflicts_with = "scheduler")]
    pub(crate) peers: bool,
}

/// What is done with what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Apply {
    /// A server adds it to its table, or answers from it.
    Sum,
    /// Nothing: two fabrics alone, in this process. The receiver checks headers and lets frames go.
    None,
}
