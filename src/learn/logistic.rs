//! Logistic loss: margins, probabilities, losses and gradients of a minibatch.
//!
//! All sums have a fixed order and the transcendental functions come from a library of our own
//! choice, so that a model is the same on every machine.

use super::data::LocalBatch;

/// The margin of a row, `sum of weight * value`, in four interleaved sums that are added pairwise.
#[must_use]
pub fn margin(batch: &LocalBatch, row: usize, weights: &[f32]) -> f32 {
    let features = batch.offsets[row] as usize..batch.offsets[row + 1] as usize;
    let local = &batch.local[features.clone()];
    let mut sums = [0.0f32; 4];
    if batch.values.is_empty() {
        let (quads, rest) = local.as_chunks::<4>();
        for quad in quads {
            for lane in 0..4 {
                sums[lane] += weights[quad[lane] as usize];
            }
        }
        for (lane, &place) in rest.iter().enumerate() {
            sums[lane] += weights[place as usize];
        }
    } else {
        let values = &batch.values[features];
        for (index, (&place, &value)) in local.iter().zip(values).enumerate() {
            sums[index % 4] += weights[place as usize] * value;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// `1 / (1 + exp(-margin))`
#[must_use]
pub fn probability(margin: f32) -> f32 {
    let margin = f64::from(margin);
    (1.0 / (1.0 + libm::exp(-margin))) as f32
}

/// `-log` of the probability that the margin gives to the label (0 or 1).
#[must_use]
pub fn log_loss(margin: f32, label: f32) -> f64 {
    let margin = if label > 0.5 { -f64::from(margin) } else { f64::from(margin) };
    // log(1 + exp(m)) without overflow.
    margin.max(0.0) + libm::log1p(libm::exp(-margin.abs()))
}

/// Writes the summed gradient of the batch's log loss into `gradient`, one number per weight, and
/// returns the sum of the losses. With `has_bias` the last weight belongs to every row.
pub fn gradient(batch: &LocalBatch, has_bias: bool, weights: &[f32], gradient: &mut [f32]) -> f64 {
    gradient.fill(0.0);
    let bias = weights.last().copied().filter(|_| has_bias).unwrap_or(0.0);
    let (mut loss, mut slope_sum) = (0.0, 0.0);
    for row in 0..batch.row_count() {
        let (margin, label) = (margin(batch, row, weights) + bias, batch.labels[row]);
        loss += log_loss(margin, label);
        let slope = probability(margin) - label;
        slope_sum += slope;
        let features = batch.offsets[row] as usize..batch.offsets[row + 1] as usize;
        let local = &batch.local[features.clone()];
        if batch.values.is_empty() {
            local.iter().for_each(|&place| gradient[place as usize] += slope);
        } else {
            let values = &batch.values[features];
            local.iter().zip(values).for_each(|(&place, &value)| gradient[place as usize] += slope * value);
        }
    }
    if let Some(last) = gradient.last_mut().filter(|_| has_bias) {
        *last = slope_sum;
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> LocalBatch {
        LocalBatch {
            labels: vec![1.0, 0.0],
            offsets: vec![0, 3, 5],
            unique: vec![10, 20, 30],
            local: vec![0, 1, 2, 1, 1],
            values: vec![1.0, 2.0, -1.0, 0.5, 1.0],
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let (batch, weights) = (batch(), [0.3f32, -0.2, 0.1]);
        let mut slope = [0.0; 3];
        let loss = gradient(&batch, false, &weights, &mut slope);
        for place in 0..3 {
            let mut moved = weights;
            moved[place] += 1e-2;
            let difference = (gradient(&batch, false, &moved, &mut [0.0; 3]) - loss) / 1e-2;
            assert!((difference - f64::from(slope[place])).abs() < 2e-2, "{difference} against {}", slope[place]);
        }
    }

    #[test]
    fn large_margins_neither_overflow_nor_lose_the_loss() {
        assert_eq!(log_loss(1000.0, 1.0), 0.0);
        assert_eq!(log_loss(-1000.0, 1.0), 1000.0);
        assert_eq!(probability(-1000.0), 0.0);
        assert!((log_loss(0.0, 0.0) - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn values_of_one_need_not_be_written() {
        let mut plain = batch();
        plain.values = vec![1.0; 5];
        let mut bare = batch();
        bare.values.clear();
        let weights = [0.5, 0.25, -4.0];
        assert_eq!(margin(&plain, 0, &weights), margin(&bare, 0, &weights));
    }
}
