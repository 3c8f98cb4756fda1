//! The oracle for bf16, the upper half of an f32, given as its bits.

/// The number as f32, exactly.
#[inline(always)]
fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bits of the nearest bf16, ties to even, of a number that is not NaN; what would round to an infinity
/// becomes the largest finite bf16.
#[must_use]
#[inline(always)]
pub fn nearest_bf16(number: f32) -> u16 {
    const LARGEST: u32 = 0x7f7f_0000;
    let bits = number.to_bits();
    let size = bits & 0x7fff_ffff;
    let rounded = size + 0x7fff + (size >> 16 & 1);
    let rounded = if rounded < LARGEST { rounded } else { LARGEST };
    ((bits & 0x8000_0000 | rounded) >> 16) as u16
}

#[inline(always)]
pub(super) fn widen_bf16(source: &[u16], target: &mut [f32]) {
    target.iter_mut().zip(source).for_each(|(target, &bits)| *target = widen(bits));
}

#[inline(always)]
pub(super) fn narrow_bf16(source: &[f32], target: &mut [u16]) {
    target.iter_mut().zip(source).for_each(|(target, &number)| *target = nearest_bf16(number));
}

#[inline(always)]
pub(super) fn add_bf16(target: &mut [u16], source: &[f32]) {
    target.iter_mut().zip(source).for_each(|(target, &number)| *target = nearest_bf16(widen(*target) + number));
}

#[inline(always)]
pub(super) fn all_within_bf16(numbers: &[u16], largest: f32) -> bool {
    let most = numbers.iter().fold(0, |most, &bits| (bits & 0x7fff).max(most));
    u32::from(most) << 16 <= largest.to_bits()
}
