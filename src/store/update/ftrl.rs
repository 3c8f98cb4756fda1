//! FTRL-proximal: two state numbers, z and n; the value is the weight.

use super::{StateUpdate, is_positive, is_strength};
use crate::simd::{self, Float, FtrlRate};
use crate::store::element::Element;
use crate::wire::Ftrl;

/// z and n.
pub(super) const NUMBERS: usize = 2;

pub(super) fn check(Ftrl { alpha, beta, l1, l2 }: Ftrl) -> Result<(), &'static str> {
    match (is_positive(alpha), [beta, l1, l2].into_iter().all(is_strength)) {
        (false, _) => Err("ftrl's alpha must be a positive number"),
        (_, false) => Err("ftrl's beta, l1 and l2 must be zero or positive numbers"),
        _ => Ok(()),
    }
}

impl<F: Float> From<Ftrl> for FtrlRate<F> {
    fn from(Ftrl { alpha, beta, l1, l2 }: Ftrl) -> FtrlRate<F> {
        FtrlRate { alpha: alpha.into(), beta: beta.into(), l1: l1.into(), l2: l2.into() }
    }
}

impl<S: Element + Float> StateUpdate<S> for FtrlRate<S> {
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]) {
        let (z, n) = state.split_at_mut(values.len());
        simd::ftrl(self, [z, n], values, pushed);
    }

    fn warm_start(&self, values: &[S], state: &mut [S]) {
        let z = state.iter_mut();
        for (z, &w) in z.zip(values) {
            let linear = -(w * (self.beta / self.alpha + self.l2)) - self.l1.copysign(w);
            *z = if w == S::ZERO { S::ZERO } else { linear.saturate() };
        }
    }
}
