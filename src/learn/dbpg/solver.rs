//! The state that all workers share by computing it alike, and the course of passes.
//!
//! A weight of a feature that several workers have is known to all of them. In sums over weights each
//! of them adds its share, one part of as many as there are.

use super::column::LocalData;
use super::config::{BlockProblem, Moved, PassTraffic, Solution, TOTALS};
use super::exchange::{Exchange, Keys};
use super::margin::Margins;
use super::plan::{Plan, block_count, overlaps};
use super::subspace::ITERATIONS;
use crate::learn::error::LearnError;
use std::time::Instant;

/// Passes before the first step in the subspace, and before features are filtered closely.
const PASSES_ROUGH: u32 = 3;
/// Passes after which all features are looked at again.
const CHECK_PASSES: u32 = 8;
/// The filter drops a feature whose gradient stays below `l1` by the last pass's largest violation, but
/// at least and at most by these shares of `l1`.
const FILTER_SHARES: [f64; 2] = [0.02, 0.5];
/// Blocks are made anew when this share of the features in them is active.
const REPLAN_SHARE: f64 = 0.8;
/// Largest factor by which curvatures are increased while the objective grows.
const DAMPING_MAX: f64 = 64.0;

/// One worker's part of the solver.
pub(super) struct Solver<'a> {
    pub(super) problem: BlockProblem,
    pub(super) data: LocalData,
    pub(super) exchange: Exchange<'a>,
    pub(super) margins: Margins,
    pub(super) weights: Vec<f64>,
    /// One part of as many workers as have the feature.
    pub(super) shares: Vec<f64>,
    pub(super) active: Vec<bool>,
    /// Factor of all curvatures.
    pub(super) damping: f64,
    /// By how much a gradient must stay below `l1` for its feature to be dropped.
    pub(super) filter_margin: f64,
    /// Weight of the regularisation in the subspace.
    pub(super) caution: f64,
    /// Iterations of a step in the subspace.
    pub(super) iterations: u32,
    pub(super) overlaps: Vec<f32>,
    pub(super) plan: Plan,
    planned_features: usize,
    block_count: u64,
    rows_total: f64,
    /// Features that other workers have too, and their keys.
    shared: (Vec<usize>, Keys),
    pub(super) solution: Solution,
    /// What was moved before the part of a pass that is under way.
    moved: Moved,
    pass_begin: Instant,
}

