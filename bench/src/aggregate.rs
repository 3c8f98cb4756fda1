//! Aggregation alone, one core, no network: what adding a push to a table costs a key.
//!
//! Each size of store and request is done by remembered positions, at first sight, and by what one
//! would otherwise use: a hash map of the same keys, made for their number beforehand, and two
//! pointers over ordered arrays. What makes the comparison fair:
//!
//! * A server is not asked for the same keys again and again. Every way goes in turn through
//!   [`LISTS`] lists that were drawn apart (fewer only where they would not fit), each with key,
//!   number and position arrays of its own, so that no way keeps the rows of one request in a cache.
//! * All ways see the same lists in the same order, ascending, and one list before the clock starts.
//!   The runs of the ways alternate. All ways must have made the same sums in the end.
//! * A table's memory is asked for in huge pages, as on a server. A map's comes from the allocator,
//!   as in a program that uses one; `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` gives it huge pages too.
//!
//! `first_push` is a push of keys that the table does not hold: into an empty table, and between as
//! many old ones; making the table and the memory for it count. The limit of a dense push is the
//! memory triad over arrays of as many bytes. Both read two arrays and write one, and both are
//! counted as 12 bytes an element; that the triad's target is also read before it is overwritten,
//! which costs the memory a quarter more, is counted for neither.

mod dense;
mod first_push;

use crate::cluster::table;
use crate::machine::Machine;
use crate::options::Options;
use crate::report::{Plot, Report, Row};
use crate::sample::{Draw, median};
use crate::timing::median_ratio;
use ahash::RandomState;
use anyhow::Result;
use hashbrown::HashMap;
use parashard::keyspace::KeyRange;
use parashard::memory::Pool;
use parashard::node::Layout;
use parashard::store::{Positions, Table};
use std::sync::Arc;
use std::time::Instant;

/// All keys lie below this.
const KEYS: KeyRange = KeyRange { begin: 0, end: 1 << 40 };
/// Keys in the store and in a request.
const SIZES: [(usize, usize); 5] = [
    (1_000_000, 100_000),
    (1_000_000, 1_000_000),
    (10_000_000, 100_000),
    (10_000_000, 1_000_000),
    (10_000_000, 10_000_000),
];
/// The same with `--quick`.
const QUICK_SIZE: (usize, usize) = (10_000, 1_000);
/// Lists of keys that take turns.
const LISTS: usize = 8;
/// Keys of all lists together, at most.
const LIST_KEYS_MAX: usize = 20_000_000;
/// Key additions of one run, so that short requests are repeated often enough to be timed.
const KEYS_A_RUN: usize = 4_000_000;

/// One way to add requests of one size to one store.
struct Point {
    name: &'static str,
    store: usize,
    request: usize,
    /// Nanoseconds a key, one for each run.
    ns_per_key: Vec<f64>,
}

/// One list of keys and what is pushed to them.
struct Request {
    keys: Vec<u64>,
    numbers: Vec<f32>,
    /// The numbers as a table takes them.
    values: Vec<u8>,
    positions: Positions,
}

/// Measures everything, the runs interleaved, and publishes the rows.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runs = usize::from(options.runs);
    let placement = options.placement()?;
    placement.on_client()?;
    let mut points = Vec::new();
    for (store, request) in options.amount(SIZES.to_vec(), vec![QUICK_SIZE]) {
        points.extend(sparse(store, request, runs)?);
    }
    points.extend(first_push::measure(runs)?);
    let dense = dense::measure(runs)?;
    let mut rows: Vec<Row> = points.iter().map(|point| point.row(&points, dense.largest_triad())).collect();
    rows.extend(dense.rows());
    let report = Report {
        title: "aggregate: adding a push to a table, one core, f32 sums".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["store", "request"],
        after: &["x_hashbrown", "gb_per_s"],
        plot: Plot::Bars { y: "ns_per_key", label: &["store", "request"] },
        rows,
        notes: Vec::new(),
    };
    report.publish(options)
}

fn sparse(store: usize, request: usize, runs: usize) -> Result<Vec<Point>> {
    let mut draw = Draw::new(store as u64);
    let keys = draw.keys(store, KEYS.end);
    let pool = Pool::unbounded();
    let mut table = filled(&pool, &keys)?;
    let lists = LISTS.min(LIST_KEYS_MAX / request);
    let mut requests: Vec<Request> = (0..lists).map(|_| Request::of(draw.choose(&keys, request), &table)).collect();
    let mut hashed: HashMap<u64, f32, RandomState> =
        HashMap::with_capacity_and_hasher(keys.len(), RandomState::with_seeds(1, 2, 3, 4));
    hashed.extend(keys.iter().map(|&key| (key, 0.0)));
    let mut ordered = vec![0.0f32; keys.len()];
    let mut points =
        ["remembered", "first_sight", "hashbrown", "two_pointer"].map(|name| Point::new(name, store, request));
    for _ in 0..runs {
        points[0].time(&mut requests, |one| table.apply_at(&one.keys, &mut one.positions, &one.values));
        points[1].time(&mut requests, |one| table.apply(KEYS, KEYS, Some(&one.keys), &one.values));
        points[2].time(&mut requests, |one| add_hashed(&mut hashed, &one.keys, &one.numbers));
        points[3].time(&mut requests, |one| add_two_pointers(&keys, &mut ordered, &one.keys, &one.numbers));
    }
    check_sums(&table, &keys, &hashed, &ordered)?;
    Ok(points.into())
}

