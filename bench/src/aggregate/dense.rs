//! Dense pushes beside the memory triad, over arrays of the same bytes in memory of the same kind.

use super::Point;
use crate::cluster::table;
use crate::report::Row;
use anyhow::Result;
use parashard::keyspace::KeyRange;
use parashard::memory::{Array, Pool};
use parashard::node::Layout;
use parashard::store::Table;
use std::hint::black_box;
use std::time::Instant;

/// Elements of the table: what a cache holds, and what none does.
const SIZES: [usize; 2] = [1_000_000, 10_000_000];
/// Elements of one run.
const ELEMENTS_A_RUN: usize = 20_000_000;
/// Two arrays of f32 are read and one is written, by the push and by the triad.
const BYTES_PER_ELEMENT: f64 = 12.0;

/// Dense pushes, and the triads beside them.
pub(super) struct Dense {
    points: Vec<Point>,
    triads: Vec<Point>,
}

/// Pushes whole tables of both sizes.
pub(super) fn measure(runs: usize) -> Result<Dense> {
    let mut dense = Dense { points: Vec::new(), triads: Vec::new() };
    for size in SIZES {
        let pool = Pool::unbounded();
        let range = KeyRange::new(0, size as u64);
        let mut table = Table::new(&table(0, "dense", size as u64, Layout::Dense), &[range], &pool)?;
        // Not zeros: those would be one page of memory, read again and again.
        let mut values = pool.block(size * 4);
        let elements = values.as_chunks_mut().0.iter_mut().enumerate();
        elements.for_each(|(element, bytes)| *bytes = (element as f32).to_ne_bytes());
        let [mut a, b, c] = [0.0f32, 1.0, 2.0].map(|number| Array::filled(&pool, size, number));
        let mut point = Point::new("dense", size, size);
        let mut triad = Point::new("triad", size, size);
        for _ in 0..runs {
            point.time_dense(|| table.apply(range, range, None, &values));
            triad.time_dense(|| {
                a.iter_mut().zip(b.iter()).zip(c.iter()).for_each(|((a, b), c)| *a = b + 0.5 * c);
                black_box(&mut a);
            });
        }
        dense.points.push(point);
        dense.triads.push(triad);
    }
    Ok(dense)
}

impl Point {
    fn time_dense(&mut self, mut add: impl FnMut()) {
        let rounds = ELEMENTS_A_RUN / self.request;
        add();
        let start = Instant::now();
        (0..rounds).for_each(|_| add());
        self.ns_per_key.push(start.elapsed().as_nanos() as f64 / (rounds * self.request) as f64);
    }
}

impl Dense {
    /// The triad over arrays that no cache holds.
    pub(super) fn largest_triad(&self) -> Option<&Point> {
        self.triads.last()
    }

    /// Each size beside its triad.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |(point, triad): (&Point, &Point)| {
            let row = point.row(&[], Some(triad));
            let gb_per_s = row.median.map(|ns| BYTES_PER_ELEMENT / ns);
            row.with("gb_per_s", gb_per_s)
        };
        self.points.iter().zip(&self.triads).map(row).collect()
    }
}
