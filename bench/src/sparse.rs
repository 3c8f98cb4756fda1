//! Pushes and pulls of random sorted keys: one worker, one server with one shard, TCP on loopback.
//!
//! In the timing: the key list is handed over (checked, sliced, hashed; a handle that is used again is
//! not), sent, found or remembered at the server, added up or gathered, and acknowledged or answered.
//! Outside of it: the keys are drawn and the values are written into the pool's memory, which a
//! program does as it computes them. `way` lists what is done.

mod way;

use crate::cluster::{Job, Mode, Table, table};
use crate::limit::{NO_LIMIT, stream_gb_per_s, triad_gb_per_s};
use crate::machine::Machine;
use crate::options::{PeerOptions, TableOptions, Wait};
use crate::peer::{MpiKind, PeerPlan, PeerPoint, PeerSet, RedisWork};
use crate::pin::Placement;
use crate::report::{Plot, Report, Row};
use crate::sample::{Draw, median};
use crate::timing::{Pace, Series};
use anyhow::Result;
use clap::Args;
use parashard::client::{KeyList, Values};
use parashard::node::{Layout, TableSpec};
use std::sync::Arc;
use std::time::Duration;
use way::{Point, Way};

/// Keys are drawn below this.
const KEY_END: u64 = 1 << 40;
/// Keys of a request.
const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// Keys that the operations of one point move in a run, about.
const KEYS_A_RUN: usize = 8_000_000;
/// Most operations of one point in a run.
const ROUNDS_MAX: usize = 200;
/// The same with `--quick`.
const QUICK_ROUNDS: usize = 5;
/// Most tables of a kind for first pushes: each is pushed to once.
const FIRST_TABLES_MAX: usize = 200;
/// Most keys of a request to a peer that takes a command for each.
const REDIS_KEYS_MAX: usize = 100_000;

/// Arguments of `sparse`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SparseArguments {
    #[command(flatten)]
    common: TableOptions,
    #[command(flatten)]
    peers: PeerOptions,
    /// Keys of a request.
    #[arg(long, value_name = "N,N…", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    sizes: Option<Vec<u64>>,
}

/// What all sizes have in common, and what the loopback and the memory gave in each run.
struct Session<'a> {
    arguments: &'a SparseArguments,
    mode: Mode,
    placement: Placement,
    /// A job that runs already; without it each size has one of its own.
    remote: Option<Job>,
    stream_gb_per_s: Vec<f64>,
    triad_gb_per_s: Vec<f64>,
}

/// One size of request with its tables.
struct Bench<'a> {
    job: &'a Job,
    keys: Arc<Vec<u64>>,
    /// The same keys in a list that was used before.
    handle: KeyList,
    draw: Draw,
    /// Tables of either kind that were pushed to for the first time.
    first_tables: [usize; 2],
    firsts_a_run: usize,
    /// In a job that runs already, whether its table has a key cache.
    remote_remembers: Option<bool>,
    is_quick: bool,
}

/// Measures all sizes and publishes the rows.
pub(crate) fn run(arguments: &SparseArguments) -> Result<()> {
    let TableOptions { options, remote, ways, wait } = &arguments.common;
    let wait = wait.unwrap_or(Wait::Spin);
    let mode = Mode { wait, way: ways.only()?, in_process: ways.in_process };
    let placement = options.placement()?;
    placement.on_client()?;
    let open = || Job::open(Vec::new(), &arguments.common, mode, &placement);
    let remote = remote.scheduler.is_some().then(open).transpose()?;
    let mut report = Report {
        title: "sparse: pushes and pulls of sorted random keys, f32 sums, one shard".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["keys", "depth", "wait"],
        after: &[],
        plot: Plot::Lines { x: "keys", series: &["depth"] },
        rows: Vec::new(),
        notes: Vec::new(),
    };
    let (stream_gb_per_s, triad_gb_per_s) = (Vec::new(), Vec::new());
    let mut session = Session { arguments, mode, placement, remote, stream_gb_per_s, triad_gb_per_s };
    let sizes = arguments.sizes.clone();
    for keys in sizes.unwrap_or_else(|| options.amount(SIZES.to_vec(), vec![1_000])) {
        session.measure(usize::try_from(keys)?, &mut report)?;
    }
    report.notes.push(session.note());
    report.publish(options)
}

