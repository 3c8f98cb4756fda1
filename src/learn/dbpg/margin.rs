//! Margins of a worker's rows, and what follows from them: the slope of each row's log loss (its
//! derivative by the margin) and its bend (the second one).
//!
//! Margins are f64, as they are sums of many small changes. Slope and bend stand beside each other in
//! f32, so that those of a hundred thousand rows fit the second cache; sums of them are f64.

use super::exponential::{exp_f32, exp_f64};

/// Rows whose exponentials are computed together.
const GROUP: usize = 64;

/// Margins, slopes and bends of rows, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Margins {
    /// 1 for label 1, -1 for label 0.
    signs: Vec<f32>,
    margins: Vec<f64>,
    /// Slope and bend.
    pub(super) slopes: Vec<[f32; 2]>,
    /// One bit a row whose slope is out of date.
    stale: Vec<u64>,
}

impl Margins {
    /// Margins of zero.
    pub(super) fn new(labels: &[f32]) -> Margins {
        let count = labels.len();
        let signs: Vec<f32> = labels.iter().map(|&label| if label > 0.5 { 1.0 } else { -1.0 }).collect();
        let slopes = signs.iter().map(|&sign| [-0.5 * sign, 0.25]).collect();
        Margins { signs, margins: vec![0.0; count], slopes, stale: vec![0; count.div_ceil(64)] }
    }

    /// Adds to one row's margin. Its slope stays until [`refresh`](Self::refresh).
    #[inline(always)]
    pub(super) fn add(&mut self, row: usize, change: f64) {
        self.margins[row] += change;
        self.stale[row / 64] |= 1 << (row % 64);
    }

    /// Replaces every row's margin.
    pub(super) fn set_all(&mut self, margins: &[f64]) {
        self.margins.copy_from_slice(margins);
        self.stale.fill(u64::MAX);
        self.refresh();
    }

    /// Adds to every row's margin.
    pub(super) fn add_all(&mut self, changes: &[f64]) {
        self.margins.iter_mut().zip(changes).for_each(|(margin, change)| *margin += change);
        self.stale.fill(u64::MAX);
        self.refresh();
    }

    /// Brings the slopes of all changed rows up to date.
    pub(super) fn refresh(&mut self) {
        for group in 0..self.stale.len() {
            let mut bits = std::mem::take(&mut self.stale[group]);
            let begin = group * GROUP;
            let end = (begin + GROUP).min(self.margins.len());
            let rows = self.margins[begin..end].iter().zip(&self.signs[begin..end]).zip(&mut self.slopes[begin..end]);
            if bits.count_ones() as usize > GROUP / 4 {
                rows.for_each(|((&margin, &sign), slope)| *slope = slope_of(margin, sign));
                continue;
            }
            while bits != 0 {
                let row = begin + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if row < end {
                    self.slopes[row] = slope_of(self.margins[row], self.signs[row]);
                }
            }
        }
    }

    /// Sum of the rows' log losses, with `changes` added to their margins.
    pub(super) fn loss(&self, changes: Option<&[f64]>) -> f64 {
        let mut sum = 0.0;
        for begin in (0..self.margins.len()).step_by(GROUP) {
            let end = (begin + GROUP).min(self.margins.len());
            // log(1 + exp(m)) = max(m, 0) + log(1 + exp(-|m|)); a product of 64 such factors, each at
            // most 2, needs one logarithm.
            let (mut linear, mut product) = (0.0, 1.0);
            for row in begin..end {
                let margin = self.margins[row] + changes.map_or(0.0, |changes| changes[row]);
                let against = -margin * f64::from(self.signs[row]);
                linear += against.max(0.0);
                product *= 1.0 + exp_f64(-against.abs());
            }
            sum += linear + libm::log(product);
        }
        sum
    }
}

/// Slope and bend of a row.
#[inline(always)]
fn slope_of(margin: f64, sign: f32) -> [f32; 2] {
    let wrong = 1.0 / (1.0 + exp_f32(margin as f32 * sign));
    [-sign * wrong, wrong * (1.0 - wrong)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::logistic;

    #[test]
    fn slopes_and_losses_are_those_of_the_logistic_function() {
        let labels: Vec<f32> = (0..150).map(|row| (row % 2) as f32).collect();
        let mut margins = Margins::new(&labels);
        let changes: Vec<f64> = (0..150).map(|row| f64::from(row - 75) * 0.2).collect();
        let expected: f64 = changes.iter().zip(&labels).map(|(&m, &label)| logistic::log_loss(m as f32, label)).sum();
        assert!((margins.loss(Some(&changes)) - expected).abs() < 1e-5);
        changes.iter().enumerate().filter(|(row, _)| row % 3 == 0).for_each(|(row, &change)| margins.add(row, change));
        margins.refresh();
        for row in 0..150 {
            let margin = if row % 3 == 0 { changes[row] } else { 0.0 };
            let probability = 1.0 / (1.0 + (-margin).exp());
            let [slope, bend] = margins.slopes[row];
            assert!((f64::from(slope) - (probability - f64::from(labels[row]))).abs() < 1e-6, "{row}");
            assert!((f64::from(bend) - probability * (1.0 - probability)).abs() < 1e-6, "{row}");
        }
    }
}
