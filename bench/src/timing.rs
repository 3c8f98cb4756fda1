//! How operations are timed: one by one, or with several outstanding.
//!
//! A run is a number of rounds of one point. What a round needs is prepared outside of the timing.
//! The time of an operation is from its begin to its outcome. `each` is what an operation costs the
//! stream of them: its median time when one is outstanding, else the run's time divided by its rounds.

use crate::sample::median;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the runs of one point gave, in nanoseconds, one figure a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    p50: Vec<f64>,
    p99: Vec<f64>,
    each: Vec<f64>,
}

/// How often a run does an operation, and how many are outstanding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Rounds that are not counted.
    pub(crate) warm_up: usize,
    pub(crate) rounds: usize,
    pub(crate) depth: usize,
}

impl Series {
    /// One run: `begin` an operation with what `prepare` gave, and `finish` it.
    pub(crate) fn run<P, O>(
        &mut self,
        pace: Pace,
        mut prepare: impl FnMut() -> Result<P>,
        mut begin: impl FnMut(P) -> Result<O>,
        mut finish: impl FnMut(O) -> Result<()>,
    ) -> Result<()> {
        if pace.depth == 1 {
            let mut pieces = Pieces::new()?;
            pieces.run(pace, prepare, |prepared| finish(begin(prepared)?))?;
            self.add_pieces(&pieces);
            return Ok(());
        }
        // As deep as what is counted: the buffers of all that is outstanding are touched before.
        let warm_up = pace.warm_up.max(2 * pace.depth);
        let mut unseen = Histogram::<u64>::new(3)?;
        let prepared = (0..warm_up).map(|_| prepare()).collect::<Result<Vec<P>>>()?;
        stream(pace.depth, prepared, &mut begin, &mut finish, &mut unseen)?;
        let mut histogram = Histogram::<u64>::new(3)?;
        let prepared = (0..pace.rounds).map(|_| prepare()).collect::<Result<Vec<P>>>()?;
        let start = Instant::now();
        stream(pace.depth, prepared, &mut begin, &mut finish, &mut histogram)?;
        self.add_run(&histogram, nanoseconds(start.elapsed()) as f64 / pace.rounds as f64);
        Ok(())
    }

    /// One run that was timed in pieces.
    pub(crate) fn add_pieces(&mut self, pieces: &Pieces) {
        self.add_run(&pieces.0, pieces.0.value_at_quantile(0.5) as f64);
    }

    fn add_run(&mut self, histogram: &Histogram<u64>, each: f64) {
        self.add(histogram.value_at_quantile(0.5) as f64, histogram.value_at_quantile(0.99) as f64, each);
    }

    /// One run of a trip that needs nothing prepared.
    pub(crate) fn trips(&mut self, trips: usize, mut trip: impl FnMut() -> Result<()>) -> Result<()> {
        let pace = Pace { warm_up: trips / 10, rounds: trips, depth: 1 };
        self.run(pace, || Ok(()), |()| trip(), Ok)
    }