impl Session<'_> {
    /// Measures one size; adds its rows and what was left out.
    fn measure(&mut self, keys: usize, report: &mut Report) -> Result<()> {
        let options = &self.arguments.common.options;
        let runs = usize::from(options.runs);
        let firsts_a_run = (FIRST_TABLES_MAX / runs).clamp(1, rounds(keys, 1, options.quick).min(8));
        let local = match &self.remote {
            None => Some(Job::open(tables(runs * firsts_a_run), &self.arguments.common, self.mode, &self.placement)?),
            Some(_) => None,
        };
        let Some(job) = local.as_ref().or(self.remote.as_ref()) else { return Ok(()) };
        let mut bench = Bench::new(job, keys, firsts_a_run, local.is_none(), options.quick)?;
        let plan = || PeerSet::start(peer_plan(&bench.keys, options.quick), &self.placement);
        let mut set = self.arguments.peers.peers.then(plan).transpose()?;
        let mut points = bench.points();
        let mut stream = Vec::new();
        for _ in 0..runs {
            if local.is_some() {
                stream.push(stream_gb_per_s(&self.placement, Duration::from_millis(options.amount(200, 10)))?);
                self.triad_gb_per_s.push(triad_gb_per_s(Duration::from_millis(options.amount(50, 0))));
            }
            points.iter_mut().try_for_each(|point| bench.measure(point))?;
            set.iter_mut().try_for_each(|set| set.run(&self.placement))?;
        }
        report.rows.extend(points.iter().map(|point| point.row(keys, self.mode.wait, &stream)));
        self.stream_gb_per_s.extend(stream);
        if let Some(set) = set {
            // A peer that is missing is missing at every size.
            let news: Vec<String> = set.missing.iter().filter(|note| !report.notes.contains(note)).cloned().collect();
            report.notes.extend(news);
            report.rows.extend(set.points().into_iter().map(peer_row));
        }
        Ok(())
    }

    fn note(&self) -> String {
        match (median(&self.stream_gb_per_s), median(&self.triad_gb_per_s)) {
            (Some(stream), Some(triad)) => format!(
                "in the same runs: raw TCP stream {stream:.2} GB/s, memory triad {triad:.1} GB/s; \
                 the limit is the stream over the bytes of a key"
            ),
            _ => NO_LIMIT.to_owned(),
        }
    }
}

/// One table that remembers key lists, one that does not, and `firsts` of each kind that stay empty.
fn tables(firsts: usize) -> Vec<TableSpec> {
    let names = [true, false].into_iter().flat_map(|is_cached| {
        let firsts = (0..firsts).map(move |index| (first_name(index, is_cached), is_cached));
        std::iter::once((used_name(is_cached).to_owned(), is_cached)).chain(firsts)
    });
    let spec = |(id, (name, is_cached)): (u16, (String, bool))| {
        let mut spec = table(id, &name, KEY_END, Layout::Sparse);
        spec.filters.key_cache = is_cached;
        spec
    };
    (0..).zip(names).map(spec).collect()
}

fn used_name(is_cached: bool) -> &'static str {
    if is_cached { "cached" } else { "plain" }
}

fn first_name(index: usize, is_cached: bool) -> String {
    format!("first {} {index}", used_name(is_cached))
}

fn rounds(keys: usize, depth: usize, quick: bool) -> usize {
    let most = if quick { QUICK_ROUNDS } else { ROUNDS_MAX };
    (KEYS_A_RUN / keys).clamp(2, most).max(depth)
}

/// Values that a program would have computed.
fn filled(table: &Table, count: usize) -> Values<f32> {
    let mut values = table.values(count);
    values.fill(0.5);
    values
}

