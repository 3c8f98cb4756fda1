//! The oracle: what each kernel computes, element by element.

pub(super) use super::chunk::locate;
pub(super) use super::nonzero::{compact_nonzero, count_nonzero, expand_nonzero};
pub(super) use super::packing::{pack_keys, unpack_keys};
pub(super) use super::rounding::{
    decode_codes, exact_codes, largest_sum, round_to_halves, round_to_scale, upper_halves, widen_halves,
};

/// Parameters of FTRL-proximal, with the paper's names (McMahan et al., KDD 2013, algorithm 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FtrlRate {
    /// Learning rate.
    pub alpha: f32,
    /// Smooths the learning rate of rare features.
    pub beta: f32,
    /// Strength of the L1 norm.
    pub l1: f32,
    /// Strength of the L2 norm.
    pub l2: f32,
}

impl FtrlRate {
    /// New (z, n, w) after gradient `g`. Without branches, so that compilers can use wide registers.
    #[inline(always)]
    fn step(&self, z: f32, n: f32, w: f32, g: f32) -> (f32, f32, f32) {
        let squares = n + g * g;
        let root = squares.sqrt();
        let sigma = (root - n.sqrt()) / self.alpha;
        let linear = z + (g - sigma * w);
        let shrunk = linear - self.l1.copysign(linear);
        let moved = -shrunk / ((self.beta + root) / self.alpha + self.l2);
        let weight = if linear.abs() <= self.l1 { 0.0 } else { moved };
        if g == 0.0 { (z, n, w) } else { (linear, squares, weight) }
    }
}

/// One step for each element.
#[inline(always)]
pub(super) fn ftrl(rate: &FtrlRate, z: &mut [f32], n: &mut [f32], w: &mut [f32], g: &[f32]) {
    for (((z, n), w), &g) in z.iter_mut().zip(n).zip(w).zip(g) {
        (*z, *n, *w) = rate.step(*z, *n, *w, g);
    }
}

#[inline(always)]
pub(super) fn add_f32(target: &mut [f32], source: &[f32]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target += source);
}

#[inline(always)]
pub(super) fn add_f64(target: &mut [f64], source: &[f64]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target += source);
}

#[inline(always)]
pub(super) fn add_i64(target: &mut [i64], source: &[i64]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target = target.wrapping_add(*source));
}

#[inline(always)]
pub(super) fn add_u32(target: &mut [u32], source: &[u32]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target = target.wrapping_add(*source));
}

/// A number is not finite when all bits of its exponent are set.
#[inline(always)]
pub(super) fn all_finite_f32(numbers: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    let bad = |bad: u32, number: &f32| bad | u32::from(number.to_bits() & EXPONENT == EXPONENT);
    numbers.iter().fold(0, bad) == 0
}

#[inline(always)]
pub(super) fn all_finite_f64(numbers: &[f64]) -> bool {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    let bad = |bad: u64, number: &f64| bad | u64::from(number.to_bits() & EXPONENT == EXPONENT);
    numbers.iter().fold(0, bad) == 0
}

#[inline(always)]
pub(super) fn strictly_ascending(keys: &[u64]) -> bool {
    let next = keys.get(1..).unwrap_or(&[]);
    keys.iter().zip(next).fold(0, |bad, (key, next)| bad | u64::from(key >= next)) == 0
}
