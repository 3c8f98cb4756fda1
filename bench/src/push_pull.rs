//! A push, then a pull of the same keys that must see it: what a step of training asks of a server.
//!
//! The push is acknowledged before the pull is sent. The rate counts the values both ways.

use crate::cluster::{Job, Mode, Table, table};
use crate::limit::Streams;
use crate::machine::Machine;
use crate::options::{TableOptions, Wait};
use crate::pin::Placement;
use crate::report::{Plot, Report, Row};
use crate::sample::Draw;
use crate::timing::{Pace, Series};
use anyhow::{Context, Result, anyhow};
use parashard::client::{KeyList, Pending, Pushed, Values};
use parashard::keyspace::KeyRange;
use parashard::node::{Layout, LinkKind};

const KEY_END: u64 = 1 << 40;
/// Elements of the dense table: 8 MB of f32.
const ELEMENTS: u64 = 2 << 20;
/// Keys that the operations of one point move in a run, about.
const KEYS_A_RUN: usize = 8_000_000;
/// Most operations of one point in a run.
const ROUNDS_MAX: usize = 500;
/// The same with `--quick`, and the fewest without.
const QUICK_ROUNDS: usize = 4;

struct Point {
    /// The list of a sparse request; a dense one has none.
    keys: Option<KeyList>,
    count: usize,
    series: Series,
}

/// One way with its job and its points.
struct Side {
    link: LinkKind,
    name: String,
    sparse: Option<Table>,
    dense: Option<Table>,
    points: Vec<Point>,
    /// Last, so that the job outlives its tables.
    _job: Job,
}

/// Measures all sizes and publishes the rows.
pub(crate) fn run(arguments: &TableOptions) -> Result<()> {
    let TableOptions { options, remote, ways, wait } = arguments;
    let wait = wait.unwrap_or(Wait::Spin);
    let placement = options.placement()?;
    placement.on_client()?;
    let mut sides = Vec::new();
    for &way in &ways.transport {
        sides.push(Side::start(arguments, Mode { wait, way, in_process: ways.in_process }, &placement)?);
    }
    let links = if remote.scheduler.is_some() { Vec::new() } else { sides.iter().map(|side| side.link).collect() };
    let sizes: Vec<u64> = sides[0].points.iter().map(|point| point.count as u64 * 4).collect();
    let mut streams = Streams::of(links, &sizes);
    for _ in 0..options.runs {
        streams.run(options, &placement)?;
        for side in &mut sides {
            // Whoever spun for another way sleeps before this one begins.
            std::thread::sleep(2 * wait.spin());
            side.measure(options.quick)?;
        }
    }
    let report = Report {
        title: "push-pull: a push and a pull of the same that sees it, f32 sums, one shard".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["keys", "link", "wait"],
        after: &["mkeys_per_s"],
        plot: Plot::Lines { x: "keys", series: &["link"] },
        rows: sides.iter().flat_map(|side| side.rows(wait, &streams)).collect(),
        notes: streams.notes(),
    };
    report.publish(options)
}

impl Side {
    fn start(options: &TableOptions, mode: Mode, placement: &Placement) -> Result<Side> {
        let mut tables = vec![table(0, "sparse", KEY_END, Layout::Sparse), table(1, "dense", ELEMENTS, Layout::Dense)];
        tables[0].filters.key_cache = true;
        let job = Job::open(tables, options, mode, placement)?;
        // A job that runs already has one table for us, of either kind.
        let (sparse, dense) = (job.table("sparse", Layout::Sparse), job.table("dense", Layout::Dense));
        if let (Err(error), true) = (&sparse, dense.is_err()) {
            return Err(anyhow!("{error:#}"));
        }
        let mut points = Vec::new();
        let at = |keys, count| Point { keys, count, series: Series::default() };
        let options = &options.options;
        if dense.is_ok() {
            let counts = options.amount(vec![1 << 14, 1 << 18, 1 << 21], vec![1 << 10]);
            points.extend(counts.into_iter().map(|count| at(None, count)));
        }
        if let Ok(sparse) = &sparse {
            for count in options.amount(vec![10_000, 100_000, 1_000_000], vec![1_000]) {
                let keys = Draw::new(count as u64).keys(count, sparse.spec().key_end);
                points.push(at(Some(KeyList::new(keys)?), count));
            }
        }
        let link = job.links().first().copied().context("the pair has a way")?;
        Ok(Side { link, name: job.link(), sparse: sparse.ok(), dense: dense.ok(), points, _job: job })
    }

    fn measure(&mut self, quick: bool) -> Result<()> {
        for point in &mut self.points {
            let table = if point.keys.is_some() { &self.sparse } else { &self.dense };
            table.as_ref().map_or(Ok(()), |table| point.measure(table, quick))?;
        }
        Ok(())
    }

    fn rows(&self, wait: Wait, streams: &Streams) -> Vec<Row> {
        self.points.iter().map(|point| point.row(self, wait, streams)).collect()
    }
}

impl Point {
    fn measure(&mut self, table: &Table, quick: bool) -> Result<()> {
        let Point { keys, count, series } = self;
        let keys = keys.as_ref();
        let most = if quick { QUICK_ROUNDS } else { ROUNDS_MAX };
        let rounds = (KEYS_A_RUN / *count).clamp(QUICK_ROUNDS, most);
        let range = KeyRange::new(0, *count as u64);
        let prepare = || {
            let mut values = table.values(*count);
            values.fill(0.5);
            Ok(values)
        };
        let begin = |values: Values<f32>| match keys {
            Some(keys) => Ok(table.push(keys, values)?),
            None => Ok(table.push_range(range, values)?),
        };
        let finish = |push: Pending<Pushed>| {
            push.wait()?;
            let pull = match keys {
                Some(keys) => table.pull(keys)?,
                None => table.pull_range(range)?,
            };
            Ok(pull.wait().map(drop)?)
        };
        series.run(Pace { warm_up: rounds / 10 + 1, rounds, depth: 1 }, prepare, begin, finish)
    }

    fn row(&self, side: &Side, wait: Wait, streams: &Streams) -> Row {
        let name = if self.keys.is_some() { "push_pull_sparse" } else { "push_pull_dense" };
        let keys = self.count as u64;
        let limit = streams.limit(side.link, keys * 4);
        let row = Row::new(name, keys).measured(&self.series, self.count as f64 * 8.0, "GB/s", limit);
        let rate = row.rate;
        let row =
            row.with("keys", keys).with("link", side.name.clone()).with("bytes", keys * 4).with("wait", wait.name());
        row.with("gb_per_s", rate).with("mkeys_per_s", rate.map(|gb_per_s| gb_per_s / 8.0 * 1e3))
    }
}