    /// One run that was timed elsewhere.
    pub(crate) fn add(&mut self, p50: f64, p99: f64, each: f64) {
        self.p50.push(p50);
        self.p99.push(p99);
        self.each.push(each);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Median over the runs of their median times.
    pub(crate) fn p50_ns(&self) -> Option<f64> {
        median(&self.p50)
    }

    /// Median over the runs of their 99th percentiles.
    pub(crate) fn p99_ns(&self) -> Option<f64> {
        median(&self.p99)
    }

    /// Each run's rate, of operations that move `amount`: units a nanosecond.
    pub(crate) fn rates(&self, amount: f64) -> Vec<f64> {
        self.each.iter().map(|ns| amount / ns).collect()
    }

    /// How many times as long as `limit` it takes: median over the runs of the ratio in each.
    pub(crate) fn p50_ratio(&self, limit: &Series) -> Option<f64> {
        median_ratio(&self.p50, &limit.p50)
    }

    /// As [`Series::p50_ratio`], of the 99th percentiles.
    pub(crate) fn p99_ratio(&self, limit: &Series) -> Option<f64> {
        median_ratio(&self.p99, &limit.p99)
    }
}

/// The times of one run with one outstanding, which others may share piece by piece: what comes over
/// the machine in that time then comes over all of them.
pub(crate) struct Pieces(Histogram<u64>);

impl Pieces {
    pub(crate) fn new() -> Result<Pieces> {
        Ok(Pieces(Histogram::new(3)?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does an operation with what `prepare` gave, `pace` times.
    pub(crate) fn run<P>(
        &mut self,
        pace: Pace,
        mut prepare: impl FnMut() -> Result<P>,
        mut operation: impl FnMut(P) -> Result<()>,
    ) -> Result<()> {
        for round in 0..pace.warm_up + pace.rounds {
            let prepared = prepare()?;
            let start = Instant::now();
            operation(prepared)?;
            if round >= pace.warm_up {
                self.0.record(nanoseconds(start.elapsed()))?;
            }
        }
        Ok(())
    }

    /// Does an operation `pace` times, each from the end of the one before on: the clock is read once for each,
    /// and what it said is looked at afterwards.
    pub(crate) fn chain(&mut self, pace: Pace, mut operation: impl FnMut() -> Result<()>) -> Result<()> {
        let mut ends = Vec::with_capacity(pace.warm_up + pace.rounds + 1);
        ends.push(Instant::now());
        for _ in 0..pace.warm_up + pace.rounds {
            operation()?;
            ends.push(Instant::now());
        }
        for lap in ends[pace.warm_up..].windows(2) {
            self.0.record(nanoseconds(lap[1] - lap[0]))?;
        }
        Ok(())
    }
}

/// Median of the ratios of figures that were measured in the same run.
pub(crate) fn median_ratio(own: &[f64], other: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
    median(&ratios)
}

/// Begins operations one after the other, as long as fewer than `depth` are outstanding.
fn stream<P, O>(
    depth: usize,
    prepared: Vec<P>,
    begin: &mut impl FnMut(P) -> Result<O>,
    finish: &mut impl FnMut(O) -> Result<()>,
    histogram: &mut Histogram<u64>,
) -> Result<()> {
    let mut open = VecDeque::with_capacity(depth);
    for prepared in prepared {
        if open.len() == depth {
            finish_oldest(&mut open, finish, histogram)?;
        }
        open.push_back((Instant::now(), begin(prepared)?));
    }
    while !open.is_empty() {
        finish_oldest(&mut open, finish, histogram)?;
    }
    Ok(())
}

fn finish_oldest<O>(
    open: &mut VecDeque<(Instant, O)>,
    finish: &mut impl FnMut(O) -> Result<()>,
    histogram: &mut Histogram<u64>,
) -> Result<()> {
    if let Some((start, operation)) = open.pop_front() {
        finish(operation)?;
        histogram.record(nanoseconds(start.elapsed()))?;
    }
    Ok(())
}

fn nanoseconds(time: Duration) -> u64 {
    // A clock that stands still for a moment must not make an infinite rate.
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_no_more_outstanding_than_its_depth_and_does_all_rounds() {
        let (open, most, done) = (std::cell::Cell::new(0), std::cell::Cell::new(0), std::cell::Cell::new(0));
        let mut series = Series::default();
        let begin = |()| {
            open.set(open.get() + 1);
            most.set(most.get().max(open.get()));
            Ok(())
        };
        let finish = |()| {
            open.set(open.get() - 1);
            done.set(done.get() + 1);
            Ok(())
        };
        series.run(Pace { warm_up: 1, rounds: 9, depth: 4 }, || Ok(()), begin, finish).expect("nothing fails");
        assert_eq!((most.get(), done.get(), open.get()), (4, 8 + 9, 0));
        assert!(series.rates(1.0).len() == 1 && series.p50_ns() <= series.p99_ns());
    }

    #[test]
    fn the_ratio_is_taken_within_each_run() {
        assert_eq!(median_ratio(&[1.0, 20.0, 3.0], &[1.0, 10.0, 1.0]), Some(2.0));
        assert_eq!(median_ratio(&[], &[]), None);
    }
}
