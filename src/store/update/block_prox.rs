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

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: BlockProxStep<f64> = BlockProxStep { l1: 0.5, l2: 0.25 };

    /// What a step minimises.
    fn model(weight: f64, gradient: f64, curvature: f64, x: f64) -> f64 {
        let change = x - weight;
        let norms = STEP.l1 * x.abs() + STEP.l2 / 2.0 * x * x;
        gradient * change + curvature / 2.0 * change * change + norms
    }

    #[test]
    fn a_step_goes_to_the_minimum_inside_its_region() {
        for (weight, gradient, curvature) in
            [(0.0, 0.3, 1.0), (0.0, 2.0, 3.0), (0.4, 0.1, 2.0), (-0.2, -4.0, 1.5), (0.1, 40.0, 8.0), (1.5, -0.4, 0.1)]
        {
            for region in [0.125, 1.0, 64.0] {
                let (mut state, mut value) = ([region, 0.0], [weight, 9.0]);
                StateUpdate::apply(&STEP, &mut state, &mut value, &[gradient, curvature]);
                let grid = (0..=20_000).map(|place| weight + region * (f64::from(place) / 10_000.0 - 1.0));
                let best = grid.map(|x| model(weight, gradient, curvature, x)).fold(f64::INFINITY, f64::min);
                let found = model(weight, gradient, curvature, value[0]);
                assert!(found <= best + 1e-9, "{weight} {gradient} {curvature} {region}: {found} {best}");
                assert!((value[0] - weight).abs() <= region * (1.0 + 1e-12));
                assert_eq!(value[1], gradient);
                assert_eq!(state[0], (2.0 * (value[0] - weight).abs()).max(region / 2.0).max(f64::from(REGION_LEAST)));
            }
        }
    }

    #[test]
    fn a_curvature_of_zero_or_less_does_not_step() {
        let (mut state, mut values) = ([0.0; 6], [0.75, 1.0, -2.0, 3.0, 5.0, 6.0]);
        StateUpdate::apply(&STEP, &mut state, &mut values, &[7.0, 0.0, 3.0 * 0.125, -3.0, 0.0, -2.0]);
        assert_eq!(values, [0.75, 7.0, 0.125, 0.0, 0.0, 0.0]);
        assert_eq!(state, [0.0; 6]);
    }
}
