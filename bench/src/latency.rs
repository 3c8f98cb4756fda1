//! Round trips of small requests beside a raw TCP ping-pong that waits in the same way.

mod alone;

use crate::cluster::{self, Job, Table, table};
use crate::limit::{Perftest, PingPong};
use crate::machine::Machine;
use crate::options::{Apply, PeerOptions, TableOptions, Wait};
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
/// Bytes of perftest's message: what plain sockets send.
const SEND_BYTES: u64 = 64;
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
    /// What is done with what arrives.
    #[arg(long, value_enum, default_value = "sum", conflicts_with_all = ["scheduler", "peers", "in_process"])]
    apply: Apply,
}

/// One way of waiting with its job, its peer and what was measured.
struct Mode {
    wait: Wait,
    /// How its data travels.
    link: String,
    table: Table,
    raw: Option<PingPong>,
    /// Whether an earlier mode tells what plain sockets give with this wait.
    hides_raw: bool,
    one: KeyList,
    many: KeyList,
    /// push_1key, pull_1key, push_100keys, pull_100keys, raw_tcp.
    series: [Series; 5],
    /// Last, so that the job outlives its table.
    _job: Job,
}

/// Measures round trips and publishes the rows.
pub(crate) fn run(arguments: &LatencyArguments) -> Result<()> {
    if arguments.apply == Apply::None {
        return alone::run(&arguments.common);
    }
    let TableOptions { options, remote, ways, wait } = &arguments.common;
    let placement = options.placement()?;
    placement.on_client()?;
    let waits = match wait {
        Some(wait) => vec![*wait],
        // A worker of a job that runs already can join once.
        None if remote.scheduler.is_some() => vec![Wait::Spin],
        None => vec![Wait::Spin, Wait::Block],
    };
    let mut modes = Vec::new();
    for (place, &way) in ways.transport.iter().enumerate() {
        for &wait in &waits {
            let mode = cluster::Mode { wait, way, in_process: ways.in_process };
            modes.push(Mode::start(&arguments.common, mode, place > 0, &placement)?);
        }
    }
    let mut set = arguments.peers.peers.then(|| PeerSet::start(peer_plan(options.quick), &placement)).transpose()?;
    let mut perftest = Ok(None);
    if modes.iter().any(|mode| mode.link == "verbs") {
        perftest = Perftest::find().map(Some);
    }
    let mut sends = Series::default();
    for _ in 0..options.runs {
        let (turns, trips) = (options.amount(TURNS.0, TURNS.1), options.amount(TRIPS.0, TRIPS.1));
        modes.iter_mut().try_for_each(|mode| mode.run(turns, trips))?;
        if let Ok(Some(perftest)) = &perftest {
            let (typical, p99) = perftest.round_trip_us(SEND_BYTES, &placement)?;
            sends.add(typical * 1e3, p99 * 1e3, typical * 1e3);
        }
        set.iter_mut().try_for_each(|set| set.run(&placement))?;
    }
    let mut report = Report {
        title: "latency: round trips of small requests, one outstanding".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["keys", "link", "wait"],
        after: &["p50_ratio", "p99_ratio"],
        plot: Plot::Bars { y: "p50_us", label: &["link", "wait"] },
        rows: modes.iter().flat_map(Mode::rows).collect(),
        notes: Vec::new(),
    };
    report.notes.extend(perftest.err());
    if !sends.is_empty() {
        report.rows.push(trip_row("ib_send_lat", 0, &sends).with("link", "verbs").with("wait", "spin"));
    }
    if let Some(set) = set {
        report.notes.extend(set.missing.iter().cloned());
        report.rows.extend(set.points().into_iter().map(peer_row));
    }
    report.publish(options)
}

impl Mode {
    fn start(options: &TableOptions, mode: cluster::Mode, hides_raw: bool, placement: &Placement) -> Result<Mode> {
        let mut spec = table(0, "sparse", KEY_END, Layout::Sparse);
        spec.filters.key_cache = true;
        let job = Job::open(vec![spec], options, mode, placement)?;
        let raw = match options.remote.scheduler {
            Some(_) => None,
            None => Some(PingPong::start(placement, mode.wait)?),
        };
        let table = job.table("sparse", Layout::Sparse)?;
        let mut draw = Draw::new(1);
        let mut list = |count| anyhow::Ok(KeyList::new(draw.keys(count, table.spec().key_end))?);
        let (one, many) = (list(1)?, list(MANY)?);
        let (wait, link) = (mode.wait, job.link());
        Ok(Mode { wait, link, table, raw, hides_raw, one, many, series: Default::default(), _job: job })
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
        let measured = measured.filter(|((name, _), _)| *name != "raw_tcp" || !self.hides_raw);
        let row = |((name, keys), series): ((&str, usize), &Series)| {
            let row = trip_row(name, keys as u64, series).with("wait", self.wait.name());
            if name == "raw_tcp" { row } else { beside_raw(row.with("link", self.link.clone()), series, raw) }
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
fn beside_raw(row: Row, series: &Series, raw: &Series) -> Row {
    beside("raw_tcp", row, series, raw)
}

fn beside(name: &'static str, mut row: Row, series: &Series, raw: &Series) -> Row {
    row.limit = raw.p50_ns().map(|ns| ns / 1e3);
    row.limit_name = name;
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
