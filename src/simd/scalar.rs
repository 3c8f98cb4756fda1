//! The oracle: what each kernel computes, element by element.

pub(super) use super::bf16::{add_bf16, all_within_bf16, narrow_bf16, widen_bf16};
pub(super) use super::chunk::{locate, match_lines};
pub(super) use super::merge::merge_keys;
pub(super) use super::nonzero::{compact_nonzero, count_nonzero, expand_nonzero};
pub(super) use super::packing::{pack_keys, unpack_keys};
pub(super) use super::rounding::{
    decode_codes, exact_codes, largest_sum, round_to_halves, round_to_scale, upper_halves, widen_halves,
};
pub(super) use super::update::{adagrad, adam, ftrl, prox, sgd};

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

/// The bits of a positive number grow with it, up to those of infinity and NaN: the largest tells.
#[inline(always)]
pub(super) fn all_within_f32(numbers: &[f32], largest: f32) -> bool {
    numbers.iter().fold(0, |most, number| number.abs().to_bits().max(most)) <= largest.to_bits()
}

#[inline(always)]
pub(super) fn all_within_f64(numbers: &[f64], largest: f64) -> bool {
    // Without their sign the bits are the same number to both, and more sets can compare signed ones.
    let bits = |number: f64| number.abs().to_bits().cast_signed();
    numbers.iter().fold(0, |most, &number| bits(number).max(most)) <= bits(largest)
}

#[inline(always)]
pub(super) fn strictly_ascending(keys: &[u64]) -> bool {
    let next = keys.get(1..).unwrap_or(&[]);
    keys.iter().zip(next).fold(0, |bad, (key, next)| bad | u64::from(key >= next)) == 0
}
