//! Round trips of small requests beside a raw TCP ping-pong that waits in the same way.

use crate::cluster::{Job, Table, table};
use crate::limit::PingPong;
use crate::machine::Machine;
use crate::options::{PeerOptions, TableOptions, Wait};
use crate::peer::{MpiKind, PeerPlan, PeerPoint, PeerSet, RedisWork};
use crate::pin::Placement;
use crate::report::{Plot, Report, Row};
use crate::sample::Draw;
use crate::timing::{Pace, Pieces, Series};
use anyhow::Result;
use clap::Args;
use parashard::client::KeyList;
use parashard::node::Layout;

const KEY_END: u64 = 1 << 40;
/// Keys of the larger request.
const MANY: usize = 100;
/// How often the points of a mode take turns in a run, and with `--quick`.
const TURNS: (usize, usize) = (10, 2);
/// Round trips of a turn, and with `--quick`.
const TRIPS: (usize, usize) = (1_000, 25);

/// Arguments of `latency`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LatencyArguments {
    #[command(flatten)]
    common: TableOptions,
    #[command(flatten)]
    peers: PeerOptions,
}

/// One way of waiting with its job, its peer and what was measured.
struct Mode {
    wait: Wait,
    table: Table,
    raw: Option<PingPong>,
    one: KeyList,
    many: KeyList,
    /// push_1key, pull_1key, push_100keys, pull_100keys, raw_tcp.
    series: [Series; 5],
    /// Last, so that the job outlives its table.
    _job: Job,
}

/// Measures round trips and publishes the rows.
pub(crate) fn run(arguments: &LatencyArguments) -> Result<()> {
    let TableOptions { options, remote, wait } = &arguments.common;
    let placement = options.placement()?;
    placement.on_client()?;
    let is_remote = remote.scheduler.is_some();
    let waits = match wait {
        Some(wait) => vec![*wait],
        // A worker of a job that runs already can join once.
        None if is_remote => vec![Wait::Spin],
        None => vec![Wait::Spin, Wait::Block],
    };
    let mut modes = Vec::new();
    for wait in waits {
        modes.push(if is_remote {
            Mode::new(Job::join(remote, wait)?, wait, None)?
        } else {
            Mode::local(wait, &placement)?
        });
    }
    let mut set = arguments.peers.peers.then(|| PeerSet::start(peer_plan(options.quick), &placement)).transpose()?;
    for _ in 0..options.runs {
        let (turns, trips) = (options.amount(TURNS.0, TURNS.1), options.amount(TRIPS.0, TRIPS.1));
        modes.iter_mut().try_for_each(|mode| mode.run(turns, trips))?;
        set.iter_mut().try_for_each(|set| set.run(&placement))?;
    }
    let mut report = Report {
        title: "latency: round trips of small requests, one outstanding".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["keys", "wait"],
        after: &["p50_ratio", "p99_ratio"],
        plot: Plot::Bars { y: "p50_us", label: &["wait"] },
        rows: modes.iter().flat_map(Mode::rows).collect(),
        notes: Vec::new(),
    };
    if let Some(set) = set {
        report.notes.extend(set.missing.iter().cloned());
        report.rows.extend(set.points().into_iter().map(peer_row));
    }
    report.publish(options)
}

impl Mode {
    fn local(wait: Wait, placement: &Placement) -> Result<Mode> {
        let mut spec = table(0, "sparse", KEY_END, Layout::Sparse);
        spec.filters.key_cache = true;
        let job = Job::start(vec![spec], wait, placement)?;
        Mode::new(job, wait, Some(PingPong::start(placement, wait)?))
    }

    fn new(job: Job, wait: Wait, raw: Option<PingPong>) -> Result<Mode> {
        let table = job.table("sparse", Layout::Sparse)?;
        let mut draw = Draw::new(1);
        let mut list = |count| anyhow::Ok(KeyList::new(draw.keys(count, table.spec().key_end))?);
        let (one, many) = (list(1)?, list(MANY)?);
        Ok(Mode { wait, table, raw, one, many, series: Default::default(), _job: job })
    }

    /// One run. The points take turns, so that a moment of noise does not meet one of them alone.
    fn run(&mut self, turns: usize, trips: usize) -> Result<()> {
        let pace = Pace { warm_up: trips / 10, rounds: trips, depth: 1 };
        let mut pieces = Vec::new();
        for _ in 0..self.series.len() {
            pieces.push(Pieces::new()?);
        }
        for _ in 0..turns {
            for (point, pieces) in pieces.iter_mut().enumerate() {
                // Whoever spun for the last point sleeps before the next begins.
                std::thread::sleep(2 * self.wait.spin());
                self.turn(point, pace, pieces)?;
            }
        }
        let measured = self.series.iter_mut().zip(&pieces).filter(|(_, pieces)| !pieces.is_empty());
        measured.for_each(|(series, pieces)| series.add_pieces(pieces));
        Ok(())
    }

    /// Some round trips of one point, an index of `series`.
    fn turn(&mut self, point: usize, pace: Pace, pieces: &mut Pieces) -> Result<()> {
        let Mode { table, raw, one, many, .. } = self;
        let keys = if point < 2 { one } else { many };
        let values = || {
            let mut values = table.values(keys.len());
            values.fill(0.5);
            Ok(values)
        };
        match (point, raw) {
            (0 | 2, _) => pieces.run(pace, values, |values| Ok(table.push(keys, values)?.wait().map(drop)?)),
            (1 | 3, _) => pieces.run(pace, || Ok(()), |()| Ok(table.pull(keys)?.wait().map(drop)?)),
            (_, Some(raw)) => pieces.run(pace, || Ok(()), |()| raw.trip()),
            (_, None) => Ok(()),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let names =
            [("push_1key", 1), ("pull_1key", 1), ("push_100keys", MANY), ("pull_100keys", MANY), ("raw_tcp", 0)];
        let raw = &self.series[4];
        let measured = names.into_iter().zip(&self.series).filter(|(_, series)| !series.is_empty());
        let row = |((name, keys), series): ((&str, usize), &Series)| {
            let row = trip_row(name, keys as u64, series).with("wait", self.wait.name());
            if name == "raw_tcp" { row } else { beside_raw(row, series, raw) }
        };
        measured.map(row).collect()
    }
}

fn trip_row(name: &str, keys: u64, series: &Series) -> Row {
    let row = Row::new(name, keys).measured(series, 1e6, "k/s", None);
    let (p50, p99) = (row.median, row.p99);
    let keys = (keys > 0).then_some(keys);
    row.with("keys", keys).with("p50_us", p50).with("p99_us", p99)
}

/// Adds how much of what plain sockets give is reached: their time over its own.
fn beside_raw(mut row: Row, series: &Series, raw: &Series) -> Row {
    row.limit = raw.p50_ns().map(|ns| ns / 1e3);
    row.limit_name = "raw_tcp";
    row.share_of_limit = raw.p50_ratio(series);
    row.with("p50_ratio", series.p50_ratio(raw)).with("p99_ratio", series.p99_ratio(raw))
}

fn peer_row(point: PeerPoint) -> Row {
    trip_row(&point.name, point.size, &point.series)
}

fn peer_plan(quick: bool) -> PeerPlan {
    let mut draw = Draw::new(2);
    let mut redis = Vec::new();
    for count in [1, MANY] {
        let keys = draw.keys(count, KEY_END);
        redis.extend([RedisWork::Increment, RedisWork::Gather].map(|work| (work, keys.clone(), count)));
    }
    PeerPlan { kind: MpiKind::Sparse, sizes: vec![1, MANY as u64], redis, quick }
}
