//! One pass over the blocks.
//!
//! A block's weights are waited for when `delay` later blocks have been pushed, or at the pass's end.
//! Features whose weight is zero and whose gradient stays well below `l1` are dropped until the next
//! look at all features (the KKT filter of Li et al.).

use super::solver::Solver;
use crate::client::{ClientError, Pending, Values};
use crate::learn::error::LearnError;
use std::collections::VecDeque;

/// Bend of a row's loss that is never exceeded.
const BEND_MAX: f64 = 0.25;
/// Least curvature, so that a feature is moved at all where every row is far on the right side.
const CURVATURE_MIN: f64 = 1e-12;

/// A block that was pushed.
struct InFlight {
    block: usize,
    weights: Option<Pending<Values<f64>>>,
}

impl Solver<'_> {
    /// Goes through all blocks once; gives the largest violation that was met.
    pub(super) fn pass(&mut self, pass: u32) -> Result<f64, LearnError> {
        let mut in_flight = VecDeque::new();
        let mut largest = 0.0f64;
        for block in self.plan.order(self.problem.seed, pass) {
            let weights = self.push_block(block)?;
            in_flight.push_back(InFlight { block, weights });
            if in_flight.len() > self.problem.delay as usize {
                largest = largest.max(self.end_first(&mut in_flight)?);
            }
        }
        while !in_flight.is_empty() {
            largest = largest.max(self.end_first(&mut in_flight)?);
        }
        Ok(largest)
    }

    fn end_first(&mut self, in_flight: &mut VecDeque<InFlight>) -> Result<f64, LearnError> {
        match in_flight.pop_front() {
            Some(InFlight { block, weights: Some(weights) }) => Ok(self.end_block(block, &weights.wait()?)),
            _ => Ok(0.0),
        }
    }

    /// Pushes gradient and curvature of a block's features.
    fn push_block(&self, block: usize) -> Result<Option<Pending<Values<f64>>>, ClientError> {
        let block = &self.plan.blocks[block];
        self.exchange.begin(&block.keys, |pairs| {
            for (pair, &feature) in pairs.iter_mut().zip(&block.features) {
                *pair = self.gradient_and_curvature(feature as usize);
            }
        })
    }

    fn gradient_and_curvature(&self, feature: usize) -> [f64; 2] {
        let (rows, slopes) = (self.data.columns.places(feature), &self.margins.slopes);
        let overlaps = &self.overlaps[self.data.columns.span(feature)];
        let (mut gradient, mut curvature) = (0.0, 0.0);
        match self.data.columns.values(feature) {
            None => rows.iter().zip(overlaps).for_each(|(&row, &overlap)| {
                let [slope, bend] = slopes[row as usize];
                gradient += f64::from(slope);
                curvature += f64::from(bend * overlap);
            }),
            Some(values) => rows.iter().zip(overlaps).zip(values).for_each(|((&row, &overlap), &value)| {
                let [slope, bend] = slopes[row as usize];
                gradient += f64::from(slope) * f64::from(value);
                curvature += f64::from(bend * overlap);
            }),
        }
        if self.problem.batch {
            curvature = BEND_MAX * overlaps.iter().map(|&overlap| f64::from(overlap)).sum::<f64>();
        }
        [gradient, curvature * self.damping + CURVATURE_MIN]
    }

    /// Takes a block's weights over; gives the largest violation before.
    fn end_block(&mut self, block: usize, values: &[f64]) -> f64 {
        let mut largest = 0.0f64;
        for (&feature, &[weight, gradient]) in self.plan.blocks[block].features.iter().zip(values.as_chunks::<2>().0) {
            let feature = feature as usize;
            let before = self.weights[feature];
            largest = largest.max(self.violation(before, gradient));
            if before == 0.0 && weight == 0.0 && self.problem.kkt_filter {
                self.active[feature] = gradient.abs() >= self.problem.l1 - self.filter_margin;
            }
            let change = weight - before;
            if change != 0.0 {
                self.weights[feature] = weight;
                let margins = &mut self.margins;
                self.data.columns.for_each(feature, |row, value| margins.add(row, change * f64::from(value)));
            }
        }
        self.margins.refresh();
        largest
    }
}
