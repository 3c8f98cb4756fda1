//! Dense pushes alone and pulls alone, on each way, beside what the machine gives a stream there.

use crate::cluster::{Job, Mode, Table, table};
use crate::limit::Streams;
use crate::machine::Machine;
use crate::options::{Apply, PeerOptions, TableOptions, Wait};
use crate::pair::{Pair, Receiver};
use crate::peer::{MpiKind, PeerPlan, PeerPoint, PeerSet};
use crate::pin::Placement;
use crate::report::{Plot, Report, Row};
use crate::sample::median;
use crate::timing::{Pace, Series};
use anyhow::{Context, Result};
use clap::Args;
use parashard::keyspace::KeyRange;
use parashard::node::{Layout, LinkKind};
use std::time::Instant;

/// Elements of the dense table: 32 MB of f32.
const ELEMENTS: u64 = 8 << 20;
/// Bytes that the operations of one point move in a run, about.
const BYTES_A_RUN: u64 = 64 << 20;
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
    /// What is done with what arrives.
    #[arg(long, value_enum, default_value = "sum", conflicts_with = "scheduler")]
    apply: Apply,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PointKind {
    Push,
    Pull,
    Transfer,
}

struct Point {
    kind: PointKind,
    bytes: u64,
    depth: usize,
    series: Series,
}

/// One way with its job, or without one, and its points.
struct Side {
    link: LinkKind,
    name: String,
    table: Option<Table>,
    pair: Option<Pair>,
    points: Vec<Point>,
    /// Last, so that the job outlives its table.
    _job: Option<Job>,
}

/// Measures all sizes and publishes the rows.
pub(crate) fn run(arguments: &BandwidthArguments) -> Result<()> {
    let TableOptions { options, remote, ways, wait } = &arguments.common;
    let wait = wait.unwrap_or(Wait::Spin);
    let placement = options.placement()?;
    placement.on_client()?;
    let sizes = arguments.sizes.clone();
    let sizes = sizes.unwrap_or_else(|| options.amount(vec![4 << 10, 64 << 10, 1 << 20, 8 << 20], vec![4 << 10]));
    let mut sides = Vec::new();
    for &way in &ways.transport {
        let mode = Mode { wait, way, in_process: ways.in_process };
        sides.push(Side::start(arguments, mode, &sizes, &placement)?);
    }
    let links = if remote.scheduler.is_some() { Vec::new() } else { sides.iter().map(|side| side.link).collect() };
    let mut streams = Streams::of(links, &sizes);
    let plan = PeerPlan { kind: MpiKind::Dense, sizes, redis: Vec::new(), quick: options.quick };
    let mut set = arguments.peers.peers.then(|| PeerSet::start(plan, &placement)).transpose()?;
    for _ in 0..options.runs {
        streams.run(options, &placement)?;
        sides.iter_mut().try_for_each(|side| side.measure(options.quick, wait))?;
        set.iter_mut().try_for_each(|set| set.run(&placement))?;
    }
    let title = match arguments.apply {
        Apply::Sum => "bandwidth: dense pushes and pulls of f32, one shard",
        Apply::None => "bandwidth: frames of one transport alone, headers checked, nothing applied",
    };
    let mut report = Report {
        title: title.to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["link", "bytes", "depth", "wait"],
        after: &[],
        plot: Plot::Lines { x: "bytes", series: &["link", "depth"] },
        rows: sides.iter().flat_map(|side| side.rows(wait, &streams)).collect(),
        notes: streams.notes(),
    };
    report.rows.extend(streams.perftest().map(|(name, bytes, rates)| perftest_row(name, bytes, rates)));
    if let Some(set) = set {
        report.notes.extend(set.missing.iter().cloned());
        report.rows.extend(set.points().into_iter().map(|point| peer_row(&point)));
    }
    report.publish(options)
}