impl Bench<'_> {
    fn new(job: &Job, keys: usize, firsts_a_run: usize, is_remote: bool, is_quick: bool) -> Result<Bench<'_>> {
        let mut draw = Draw::new(keys as u64);
        let spec = job.table(used_name(false), Layout::Sparse)?.spec().clone();
        let keys = Arc::new(draw.keys(keys, spec.key_end));
        let handle = KeyList::from_shared(Arc::clone(&keys))?;
        let remote_remembers = is_remote.then_some(spec.filters.key_cache);
        for is_cached in [true, false] {
            let table = job.table(used_name(is_cached), Layout::Sparse)?;
            table.push(&handle, filled(&table, keys.len()))?.wait()?;
        }
        Ok(Bench { job, keys, handle, draw, first_tables: [0; 2], firsts_a_run, remote_remembers, is_quick })
    }

    fn points(&self) -> Vec<Point> {
        // A job that runs already has one table; whether it remembers lists decides what is measured.
        let fits = |way: &Way| self.remote_remembers.is_none_or(|remembers| way.is_cached() == remembers);
        let ways = Way::ALL.into_iter().filter(fits);
        let at = |depth| move |way| Point { way, depth, series: Series::default() };
        // A table is pushed to for the first time once; there is nothing to keep outstanding.
        let deep = ways.clone().filter(|way| !way.is_first());
        ways.map(at(1)).chain(deep.map(at(4))).collect()
    }

    fn measure(&mut self, point: &mut Point) -> Result<()> {
        let Point { way, depth, series } = point;
        let (count, is_cached) = (self.keys.len(), way.is_cached());
        let pace = Pace { warm_up: 1, rounds: rounds(count, *depth, self.is_quick), depth: *depth };
        let table = self.job.table(used_name(is_cached), Layout::Sparse)?;
        let (keys, handle) = (Arc::clone(&self.keys), self.handle.clone());
        // Handed over anew: nobody knows yet that these keys are in order and have been here before.
        let list = || anyhow::Ok(KeyList::from_shared(Arc::clone(&keys))?);
        match way {
            Way::PushHandle => series.run(
                pace,
                || Ok(filled(&table, count)),
                |values| Ok(table.push(&handle, values)?),
                |push| Ok(push.wait().map(drop)?),
            ),
            Way::PushCached | Way::Push => series.run(
                pace,
                || Ok(filled(&table, count)),
                |values| Ok(table.push(&list()?, values)?),
                |push| Ok(push.wait().map(drop)?),
            ),
            Way::PullHandle => {
                series.run(pace, || Ok(()), |()| Ok(table.pull(&handle)?), |pull| Ok(pull.wait().map(drop)?))
            }
            Way::PullCached | Way::Pull => {
                series.run(pace, || Ok(()), |()| Ok(table.pull(&list()?)?), |pull| Ok(pull.wait().map(drop)?))
            }
            Way::PushFirst | Way::PushFirstCached => series.run(
                Pace { warm_up: 0, rounds: self.firsts_a_run, depth: 1 },
                || self.first(count, is_cached),
                |(table, keys, values)| Ok(table.push(&KeyList::from_shared(keys)?, values)?),
                |push| Ok(push.wait().map(drop)?),
            ),
        }
    }

    /// New keys for the next table that nobody has pushed to; in a job that runs already, for its table.
    fn first(&mut self, count: usize, is_cached: bool) -> Result<(Table, Arc<Vec<u64>>, Values<f32>)> {
        let used = &mut self.first_tables[usize::from(is_cached)];
        let table = self.job.table(&first_name(*used, is_cached), Layout::Sparse)?;
        *used += 1;
        let keys = Arc::new(self.draw.keys(count, table.spec().key_end));
        let values = filled(&table, count);
        Ok((table, keys, values))
    }
}

fn peer_row(point: PeerPoint) -> Row {
    keys_row(&point.name, point.size, point.depth, &point.series, None)
}

fn keys_row(name: &str, keys: u64, depth: usize, series: &Series, limit: Option<(&'static str, &[f64])>) -> Row {
    let row = Row::new(name, keys).measured(series, keys as f64 * 1e3, "Mkeys/s", limit);
    let rate = row.rate;
    row.with("keys", keys).with("depth", depth).with("mkeys_per_s", rate)
}

fn peer_plan(keys: &[u64], quick: bool) -> PeerPlan {
    let some = &keys[..keys.len().min(REDIS_KEYS_MAX)];
    let mut redis = Vec::new();
    // Above that size a request of Redis takes a second.
    if keys.len() <= REDIS_KEYS_MAX {
        for work in [RedisWork::Increment, RedisWork::HashIncrement, RedisWork::Gather] {
            redis.extend([100, 10_000].map(|batch| (work, some.to_vec(), batch)));
        }
    }
    PeerPlan { kind: MpiKind::Sparse, sizes: vec![keys.len() as u64], redis, quick }
}
