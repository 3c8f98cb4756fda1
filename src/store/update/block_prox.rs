//! A coordinate's step of block proximal gradient: the value is (weight, gradient), the push
//! (gradient, curvature). One state number a value number, of which the first holds the trust region:
//! zero stands for the first one, and the second stays zero.

use super::{StateUpdate, is_strength};
use crate::simd::Float;
use crate::store::element::Element;
use crate::wire::BlockProx;

/// The trust region.
pub(super) const NUMBERS: usize = 1;

/// Trust region of a weight that has not moved yet, and the least one.
const REGION_FIRST: f32 = 1.0;
const REGION_LEAST: f32 = 1e-3;

pub(super) fn check(BlockProx { l1, l2 }: BlockProx) -> Result<(), &'static str> {
    match is_strength(l1) && is_strength(l2) {
        true => Ok(()),
        false => Err("block prox's l1 and l2 must be zero or positive numbers"),
    }
}

/// The strengths, widened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BlockProxStep<F> {
    l1: F,
    l2: F,
}

impl<F: Float> From<BlockProx> for BlockProxStep<F> {
    fn from(BlockProx { l1, l2 }: BlockProx) -> BlockProxStep<F> {
        BlockProxStep { l1: l1.into(), l2: l2.into() }
    }
}

impl<F: Float> BlockProxStep<F> {
    /// New (weight, trust region) for a positive curvature `u`.
    fn step(&self, w: F, region: F, g: F, u: F) -> (F, F) {
        let target = u * w - g;
        let shrunk = (target - self.l1.copysign(target)) / (u + self.l2);
        let wanted = if target.abs() <= self.l1 { F::ZERO } else { shrunk.saturate() };
        let region = if region == F::ZERO { F::from(REGION_FIRST) } else { region };
        let size = (wanted - w).abs();
        let (moved, size) = if size <= region { (wanted, size) } else { (w + region.copysign(wanted - w), region) };
        let grown = larger(size + size, larger(region * F::from(0.5), F::from(REGION_LEAST)));
        (moved.saturate(), grown.saturate())
    }
}

fn larger<F: Float>(one: F, other: F) -> F {
    if one > other { one } else { other }
}

impl<S: Element + Float> StateUpdate<S> for BlockProxStep<S> {
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]) {
        let rows = values.chunks_exact_mut(2).zip(state.chunks_exact_mut(2)).zip(pushed.chunks_exact(2));
        for ((value, state), push) in rows {
            let (gradient, curvature) = (push[0], push[1]);
            if curvature < S::ZERO {
                (value[0], value[1]) = ((gradient / (S::ZERO - curvature)).saturate(), S::ZERO);
                continue;
            }
            value[1] = gradient;
            if curvature > S::ZERO {
                (value[0], state[0]) = self.step(value[0], state[0], gradient, curvature);
            }
        }
    }
}