impl<'a> Solver<'a> {
    /// Tells the other workers of this one's rows.
    pub(super) fn new(
        data: LocalData,
        exchange: Exchange<'a>,
        problem: BlockProblem,
    ) -> Result<Solver<'a>, LearnError> {
        let all = exchange.keys(data.keys.clone())?;
        let count = data.keys.len();
        let mut totals = [0.0; TOTALS];
        (totals[0], totals[1]) = (data.rows.count() as f64, data.rows.entry_count() as f64);
        let (holders, totals) = exchange.sum(&all, &vec![1.0; count], totals)?;
        let is_shared = |feature: &usize| holders[*feature] > 1.0;
        let shared: Vec<usize> = (0..count).filter(is_shared).collect();
        let shared_keys = exchange.keys(shared.iter().map(|&feature| data.keys[feature]).collect())?;
        let blocks = if problem.batch { 1 } else { block_count(totals[1] / totals[0].max(1.0)) };
        let active = vec![true; count];
        let plan = Plan::new(&data, &active, blocks)?;
        Ok(Solver {
            margins: Margins::new(&data.labels),
            weights: vec![0.0; count],
            shares: holders.iter().map(|holders| 1.0 / holders).collect(),
            damping: 1.0,
            filter_margin: f64::INFINITY,
            caution: 1.0,
            iterations: ITERATIONS,
            overlaps: overlaps(&data, blocks, problem.delay),
            planned_features: count,
            block_count: blocks,
            rows_total: totals[0],
            solution: Solution::default(),
            moved: exchange.moved(),
            pass_begin: Instant::now(),
            problem,
            data,
            exchange,
            active,
            plan,
            shared: (shared, shared_keys),
        })
    }

    /// Runs passes until the end; tells `each` of every pass. Gives the sum of this worker's log losses.
    pub(super) fn solve(&mut self, mut each: impl FnMut(&Solution)) -> Result<f64, LearnError> {
        let (objective, _) = self.objective()?;
        self.solution.objective = objective;
        (self.moved, self.pass_begin) = (self.exchange.moved(), Instant::now());
        let mut reached = objective;
        let wanted = self.problem.tolerance * if self.problem.l1 > 0.0 { self.problem.l1 } else { 1.0 };
        for pass in 0..self.problem.passes_max {
            let before = self.solution.objective;
            let violation = self.pass(pass)?;
            self.solution.passes = pass + 1;
            self.solution.kkt_violation = self.exchange.largest(violation)?;
            self.after_pass(before)?;
            self.solution.traffic.blocks = self.moved_since();
            let settled = (before - self.solution.objective).abs()
                <= self.problem.tolerance * 1e-2 * self.solution.objective.abs();
            let is_near = self.solution.kkt_violation <= wanted;
            let last = pass + 1 == self.problem.passes_max;
            let is_slow = pass > PASSES_ROUGH && self.is_slow(reached);
            reached = self.solution.objective;
            let due = self.problem.kkt_filter && pass >= PASSES_ROUGH && pass % CHECK_PASSES == 0;
            let mut ended = false;
            if is_near || is_slow || due || last {
                self.check()?;
                ended = is_slow || (self.solution.kkt_violation <= wanted && settled);
            }
            self.end_traffic();
            each(&self.solution);
            if ended {
                break;
            }
            if !self.problem.batch && pass >= PASSES_ROUGH && !last {
                self.step_in_subspace()?;
            }
            self.replan()?;
            self.solution.traffic.steps = self.moved_since();
        }
        Ok(self.margins.loss(None))
    }

    /// Whether a pass, and the step before it, lowered the objective by so little that this is the end.
    fn is_slow(&self, before: f64) -> bool {
        let gained = (before - self.solution.objective) / self.solution.objective.abs();
        self.problem.objective_tolerance.is_some_and(|least| (0.0..=least).contains(&gained))
    }

    /// What was moved since this was asked last.
    fn moved_since(&mut self) -> Moved {
        let before = std::mem::replace(&mut self.moved, self.exchange.moved());
        self.moved.since(before)
    }

    /// Completes the account of a pass.
    fn end_traffic(&mut self) {
        let checks = self.moved_since();
        let begin = std::mem::replace(&mut self.pass_begin, Instant::now());
        let traffic = &mut self.solution.traffic;
        *traffic = PassTraffic {
            features: self.active.len() as u64,
            features_active: self.active.iter().filter(|active| **active).count() as u64,
            checks,
            seconds: begin.elapsed().as_secs_f64(),
            ..*traffic
        };
    }

    /// Objective and non-zero weights; what is too long a step is shortened from here on.
    fn after_pass(&mut self, before: f64) -> Result<(), LearnError> {
        let (objective, nonzero) = self.objective()?;
        let grown = objective > before * (1.0 + 1e-12);
        self.damping = if grown { (self.damping * 2.0).min(DAMPING_MAX) } else { (self.damping * 0.8).max(1.0) };
        (self.solution.objective, self.solution.nonzero_weights) = (objective, nonzero);
        let (l1, violation) = (self.problem.l1, self.solution.kkt_violation);
        self.filter_margin = match self.solution.passes < PASSES_ROUGH {
            true => violation,
            false => violation.clamp(FILTER_SHARES[0] * l1, FILTER_SHARES[1] * l1),
        };
        Ok(())
    }

    /// This worker's part of the norms of `weights`.
    pub(super) fn norms(&self, features: impl Iterator<Item = (usize, f64)>) -> (f64, f64) {
        features.fold((0.0, 0.0), |(norms, nonzero), (feature, weight)| {
            let norm = self.problem.l1 * weight.abs() + 0.5 * self.problem.l2 * weight * weight;
            let share = self.shares[feature];
            (norms + share * norm, nonzero + if weight == 0.0 { 0.0 } else { share })
        })
    }

    fn objective(&mut self) -> Result<(f64, u64), LearnError> {
        let (norms, nonzero) = self.norms(self.weights.iter().copied().enumerate());
        let mut totals = [0.0; TOTALS];
        (totals[0], totals[1], totals[2]) = (self.margins.loss(None), norms, nonzero);
        let totals = self.exchange.totals(totals)?;
        Ok((totals[0] + totals[1], totals[2].round() as u64))
    }

    /// By how much a weight misses its optimality condition, under the gradient of the losses.
    pub(super) fn violation(&self, weight: f64, gradient: f64) -> f64 {
        let slope = gradient + self.problem.l2 * weight;
        match weight == 0.0 {
            true => (slope.abs() - self.problem.l1).max(0.0),
            false => (slope + self.problem.l1.copysign(weight)).abs(),
        }
    }

    /// Looks at all features with the weights as they are: margins are summed anew, every violation is
    /// found, and features that the filter dropped wrongly come back. A worker that alone has a feature
    /// asks nobody about it.
    fn check(&mut self) -> Result<(), LearnError> {
        let mut margins = vec![0.0; self.data.rows.count()];
        for (row, margin) in margins.iter_mut().enumerate() {
            self.data.rows.for_each(row, |feature, value| *margin += self.weights[feature] * f64::from(value));
        }
        self.margins.set_all(&margins);
        let mut gradients: Vec<f64> = (0..self.data.keys.len()).map(|feature| self.gradient(feature)).collect();
        let (shared, keys) = &self.shared;
        let own: Vec<f64> = shared.iter().map(|&feature| gradients[feature]).collect();
        let (sums, _) = self.exchange.sum(keys, &own, [0.0; TOTALS])?;
        shared.iter().zip(sums).for_each(|(&feature, sum)| gradients[feature] = sum);
        let mut largest = 0.0f64;
        for (feature, gradient) in gradients.into_iter().enumerate() {
            largest = largest.max(self.violation(self.weights[feature], gradient));
            if !self.active[feature] && gradient.abs() >= self.problem.l1 - self.filter_margin {
                self.active[feature] = true;
                // It is in no block: they are made anew.
                self.planned_features = 0;
            }
        }
        self.solution.kkt_violation = self.exchange.largest(largest)?;
        (self.solution.objective, self.solution.nonzero_weights) = self.objective()?;
        Ok(())
    }

    /// The gradient of this worker's losses by one weight.
    fn gradient(&self, feature: usize) -> f64 {
        let mut sum = 0.0;
        self.data.columns.for_each(feature, |row, value| {
            sum += f64::from(self.margins.slopes[row][0]) * f64::from(value);
        });
        sum
    }

    /// Makes blocks anew when enough features were dropped, fewer where rows have fewer active ones.
    fn replan(&mut self) -> Result<(), LearnError> {
        let active = self.active.iter().enumerate().filter(|(_, active)| **active);
        let (mut count, mut entries) = (0usize, 0usize);
        active.for_each(|(feature, _)| {
            count += 1;
            entries += self.data.columns.span(feature).len();
        });
        let share = count as f64 / self.planned_features.max(1) as f64;
        let mut totals = [0.0; TOTALS];
        (totals[0], totals[1]) = (entries as f64, f64::from(u8::from(!(REPLAN_SHARE..=1.0).contains(&share))));
        let totals = self.exchange.totals(totals)?;
        if self.problem.batch || totals[1] == 0.0 {
            return Ok(());
        }
        let blocks = block_count(totals[0] / self.rows_total.max(1.0));
        if blocks != self.block_count {
            self.overlaps = overlaps(&self.data, blocks, self.problem.delay);
            self.block_count = blocks;
        }
        self.plan = Plan::new(&self.data, &self.active, blocks)?;
        self.planned_features = count;
        Ok(())
    }
}
