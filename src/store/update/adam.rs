//! Adam: the means m and v, and the sums of their weights, which count the steps of each number. The
//! state of zeros keeps every value under zero pushes, as m then stays zero.

use super::{StateUpdate, is_positive};
use crate::simd::{self, AdamRate, Float};
use crate::store::element::Element;
use crate::wire::Adam;

/// m, v, and the weights of both.
pub(super) const NUMBERS: usize = 4;

pub(super) fn check(Adam { rate, beta1, beta2, epsilon }: Adam) -> Result<(), &'static str> {
    let is_share = |beta: f32| (0.0..1.0).contains(&beta);
    match (is_positive(rate) && is_positive(epsilon), is_share(beta1) && is_share(beta2)) {
        (false, _) => Err("adam's rate and epsilon must be positive numbers"),
        (_, false) => Err("adam's beta1 and beta2 must be at least 0 and below 1"),
        _ => Ok(()),
    }
}

impl<F: Float> From<Adam> for AdamRate<F> {
    fn from(Adam { rate, beta1, beta2, epsilon }: Adam) -> AdamRate<F> {
        AdamRate { rate: rate.into(), beta1: beta1.into(), beta2: beta2.into(), epsilon: epsilon.into() }
    }
}

impl<S: Element + Float> StateUpdate<S> for AdamRate<S> {
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]) {
        let (means, weights) = state.split_at_mut(2 * values.len());
        let (m, v) = means.split_at_mut(values.len());
        let (a, b) = weights.split_at_mut(values.len());
        simd::adam(self, [m, v, a, b], values, pushed);
    }
}
