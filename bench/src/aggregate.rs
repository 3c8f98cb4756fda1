//! Aggregation alone, one core, no network: what adding a push to a table costs a key.
//!
//! Each size of store and request is done by remembered positions, at first sight, and by what one
//! would otherwise use: a hash map of the same keys, and two pointers over ordered arrays. The limit
//! of a dense push is the memory triad over arrays of the same bytes.

use crate::cluster::table;
use crate::sample::{Draw, median, write_rows};
use ahash::RandomState;
use anyhow::{Context, Result};
use hashbrown::HashMap;
use parashard::keyspace::KeyRange;
use parashard::memory::Pool;
use parashard::node::Layout;
use parashard::store::Table;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Keys are drawn below this.
const KEY_END: u64 = 1 << 40;
/// Keys in the store and in a request.
const SIZES: [(usize, usize); 4] =
    [(1_000_000, 100_000), (1_000_000, 1_000_000), (10_000_000, 1_000_000), (10_000_000, 100_000)];
/// Elements of the dense table.
const DENSE: usize = 10_000_000;
/// Key additions of one run, so that short requests are repeated often enough to be timed.
const KEYS_A_RUN: usize = 4_000_000;

/// One way to add one request to one store.
struct Point {
    name: &'static str,
    store: usize,
    request: usize,
    /// Nanoseconds a key, one for each run.
    ns_per_key: Vec<f64>,
}

/// Measures everything `runs` times, interleaved, and prints the medians.
pub(crate) fn run(runs: usize, json: Option<&Path>) -> Result<()> {
    let mut points = Vec::new();
    for (store, request) in SIZES {
        points.extend(sparse(store, request, runs)?);
    }
    let (dense, triad_gb_per_s) = dense(runs)?;
    print_table(&points, &dense, triad_gb_per_s, runs);
    points.push(dense);
    match json {
        Some(path) => write_json(&points, path),
        None => Ok(()),
    }
}

fn sparse(store: usize, request: usize, runs: usize) -> Result<Vec<Point>> {
    let mut draw = Draw::new(store as u64);
    let keys = draw.keys(store, KEY_END);
    let wanted = draw.choose(&keys, request);
    let numbers = vec![0.5f32; wanted.len()];
    let values: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let pool = Pool::unbounded();
    let mut table = filled(&pool, &keys)?;
    let mut positions = table.remember(&wanted);
    let mut hashed: HashMap<u64, f32, RandomState> =
        HashMap::with_capacity_and_hasher(keys.len(), RandomState::with_seeds(1, 2, 3, 4));
    hashed.extend(keys.iter().map(|&key| (key, 0.0)));
    let mut ordered = vec![0.0f32; keys.len()];
    let range = KeyRange::new(0, KEY_END);
    let point = |name| Point { name, store, request, ns_per_key: Vec::new() };
    let mut points = ["remembered", "first_sight", "hashbrown", "two_pointer"].map(point);
    for _ in 0..runs {
        points[0].time(|| table.apply_at(&wanted, &mut positions, &values));
        points[1].time(|| table.apply(range, range, Some(&wanted), &values));
        points[2].time(|| add_hashed(&mut hashed, &wanted, &numbers));
        points[3].time(|| add_two_pointers(&keys, &mut ordered, &wanted, &numbers));
    }
    check_sums(&table, &wanted, &hashed, &ordered)?;
    Ok(points.into())
}

