//! The oracle of the update functions: new value and state of one number, and the loops over many.
//! `wire::UpdateFunction` says what they compute and where they come from.
//!
//! Steps have no branches, so that compilers can use wide registers. Their results saturate at the
//! largest finite number: with finite input no value or state can become infinite or NaN.

use super::float::Float;

/// Parameters of gradient descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdRate<F> {
    /// Learning rate.
    pub rate: F,
}

impl<F: Float> SgdRate<F> {
    /// New value after gradient `g`.
    #[must_use]
    #[inline(always)]
    pub fn step(&self, w: F, g: F) -> F {
        (w - self.rate * g).saturate()
    }
}

/// Parameters of the proximal gradient step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProxRate<F> {
    /// Learning rate.
    pub rate: F,
    /// By how much the L1 norm moves values towards zero: rate * l1.
    pub threshold: F,
    /// What the squared L2 norm leaves of values: 1 / (1 + rate * l2).
    pub shrink: F,
}

impl<F: Float> ProxRate<F> {
    /// For these strengths of the norms.
    #[must_use]
    pub fn new(rate: F, l1: F, l2: F) -> ProxRate<F> {
        ProxRate { rate, threshold: rate * l1, shrink: F::ONE / (F::ONE + rate * l2) }
    }

    /// New value after gradient `g`.
    #[must_use]
    #[inline(always)]
    pub fn step(&self, w: F, g: F) -> F {
        let moved = (w - self.rate * g).saturate();
        let shrunk = (moved - self.threshold.copysign(moved)) * self.shrink;
        if moved.abs() <= self.threshold { F::ZERO } else { shrunk }
    }
}

/// Parameters of AdaGrad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdagradRate<F> {
    /// Learning rate.
    pub rate: F,
    /// Added to the divisor.
    pub epsilon: F,
}

impl<F: Float> AdagradRate<F> {
    /// New (n, w) after gradient `g`.
    #[inline(always)]
    fn step(&self, n: F, w: F, g: F) -> (F, F) {
        let squares = (n + g * g).saturate();
        (squares, (w - self.rate * g / (squares.sqrt() + self.epsilon)).saturate())
    }
}

/// Parameters of Adam, with the paper's names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamRate<F> {
    /// Learning rate.
    pub rate: F,
    /// Weight of the old mean of the gradients.
    pub beta1: F,
    /// Weight of the old mean of their squares.
    pub beta2: F,
    /// Added to the divisor.
    pub epsilon: F,
}

impl<F: Float> AdamRate<F> {
    /// New ([m, v, a, b], w) after gradient `g`.
    #[inline(always)]
    fn step(&self, [m, v, a, b]: [F; 4], w: F, g: F) -> ([F; 4], F) {
        let (new1, new2) = (F::ONE - self.beta1, F::ONE - self.beta2);
        let m = (self.beta1 * m + new1 * g).saturate();
        let v = (self.beta2 * v + new2 * g * g).saturate();
        let (a, b) = (self.beta1 * a + new1, self.beta2 * b + new2);
        let step = self.rate * (m / a) / ((v / b).sqrt() + self.epsilon);
        ([m, v, a.saturate(), b.saturate()], (w - step).saturate())
    }
}

/// Parameters of FTRL-proximal, with the paper's names (McMahan et al., KDD 2013, algorithm 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FtrlRate<F> {
    /// Learning rate.
    pub alpha: F,
    /// Smooths the learning rate of rare features.
    pub beta: F,
    /// Strength of the L1 norm.
    pub l1: F,
    /// Strength of the L2 norm.
    pub l2: F,
}

impl<F: Float> FtrlRate<F> {
    /// New (z, n, w) after gradient `g`.
    #[inline(always)]
    fn step(&self, z: F, n: F, w: F, g: F) -> (F, F, F) {
        let squares = (n + g * g).saturate();
        let root = squares.sqrt();
        let sigma = (root - n.sqrt()) / self.alpha;
        let linear = (z + (g - sigma * w)).saturate();
        let shrunk = linear - self.l1.copysign(linear);
        let moved = (-shrunk / ((self.beta + root) / self.alpha + self.l2)).saturate();
        let weight = if linear.abs() <= self.l1 { F::ZERO } else { moved };
        if g == F::ZERO { (z, n, w) } else { (linear, squares, weight) }
    }
}

#[inline(always)]
pub(super) fn sgd<F: Float>(rate: &SgdRate<F>, w: &mut [F], g: &[F]) {
    w.iter_mut().zip(g).for_each(|(w, &g)| *w = rate.step(*w, g));
}

#[inline(always)]
pub(super) fn prox<F: Float>(rate: &ProxRate<F>, w: &mut [F], g: &[F]) {
    w.iter_mut().zip(g).for_each(|(w, &g)| *w = rate.step(*w, g));
}

#[inline(always)]
pub(super) fn adagrad<F: Float>(rate: &AdagradRate<F>, n: &mut [F], w: &mut [F], g: &[F]) {
    for ((n, w), &g) in n.iter_mut().zip(w).zip(g) {
        (*n, *w) = rate.step(*n, *w, g);
    }
}

#[inline(always)]
pub(super) fn adam<F: Float>(rate: &AdamRate<F>, [m, v, a, b]: [&mut [F]; 4], w: &mut [F], g: &[F]) {
    for (((((m, v), a), b), w), &g) in m.iter_mut().zip(v).zip(a).zip(b).zip(w).zip(g) {
        ([*m, *v, *a, *b], *w) = rate.step([*m, *v, *a, *b], *w, g);
    }
}

#[inline(always)]
pub(super) fn ftrl<F: Float>(rate: &FtrlRate<F>, [z, n]: [&mut [F]; 2], w: &mut [F], g: &[F]) {
    for (((z, n), w), &g) in z.iter_mut().zip(n).zip(w).zip(g) {
        (*z, *n, *w) = rate.step(*z, *n, *w, g);
    }
}
