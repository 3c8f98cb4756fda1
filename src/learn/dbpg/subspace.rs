//! A truncated Newton step on the weights that are not zero.
//!
//! Conjugate gradients with a diagonal preconditioner; each iteration's product with the Hessian is
//! summed over the workers, who all compute the same direction from it. Two terms are added to the
//! Hessian's diagonal: a little of itself, and `caution * l1 / |w|`, the curvature of the quadratic
//! that bounds `l1 * |w|` from above at `w`. It keeps small weights from crossing zero, at which they are
//! cut off, in directions that are nearly flat (affine scaling). The step is halved until the
//! objective falls; the caution follows how far it got.

use super::column::Lists;
use super::config::TOTALS;
use super::exchange::Keys;
use super::solver::Solver;
use crate::learn::error::LearnError;

/// Iterations of a step: the least, while weights still come and go, and the most.
pub(super) const ITERATIONS: u32 = 20;
const ITERATIONS_MAX: u32 = 150;
/// Ends the iterations when the residual's norm is this share of the first one.
const RESIDUAL_SHARE: f64 = 0.1;
const STEPS: u32 = 8;
/// Share of the diagonal that is added to it.
const DIAGONAL_SHARE: f64 = 1e-4;
/// The least caution for each `l1` of violation.
const CAUTION_SHARE: f64 = 0.1;

/// The weights that are not zero, and the rows with these features alone.
struct Support {
    features: Vec<u32>,
    keys: Keys,
    rows: Lists,
    /// What is added to the Hessian's diagonal.
    added: Vec<f64>,
    /// The diagonal with it.
    diagonal: Vec<f64>,
}

