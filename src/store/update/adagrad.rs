//! AdaGrad: one state number, the sum of squares. A zero push keeps every value under any state.

use super::{StateUpdate, is_positive};
use crate::simd::{self, AdagradRate, Float};
use crate::store::element::Element;
use crate::wire::Adagrad;

/// n.
pub(super) const NUMBERS: usize = 1;

pub(super) fn check(Adagrad { rate, epsilon }: Adagrad) -> Result<(), &'static str> {
    match is_positive(rate) && is_positive(epsilon) {
        true => Ok(()),
        false => Err("adagrad's rate and epsilon must be positive numbers"),
    }
}

impl<F: Float> From<Adagrad> for AdagradRate<F> {
    fn from(Adagrad { rate, epsilon }: Adagrad) -> AdagradRate<F> {
        AdagradRate { rate: rate.into(), epsilon: epsilon.into() }
    }
}

impl<S: Element + Float> StateUpdate<S> for AdagradRate<S> {
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]) {
        simd::adagrad(self, state, values, pushed);
    }
}
