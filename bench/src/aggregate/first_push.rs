//! The first push of many keys: what it costs to make their rows.

use super::{KEYS, Point};
use crate::cluster::table;
use crate::sample::Draw;
use anyhow::Result;
use parashard::memory::Pool;
use parashard::node::Layout;
use parashard::store::Table;
use std::time::Instant;

/// Keys that are new.
const NEW: usize = 1_000_000;

/// A million new keys into an empty table, and between a million old ones. The memory is new each
/// time, so its first touch counts.
pub(super) fn measure(runs: usize) -> Result<[Point; 2]> {
    let keys = Draw::new(5).keys(2 * NEW, KEYS.end);
    let new = Draw::new(6).choose(&keys, NEW);
    let mut rest = new.iter().peekable();
    let old: Vec<u64> = keys.iter().copied().filter(|key| rest.next_if_eq(&key).is_none()).collect();
    let values: Vec<u8> = vec![1; NEW * 4];
    let mut points = [0, NEW].map(|store| Point::new("first_push", store, NEW));
    for _ in 0..runs {
        for (point, before) in points.iter_mut().zip([&[][..], &old]) {
            let pool = Pool::unbounded();
            let mut table = Table::new(&table(0, "sparse", KEYS.end, Layout::Sparse), &[KEYS], &pool)?;
            table.apply(KEYS, KEYS, Some(before), &values[..before.len() * 4]);
            let start = Instant::now();
            table.apply(KEYS, KEYS, Some(&new), &values);
            point.ns_per_key.push(start.elapsed().as_nanos() as f64 / NEW as f64);
            anyhow::ensure!(table.key_count() as usize == before.len() + NEW, "keys were lost");
        }
    }
    Ok(points)
}