/// A table that holds `keys`, pushed at once.
fn filled(pool: &Arc<Pool>, keys: &[u64]) -> Result<Table> {
    let range = KeyRange::new(0, KEY_END);
    let mut table = Table::new(&table(0, "sparse", KEY_END, Layout::Sparse), &[range], pool)?;
    table.apply(range, range, Some(keys), &vec![0; keys.len() * 4]);
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

/// All ways must have added the same: each key of the request as often as the others.
fn check_sums(table: &Table, keys: &[u64], hashed: &HashMap<u64, f32, RandomState>, ordered: &[f32]) -> Result<()> {
    let mut out = vec![0; keys.len() * 4];
    table.gather(KeyRange::new(0, KEY_END), Some(keys), &mut out);
    let sum = f32::from_ne_bytes(out[..4].try_into()?);
    let same = out.chunks_exact(4).all(|bytes| bytes == &out[..4]);
    let by_hash = keys.first().and_then(|key| hashed.get(key)).copied().unwrap_or_default();
    let by_order = ordered.iter().copied().fold(0.0, f32::max);
    anyhow::ensure!(
        same && sum == 2.0 * by_hash && by_hash == by_order,
        "the ways differ: {sum}, {by_hash}, {by_order}"
    );
    Ok(())
}

/// A dense push, and the triad's GB/s over arrays of the same bytes.
fn dense(runs: usize) -> Result<(Point, f64)> {
    let pool = Pool::unbounded();
    let range = KeyRange::new(0, DENSE as u64);
    let mut table = Table::new(&table(0, "dense", DENSE as u64, Layout::Dense), &[range], &pool)?;
    // Not zeros: those would be one page of memory, read again and again.
    let values: Vec<u8> = (0..DENSE).flat_map(|element| (element as f32).to_ne_bytes()).collect();
    let (mut a, b, c) = (vec![0.0f32; DENSE], vec![1.0f32; DENSE], vec![2.0f32; DENSE]);
    let mut point = Point { name: "dense", store: DENSE, request: DENSE, ns_per_key: Vec::new() };
    let mut triad = Point { name: "triad", store: DENSE, request: DENSE, ns_per_key: Vec::new() };
    for _ in 0..runs {
        point.time(|| table.apply(range, range, None, &values));
        triad.time(|| {
            a.iter_mut().zip(&b).zip(&c).for_each(|((a, b), c)| *a = b + 0.5 * c);
            black_box(&mut a);
        });
    }
    let triad = median(&triad.ns_per_key).context("at least one run")?;
    Ok((point, gb_per_s(triad)))
}

/// Three arrays of f32, as the triad counts.
fn gb_per_s(ns_per_element: f64) -> f64 {
    12.0 / ns_per_element
}

impl Point {
    /// One run: `add` as often as makes it long enough, after once to warm up.
    fn time(&mut self, mut add: impl FnMut()) {
        let rounds = (KEYS_A_RUN / self.request).max(1);
        add();
        let start = Instant::now();
        (0..rounds).for_each(|_| add());
        self.ns_per_key.push(start.elapsed().as_nanos() as f64 / (rounds * self.request) as f64);
    }

    fn median(&self) -> f64 {
        median(&self.ns_per_key).unwrap_or(f64::NAN)
    }
}

fn print_table(points: &[Point], dense: &Point, triad_gb_per_s: f64, runs: usize) {
    println!("aggregation on one core, f32 sums, ns a key, medians of {runs} runs ({})", parashard::simd::level());
    println!("{:<12} {:>11} {:>11} {:>9} {:>12}", "way", "store", "request", "ns/key", "x hashbrown");
    for point in points {
        let of_size = |other: &&Point| (other.store, other.request) == (point.store, point.request);
        let hashed = points.iter().filter(of_size).find(|other| other.name == "hashbrown").map(Point::median);
        let ratio = hashed.map_or(f64::NAN, |hashed| hashed / point.median());
        println!(
            "{:<12} {:>11} {:>11} {:>9.2} {:>12.1}",
            point.name,
            point.store,
            point.request,
            point.median(),
            ratio
        );
    }
    let own = gb_per_s(dense.median());
    println!(
        "dense        {:>11} {:>11} {:>9.3}    {own:.1} GB/s, {:.0} % of the triad's {triad_gb_per_s:.1}",
        dense.store,
        dense.request,
        dense.median(),
        100.0 * own / triad_gb_per_s
    );
}

fn write_json(points: &[Point], path: &Path) -> Result<()> {
    let row = |point: &Point| {
        serde_json::json!({
            "name": point.name,
            "store": point.store,
            "request": point.request,
            "ns_per_key": point.median(),
        })
    };
    let rows: Vec<_> = points.iter().map(row).collect();
    write_rows(path, &rows)
}