/// A table that holds `keys`, pushed at once.
fn filled(pool: &Arc<Pool>, keys: &[u64]) -> Result<Table> {
    let mut table = Table::new(&table(0, "sparse", KEYS.end, Layout::Sparse), &[KEYS], pool)?;
    table.apply(KEYS, KEYS, Some(keys), &vec![0; keys.len() * 4]);
    Ok(table)
}

fn add_hashed(hashed: &mut HashMap<u64, f32, RandomState>, keys: &[u64], numbers: &[f32]) {
    for (key, number) in keys.iter().zip(numbers) {
        if let Some(value) = hashed.get_mut(key) {
            *value += number;
        }
    }
}

fn add_two_pointers(keys: &[u64], values: &mut [f32], wanted: &[u64], numbers: &[f32]) {
    let mut place = 0;
    for (&key, number) in wanted.iter().zip(numbers) {
        while keys[place] < key {
            place += 1;
        }
        values[place] += number;
    }
}

/// All ways must have added the same. The table was used in two of them.
fn check_sums(table: &Table, keys: &[u64], hashed: &HashMap<u64, f32, RandomState>, ordered: &[f32]) -> Result<()> {
    let mut out = vec![0; keys.len() * 4];
    table.gather(KEYS, Some(keys), &mut out);
    for ((key, &by_order), sum) in keys.iter().zip(ordered).zip(out.as_chunks().0) {
        let (sum, by_hash) = (f32::from_ne_bytes(*sum), hashed.get(key).copied().unwrap_or_default());
        let same = sum == 2.0 * by_hash && by_hash == by_order;
        anyhow::ensure!(same, "key {key}: the ways differ: {sum}, {by_hash}, {by_order}");
    }
    Ok(())
}

impl Request {
    fn of(keys: Vec<u64>, table: &Table) -> Request {
        // Multiples of a half, so that sums are exact in every order.
        let numbers: Vec<f32> = (0..keys.len()).map(|index| (index % 3) as f32 * 0.5).collect();
        let values = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let positions = table.remember(&keys);
        Request { keys, numbers, values, positions }
    }
}

impl Point {
    fn new(name: &'static str, store: usize, request: usize) -> Point {
        Point { name, store, request, ns_per_key: Vec::new() }
    }

    /// One run: all of `requests` in turn, as often as makes it long enough, after one to warm up.
    fn time(&mut self, requests: &mut [Request], mut add: impl FnMut(&mut Request)) {
        let keys: usize = requests.iter().map(|one| one.keys.len()).sum();
        let rounds = KEYS_A_RUN.div_ceil(keys);
        requests.last_mut().into_iter().for_each(&mut add);
        let start = Instant::now();
        (0..rounds).for_each(|_| requests.iter_mut().for_each(&mut add));
        self.ns_per_key.push(start.elapsed().as_nanos() as f64 / (rounds * keys) as f64);
    }

    /// Beside the hash map of the same sizes, and beside the triad: what a key would cost if only the
    /// memory counted and the keys lay side by side.
    fn row(&self, points: &[Point], triad: Option<&Point>) -> Row {
        let mut row = Row::new(self.name, self.request as u64);
        row.median = median(&self.ns_per_key);
        row.unit = "ns/key";
        row.rate = row.median.map(|ns| 1e3 / ns);
        row.rate_unit = "Mkeys/s";
        if let Some(triad) = triad {
            row.limit = median(&triad.ns_per_key);
            row.limit_name = "triad";
            row.share_of_limit = median_ratio(&triad.ns_per_key, &self.ns_per_key);
        }
        let of_size = |other: &&Point| (other.store, other.request) == (self.store, self.request);
        let hashed = points.iter().filter(of_size).find(|other| other.name == "hashbrown");
        // The map would have to grow for new keys, which is not what was measured.
        let hashed = hashed.filter(|_| self.name != "first_push");
        let ratio = hashed.and_then(|hashed| median_ratio(&hashed.ns_per_key, &self.ns_per_key));
        let ns_per_key = row.median;
        let row = row.with("store", self.store).with("request", self.request).with("ns_per_key", ns_per_key);
        row.with("x_hashbrown", ratio)
    }
}
