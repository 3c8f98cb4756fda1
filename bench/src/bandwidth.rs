//! Dense pushes alone and pulls alone, beside one stream of iperf3 and one of plain sockets.

use crate::cluster::{Job, Table, table};
use crate::limit::{Iperf3, NO_LIMIT, stream_gb_per_s};
use crate::machine::Machine;
use crate::options::{Options, PeerOptions, TableOptions, Wait};
use crate::peer::{MpiKind, PeerPlan, PeerPoint, PeerSet};
use crate::pin::Placement;
use crate::report::{Plot, Report, Row};
use crate::sample::median;
use crate::timing::{Pace, Series};
use anyhow::Result;
use clap::Args;
use parashard::keyspace::KeyRange;
use parashard::node::Layout;
use std::time::Duration;

/// Elements of the dense table: 32 MB of f32.
const ELEMENTS: u64 = 8 << 20;
/// Bytes that the operations of one point move in a run, about.
const BYTES_A_RUN: u64 = 128 << 20;
/// Most operations of one point in a run.
const ROUNDS_MAX: u64 = 2_000;
/// The same with `--quick`, and the fewest without.
const QUICK_ROUNDS: u64 = 8;

/// Arguments of `bandwidth`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BandwidthArguments {
    #[command(flatten)]
    common: TableOptions,
    #[command(flatten)]
    peers: PeerOptions,
    /// Bytes of a request.
    #[arg(long, value_name = "N,N…", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(4..=ELEMENTS * 4))]
    sizes: Option<Vec<u64>>,
}

struct Point {
    is_push: bool,
    bytes: u64,
    depth: usize,
    series: Series,
}

/// What the loopback gives, in GB/s, one figure a run.
#[derive(Default)]
pub(crate) struct Streams {
    raw: Vec<f64>,
    iperf3: Vec<f64>,
}

/// Measures all sizes and publishes the rows.
pub(crate) fn run(arguments: &BandwidthArguments) -> Result<()> {
    let TableOptions { options, remote, wait } = &arguments.common;
    let wait = wait.unwrap_or(Wait::Spin);
    let placement = options.placement()?;
    placement.on_client()?;
    let sizes = arguments.sizes.clone();
    let sizes = sizes.unwrap_or_else(|| options.amount(vec![4 << 10, 64 << 10, 1 << 20, 8 << 20], vec![4 << 10]));
    let job = match remote.scheduler {
        Some(_) => Job::join(remote, wait)?,
        None => Job::start(vec![table(0, "dense", ELEMENTS, Layout::Dense)], wait, &placement)?,
    };
    let table = job.table("dense", Layout::Dense)?;
    let mut points = points(&sizes);
    let plan = PeerPlan { kind: MpiKind::Dense, sizes, redis: Vec::new(), quick: options.quick };
    let mut set = arguments.peers.peers.then(|| PeerSet::start(plan, &placement)).transpose()?;
    let mut streams = Streams::default();
    for _ in 0..options.runs {
        if remote.scheduler.is_none() {
            streams.run(options, &placement)?;
        }
        points.iter_mut().try_for_each(|point| point.measure(&table, options.quick))?;
        set.iter_mut().try_for_each(|set| set.run(&placement))?;
    }
    let mut report = Report {
        title: "bandwidth: dense pushes and pulls of f32, one shard".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["bytes", "depth", "wait"],
        after: &[],
        plot: Plot::Lines { x: "bytes", series: &["depth"] },
        rows: points.iter().map(|point| point.row(wait, &streams)).collect(),
        notes: vec![streams.note()],
    };
    if let Some(set) = set {
        report.notes.extend(set.missing.iter().cloned());
        report.rows.extend(set.points().into_iter().map(|point| peer_row(&point)));
    }
    report.publish(options)
}

fn points(sizes: &[u64]) -> Vec<Point> {
    let mut points = Vec::new();
    for depth in [1, 4] {
        for is_push in [true, false] {
            points.extend(sizes.iter().map(|&bytes| Point { is_push, bytes, depth, series: Series::default() }));
        }
    }
    points
}

impl Point {
    fn measure(&mut self, table: &Table, quick: bool) -> Result<()> {
        let elements = self.bytes / 4;
        let range = KeyRange::new(0, elements);
        let most = if quick { QUICK_ROUNDS } else { ROUNDS_MAX };
        let rounds = usize::try_from((BYTES_A_RUN / self.bytes).clamp(QUICK_ROUNDS, most))?;
        let pace = Pace { warm_up: rounds / 10 + 1, rounds, depth: self.depth };
        if self.is_push {
            let count = usize::try_from(elements)?;
            let prepare = || {
                let mut values = table.values(count);
                values.fill(0.5);
                Ok(values)
            };
            let begin = |values| Ok(table.push_range(range, values)?);
            self.series.run(pace, prepare, begin, |push| Ok(push.wait().map(drop)?))
        } else {
            let begin = |()| Ok(table.pull_range(range)?);
            self.series.run(pace, || Ok(()), begin, |pull| Ok(pull.wait().map(drop)?))
        }
    }

    fn row(&self, wait: Wait, streams: &Streams) -> Row {
        let name = if self.is_push { "push" } else { "pull" };
        let row = bytes_row(name, self.bytes, self.depth, &self.series, streams.limit());
        let limit = row.limit;
        let row = row.with("wait", wait.name()).with("limit_gb_per_s", limit);
        row.with("raw_stream_gb_per_s", median(&streams.raw))
    }
}

/// Peers may go through shared memory, to which a TCP stream is no limit.
fn peer_row(point: &PeerPoint) -> Row {
    bytes_row(&point.name, point.size, point.depth, &point.series, None)
}

fn bytes_row(name: &str, bytes: u64, depth: usize, series: &Series, limit: Option<(&'static str, &[f64])>) -> Row {
    let row = Row::new(name, bytes).measured(series, bytes as f64, "GB/s", limit);
    let rate = row.rate;
    row.with("bytes", bytes).with("depth", depth).with("gb_per_s", rate)
}

impl Streams {
    /// One run of each.
    pub(crate) fn run(&mut self, options: &Options, placement: &Placement) -> Result<()> {
        self.raw.push(stream_gb_per_s(placement, Duration::from_millis(options.amount(300, 10)))?);
        // A second is the shortest that iperf3 takes; a quick run does without.
        if let Some(iperf3) = Iperf3::find(1).filter(|_| !options.quick) {
            self.iperf3.push(iperf3.gb_per_s(placement)?);
        }
        Ok(())
    }

    /// What iperf3 gives where it is installed, else the raw stream.
    pub(crate) fn limit(&self) -> Option<(&'static str, &[f64])> {
        match (self.iperf3.is_empty(), self.raw.is_empty()) {
            (false, _) => Some(("iperf3", &self.iperf3)),
            (true, false) => Some(("raw stream", &self.raw)),
            (true, true) => None,
        }
    }

    /// Both in a line.
    pub(crate) fn note(&self) -> String {
        match (median(&self.raw), median(&self.iperf3)) {
            (Some(raw), Some(iperf3)) => {
                format!("one stream in the same runs: iperf3 {iperf3:.2} GB/s (the limit), plain sockets {raw:.2} GB/s")
            }
            (Some(raw), None) => {
                format!(
                    "one stream of plain sockets in the same runs: {raw:.2} GB/s (the limit; iperf3 was not run, see bench/peers/install.sh)"
                )
            }
            _ => NO_LIMIT.to_owned(),
        }
    }
}
