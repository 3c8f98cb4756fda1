//! The clock alone, one core, no network: what recording a slice of a push costs.
//!
//! A writer's pushes are cut into so many slices, which come out of order; a push is settled when all of its
//! slices are recorded. So the clock holds up to as many ranges as there are slices, and is whole again
//! after each push.

use crate::machine::Machine;
use crate::options::Options;
use crate::report::{Plot, Report, Row};
use crate::sample::median;
use anyhow::Result;
use parashard::clock::RangeClock;
use parashard::id::{Time, Timestamp, WriterId};
use parashard::keyspace::KeyRange;
use std::time::Instant;

/// Slices of a push.
const SLICES: [usize; 3] = [1, 16, 256];
/// Slices that follow each other in time are so many apart, so that few of them join; odd, so that each comes once.
const STRIDE: u64 = 101;
/// Keys of one slice.
const SLICE_KEYS: u64 = 1 << 20;
/// Claims of one run.
const CLAIMS: usize = 2_000_000;

/// Measures each number of slices, the runs interleaved, and publishes the rows.
pub(crate) fn run(options: &Options) -> Result<()> {
    let placement = options.placement()?;
    placement.on_client()?;
    let claims = options.amount(CLAIMS, 10_000);
    let mut samples = SLICES.map(|slices| (slices, Vec::new(), Held::default()));
    for _ in 0..options.runs {
        for (slices, ns_per_claim, held) in &mut samples {
            let ns;
            (ns, *held) = claim(*slices, claims.div_ceil(*slices))?;
            ns_per_claim.push(ns);
        }
    }
    let rows = samples.iter().map(|(slices, ns_per_claim, held)| {
        let mut row = Row::new("claim", *slices as u64);
        row.median = median(ns_per_claim);
        row.unit = "ns/claim";
        row.rate = row.median.map(|ns| 1e3 / ns);
        row.rate_unit = "Mclaims/s";
        let ns_per_claim = row.median;
        let bytes_per_range = held.bytes as f64 / held.ranges as f64;
        let row = row.with("slices", *slices).with("ns_per_claim", ns_per_claim);
        row.with("bytes_max", held.bytes).with("ranges_max", held.ranges).with("bytes_per_range", bytes_per_range)
    });
    let report = Report {
        title: "clock: recording a slice of a push, one core".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["slices"],
        after: &["ranges_max", "bytes_max", "bytes_per_range"],
        plot: Plot::Bars { y: "ns_per_claim", label: &["slices"] },
        rows: rows.collect(),
        notes: Vec::new(),
    };
    report.publish(options)
}

/// What the clock of one writer holds in the middle of a push.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    ranges: usize,
    bytes: usize,
}

/// Nanoseconds of one claim, settling included, and what the clock holds in the middle of a push.
fn claim(slices: usize, pushes: usize) -> Result<(f64, Held)> {
    let mut clock = RangeClock::new(&[KeyRange::new(0, slices as u64 * SLICE_KEYS)], 1);
    let places = (0..slices as u64).map(|index| index * STRIDE % slices as u64);
    let ranges: Vec<KeyRange> =
        places.map(|place| KeyRange::new(place * SLICE_KEYS, (place + 1) * SLICE_KEYS)).collect();
    let (writer, mut claimed) = (WriterId(0), Vec::new());
    let mut record = |clock: &mut RangeClock, push: usize, ranges: &[KeyRange]| -> Result<usize> {
        let mut new = 0;
        for &range in ranges {
            clock.claim(writer, Timestamp(push as u64), Time(0), range, &mut claimed)?;
            new += claimed.len();
        }
        Ok(new)
    };
    record(&mut clock, 0, &ranges[..slices.div_ceil(2)])?;
    let held = Held { ranges: clock.range_count(), bytes: clock.bytes() };
    record(&mut clock, 0, &ranges)?;
    let (start, mut new) = (Instant::now(), 0);
    for push in 1..=pushes {
        new += record(&mut clock, push, &ranges)?;
        clock.settle(writer, Timestamp(push as u64 + 1));
    }
    let ns = start.elapsed().as_nanos() as f64 / (pushes * slices) as f64;
    anyhow::ensure!(new == pushes * slices && clock.range_count() == 1, "a slice was not recorded once");
    Ok((ns, held))
}