impl Solver<'_> {
    /// Makes one step.
    pub(super) fn step_in_subspace(&mut self) -> Result<(), LearnError> {
        let (support, residual) = self.support()?;
        let direction = self.direction(&support, residual)?;
        self.search(&support, &direction)
    }

    /// The support, and the negative gradient of the objective there.
    fn support(&self) -> Result<(Support, Vec<f64>), LearnError> {
        let mut numbers = vec![u32::MAX; self.weights.len()];
        let mut features = Vec::new();
        for (feature, _) in self.weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            numbers[feature] = features.len() as u32;
            features.push(feature as u32);
        }
        let keys = features.iter().map(|&feature| self.data.keys[feature as usize]).collect();
        let keys = self.exchange.keys(keys)?;
        let (mut gradients, mut bends) = (Vec::new(), Vec::new());
        for &feature in &features {
            let (mut gradient, mut bend) = (0.0, 0.0);
            self.data.columns.for_each(feature as usize, |row, value| {
                let [slope, own] = self.margins.slopes[row];
                gradient += f64::from(slope) * f64::from(value);
                bend += f64::from(own) * f64::from(value * value);
            });
            gradients.push(gradient);
            bends.push(bend);
        }
        let (gradients, _) = self.exchange.sum(&keys, &gradients, [0.0; TOTALS])?;
        let (bends, _) = self.exchange.sum(&keys, &bends, [0.0; TOTALS])?;
        let weights = || features.iter().map(|&feature| self.weights[feature as usize]);
        let (l1, l2) = (self.problem.l1, self.problem.l2);
        let slopes = gradients.iter().zip(weights());
        let residual = slopes.map(|(gradient, weight)| -(gradient + l2 * weight + l1.copysign(weight))).collect();
        let added: Vec<f64> = bends
            .iter()
            .zip(weights())
            .map(|(bend, weight)| l2 + self.caution * l1 / weight.abs() + DIAGONAL_SHARE * bend + 1e-6)
            .collect();
        let diagonal = bends.iter().zip(&added).map(|(bend, added)| bend + added).collect();
        Ok((Support { rows: self.data.rows.kept(&numbers), features, keys, added, diagonal }, residual))
    }

    /// This worker's part of a sum over the support.
    fn part(&self, support: &Support, mut term: impl FnMut(usize) -> f64) -> f64 {
        support.features.iter().enumerate().map(|(place, &feature)| self.shares[feature as usize] * term(place)).sum()
    }

    fn total(&self, part: f64) -> Result<f64, LearnError> {
        let mut totals = [0.0; TOTALS];
        totals[0] = part;
        Ok(self.exchange.totals(totals)?[0])
    }

    /// Conjugate gradients from zero.
    fn direction(&self, support: &Support, mut residual: Vec<f64>) -> Result<Vec<f64>, LearnError> {
        let mut direction = vec![0.0; residual.len()];
        let mut search: Vec<f64> = residual.iter().zip(&support.diagonal).map(|(r, d)| r / d).collect();
        let square =
            |residual: &[f64]| self.part(support, |place| residual[place] * residual[place] / support.diagonal[place]);
        let first = self.total(square(&residual))?;
        let mut norm = first;
        for _ in 0..self.iterations {
            let (product, bend) = self.product(support, &search)?;
            if bend <= 0.0 || bend.is_nan() {
                break;
            }
            let step = norm / bend;
            direction.iter_mut().zip(&search).for_each(|(x, p)| *x += step * p);
            residual.iter_mut().zip(&product).for_each(|(r, h)| *r -= step * h);
            let next = self.total(square(&residual))?;
            if next <= RESIDUAL_SHARE * RESIDUAL_SHARE * first {
                break;
            }
            let again = next / norm;
            let terms = search.iter_mut().zip(&residual).zip(&support.diagonal);
            terms.for_each(|((p, r), d)| *p = r / d + again * *p);
            norm = next;
        }
        Ok(direction)
    }

    /// The Hessian times `vector`, and `vector` times that.
    fn product(&self, support: &Support, vector: &[f64]) -> Result<(Vec<f64>, f64), LearnError> {
        let mut product = vec![0.0; vector.len()];
        let mut bend = self.part(support, |place| support.added[place] * vector[place] * vector[place]);
        for row in 0..support.rows.count() {
            let mut along = 0.0;
            support.rows.for_each(row, |place, value| along += vector[place] * f64::from(value));
            let scaled = f64::from(self.margins.slopes[row][1]) * along;
            bend += scaled * along;
            support.rows.for_each(row, |place, value| product[place] += scaled * f64::from(value));
        }
        let mut totals = [0.0; TOTALS];
        totals[0] = bend;
        let (mut product, totals) = self.exchange.sum(&support.keys, &product, totals)?;
        let terms = product.iter_mut().zip(vector).zip(&support.added);
        terms.for_each(|((h, p), added)| *h += added * p);
        Ok((product, totals[0]))
    }

    /// Moves along the direction as far as the objective falls.
    fn search(&mut self, support: &Support, direction: &[f64]) -> Result<(), LearnError> {
        let mut share = 1.0;
        for _ in 0..STEPS {
            let moved = self.moved(support, direction, share);
            let mut changes = vec![0.0; support.rows.count()];
            let differences: Vec<f64> = moved
                .iter()
                .zip(&support.features)
                .map(|(new, &feature)| new - self.weights[feature as usize])
                .collect();
            for (row, change) in changes.iter_mut().enumerate() {
                support.rows.for_each(row, |place, value| *change += differences[place] * f64::from(value));
            }
            let features = support.features.iter().map(|&feature| feature as usize);
            let (norms, _) = self.norms(features.clone().zip(moved.iter().copied()));
            let objective = self.total(self.margins.loss(Some(&changes)) + norms)?;
            if objective < self.solution.objective {
                let moved = self.exchange.assign(&support.keys, &moved)?;
                features.zip(moved).for_each(|(feature, weight)| self.weights[feature] = weight);
                self.margins.add_all(&changes);
                self.solution.objective = objective;
                self.follow(share);
                return Ok(());
            }
            share *= 0.5;
        }
        self.follow(0.0);
        Ok(())
    }

    /// The weights after a share of the step; with an L1 norm none crosses zero.
    fn moved(&self, support: &Support, direction: &[f64], share: f64) -> Vec<f64> {
        let weights = support.features.iter().map(|&feature| self.weights[feature as usize]);
        let moved = weights.zip(direction).map(|(weight, step)| {
            let moved = weight + share * step;
            if moved * weight <= 0.0 && self.problem.l1 > 0.0 { 0.0 } else { moved }
        });
        moved.collect()
    }

    /// Less caution after a whole step, more after a short one; and more iterations where the steps are
    /// whole and the optimum is near, since what remains are nearly flat directions.
    fn follow(&mut self, share: f64) {
        if share == 1.0 {
            let least = CAUTION_SHARE * self.solution.kkt_violation / self.problem.l1.max(f64::MIN_POSITIVE);
            self.caution = (self.caution / 3.0).max(self.caution.min(least));
            if self.solution.kkt_violation < self.problem.l1 {
                self.iterations = (self.iterations * 3 / 2).min(ITERATIONS_MAX);
            }
        } else if share < 0.3 {
            self.caution *= 3.0;
            self.iterations = (self.iterations / 2).max(ITERATIONS);
        }
    }
}