impl Side {
    fn start(arguments: &BandwidthArguments, mode: Mode, sizes: &[u64], placement: &Placement) -> Result<Side> {
        if arguments.apply == Apply::None {
            let pair = Pair::start(mode.wait, mode.way, Receiver::Counts, placement)?;
            let point = |&bytes| Point { kind: PointKind::Transfer, bytes, depth: 1, series: Series::default() };
            let (link, points) = (pair.link(), sizes.iter().map(point).collect());
            return Ok(Side { link, name: link.name().to_owned(), table: None, pair: Some(pair), points, _job: None });
        }
        let job = Job::open(vec![table(0, "dense", ELEMENTS, Layout::Dense)], &arguments.common, mode, placement)?;
        let table = job.table("dense", Layout::Dense)?;
        let link = job.links().first().copied().context("the pair has a way")?;
        Ok(Side { link, name: job.link(), table: Some(table), pair: None, points: points(sizes), _job: Some(job) })
    }

    fn measure(&mut self, quick: bool, wait: Wait) -> Result<()> {
        // Whoever spun for another way sleeps before this one begins.
        std::thread::sleep(2 * wait.spin());
        for point in &mut self.points {
            match (&self.table, &mut self.pair) {
                (Some(table), _) => point.measure(table, quick)?,
                (None, Some(pair)) => point.transfer(pair, quick)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn rows(&self, wait: Wait, streams: &Streams) -> Vec<Row> {
        self.points.iter().map(|point| point.row(self, wait, streams)).collect()
    }
}

fn points(sizes: &[u64]) -> Vec<Point> {
    let mut points = Vec::new();
    for depth in [1, 4] {
        for kind in [PointKind::Push, PointKind::Pull] {
            points.extend(sizes.iter().map(|&bytes| Point { kind, bytes, depth, series: Series::default() }));
        }
    }
    points
}

impl Point {
    fn measure(&mut self, table: &Table, quick: bool) -> Result<()> {
        let elements = self.bytes / 4;
        let range = KeyRange::new(0, elements);
        let rounds = self.rounds(quick)?;
        let pace = Pace { warm_up: rounds / 10 + 1, rounds, depth: self.depth };
        if self.kind == PointKind::Push {
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

    /// Frames that go one way, one after the other.
    fn transfer(&mut self, pair: &mut Pair, quick: bool) -> Result<()> {
        let rounds = self.rounds(quick)?;
        pair.transfer(self.bytes, rounds / 10 + 1)?;
        let begin = Instant::now();
        pair.transfer(self.bytes, rounds)?;
        let each = begin.elapsed().as_nanos() as f64 / rounds as f64;
        self.series.add(each, each, each);
        Ok(())
    }

    fn rounds(&self, quick: bool) -> Result<usize> {
        let most = if quick { QUICK_ROUNDS } else { ROUNDS_MAX };
        Ok(usize::try_from((BYTES_A_RUN / self.bytes).clamp(QUICK_ROUNDS, most))?)
    }

    fn row(&self, side: &Side, wait: Wait, streams: &Streams) -> Row {
        let name = match self.kind {
            PointKind::Push => "push",
            PointKind::Pull => "pull",
            PointKind::Transfer => "transfer",
        };
        let limit = streams.limit(side.link, self.bytes);
        let mut row = bytes_row(name, self.bytes, self.depth, &self.series, limit).with("link", side.name.clone());
        if self.kind == PointKind::Transfer {
            // A stream has a rate, and no time of each operation.
            row.p99 = None;
        }
        let limit = row.limit;
        let row = row.with("wait", wait.name()).with("limit_gb_per_s", limit);
        row.with("raw_stream_gb_per_s", median(streams.raw()))
    }
}

/// Peers may go through shared memory, to which a TCP stream is no limit.
fn peer_row(point: &PeerPoint) -> Row {
    bytes_row(&point.name, point.size, point.depth, &point.series, None)
}

fn perftest_row(name: &str, bytes: u64, rates: &[f64]) -> Row {
    let mut row = Row::new(name, bytes);
    (row.rate, row.rate_unit) = (median(rates), "GB/s");
    row.median = row.rate.map(|rate| bytes as f64 / rate / 1e3);
    let rate = row.rate;
    row.with("link", "verbs").with("bytes", bytes).with("gb_per_s", rate)
}

fn bytes_row(name: &str, bytes: u64, depth: usize, series: &Series, limit: Option<(&'static str, &[f64])>) -> Row {
    let row = Row::new(name, bytes).measured(series, bytes as f64, "GB/s", limit);
    let rate = row.rate;
    row.with("bytes", bytes).with("depth", depth).with("gb_per_s", rate)
}
