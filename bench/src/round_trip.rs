//! Round trips over loopback, each beside raw TCP with the same bytes and the same way of waiting.

use crate::cluster::{DENSE, DENSE_KEYS, LocalCluster, SPARSE};
use crate::raw::RawPeer;
use crate::sample::write_rows;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use parashard::client::{KeyList, Table};
use parashard::keyspace::KeyRange;
use std::path::Path;
use std::time::{Duration, Instant};

/// Header of every frame.
const HEADER_BYTES: usize = 128;
const SMALL_TRIPS: usize = 5000;
const LARGE_TRIPS: usize = 200;

/// A measured point: one number a run, in nanoseconds at p50 and p99.
struct Point {
    name: &'static str,
    bytes: usize,
    limit: Option<usize>,
    p50: Vec<u64>,
    p99: Vec<u64>,
}

/// Runs all points `runs` times, interleaved, and prints the medians.
pub(crate) fn run(runs: usize, json: Option<&Path>) -> Result<()> {
    let dense_bytes = DENSE_KEYS as usize * 4;
    let mut points = [
        Point::new("raw_tcp 1 key", HEADER_BYTES + 12, None),
        Point::new("push 1 key", HEADER_BYTES + 12, Some(0)),
        Point::new("pull 1 key", HEADER_BYTES + 8, Some(0)),
        Point::new("raw_tcp 1 MB", dense_bytes, None),
        Point::new("push 1 MB dense", dense_bytes, Some(3)),
    ];
    let cluster = LocalCluster::start(Duration::ZERO)?;
    let worker = cluster.worker.as_ref().context("the cluster has a worker")?;
    let (sparse, dense): (Table<f32>, Table<f32>) = (worker.table(SPARSE)?, worker.table(DENSE)?);
    let key = KeyList::new(vec![42])?;
    let whole = KeyRange::new(0, DENSE_KEYS);
    let mut raw_small = RawPeer::start(HEADER_BYTES + 12, HEADER_BYTES)?;
    let mut raw_large = RawPeer::start(dense_bytes, HEADER_BYTES)?;
    for _ in 0..runs {
        points[0].measure(SMALL_TRIPS, || raw_small.round_trip())?;
        points[1].measure(SMALL_TRIPS, || Ok(sparse.push(&key, vec![1.0])?.wait().map(drop)?))?;
        points[2].measure(SMALL_TRIPS, || Ok(sparse.pull(&key)?.wait().map(drop)?))?;
        points[3].measure(LARGE_TRIPS, || raw_large.round_trip())?;
        points[4].measure(LARGE_TRIPS, || {
            let mut values = dense.values(DENSE_KEYS as usize);
            values.fill(1.0);
            Ok(dense.push_range(whole, values)?.wait().map(drop)?)
        })?;
    }
    print_table(&points, runs);
    match json {
        Some(path) => write_json(&points, path),
        None => Ok(()),
    }
}

impl Point {
    fn new(name: &'static str, bytes: usize, limit: Option<usize>) -> Point {
        Point { name, bytes, limit, p50: Vec::new(), p99: Vec::new() }
    }

    /// Times `trips` calls one by one, after a tenth of them to warm up.
    fn measure(&mut self, trips: usize, mut trip: impl FnMut() -> Result<()>) -> Result<()> {
        (0..trips / 10).try_for_each(|_| trip())?;
        let mut histogram = Histogram::<u64>::new(3)?;
        for _ in 0..trips {
            let start = Instant::now();
            trip()?;
            histogram.record(u64::try_from(start.elapsed().as_nanos())?)?;
        }
        self.p50.push(histogram.value_at_quantile(0.5));
        self.p99.push(histogram.value_at_quantile(0.99));
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.bytes as f64 / median(&self.p50)
    }
}

fn median(numbers: &[u64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map_or(f64::NAN, |&number| number as f64)
}

/// Median over the runs of each run's ratio to its limit.
fn median_ratio(point: &Point, limit: &Point) -> f64 {
    let mut ratios: Vec<f64> = point.p50.iter().zip(&limit.p50).map(|(&own, &raw)| own as f64 / raw as f64).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print_table(points: &[Point], runs: usize) {
    println!("round trips over loopback, blocking, medians of {runs} runs");
    println!("{:<18} {:>9} {:>10} {:>10} {:>8} {:>9}", "what", "bytes", "p50 us", "p99 us", "GB/s", "x raw");
    for point in points {
        let ratio = point.limit.map_or(String::new(), |limit| format!("{:.2}", median_ratio(point, &points[limit])));
        println!(
            "{:<18} {:>9} {:>10.1} {:>10.1} {:>8.3} {:>9}",
            point.name,
            point.bytes,
            median(&point.p50) / 1e3,
            median(&point.p99) / 1e3,
            point.rate(),
            ratio
        );
    }
}

fn write_json(points: &[Point], path: &Path) -> Result<()> {
    let row = |point: &Point| {
        serde_json::json!({
            "name": point.name,
            "bytes": point.bytes,
            "p50_us": median(&point.p50) / 1e3,
            "p99_us": median(&point.p99) / 1e3,
            "gb_per_s": point.rate(),
            "ratio_to_raw": point.limit.map(|limit| median_ratio(point, &points[limit])),
        })
    };
    let rows: Vec<_> = points.iter().map(row).collect();
    write_rows(path, &rows)
}
