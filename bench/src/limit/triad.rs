//! The memory triad, a = b + s * c, over arrays far above the caches.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Elements of each array: 40 MB.
const ELEMENTS: usize = 10_000_000;

/// GB/s on the calling thread, the best of a few passes within `time`; 12 bytes an element are counted.
pub(crate) fn triad_gb_per_s(time: Duration) -> f64 {
    let (mut a, b, c) = (vec![0.0f32; ELEMENTS], vec![1.0f32; ELEMENTS], vec![2.0f32; ELEMENTS]);
    let mut best = f64::MAX;
    let begin = Instant::now();
    // The first pass finds pages that are not there yet.
    let mut passes = 0;
    while passes < 3 || begin.elapsed() < time {
        let start = Instant::now();
        a.iter_mut().zip(&b).zip(&c).for_each(|((a, b), c)| *a = b + 0.5 * c);
        black_box(&mut a);
        best = best.min(start.elapsed().as_nanos() as f64);
        passes += 1;
    }
    (ELEMENTS * 12) as f64 / best
}
