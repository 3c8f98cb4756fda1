//! Numbers in fewer bits: integers times a power of two, and upper halves of binary32.

/// Largest integer of each width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeBits {
    /// 127
    Eight,
    /// 32767
    Sixteen,
}

impl CodeBits {
    #[inline(always)]
    fn largest(self) -> f32 {
        match self {
            CodeBits::Eight => 127.0,
            CodeBits::Sixteen => 32767.0,
        }
    }

    /// Bits behind the first one of the largest integer.
    #[inline(always)]
    fn exponent(self) -> i32 {
        match self {
            CodeBits::Eight => 6,
            CodeBits::Sixteen => 14,
        }
    }
}

/// Adding and taking this away rounds a number of less than 2^22 to an integer, half to even.
const ROUNDING: f32 = 12_582_912.0;
const MANTISSA: u32 = 0x007f_ffff;

/// A power of two that is a normal number, as its inverse is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(i8);

impl Scale {
    const EXPONENT_MIN: i32 = -126;
    const EXPONENT_MAX: i32 = 121;

    /// The power of two with this exponent, where it can be a scale.
    #[must_use]
    pub fn new(exponent: i8) -> Option<Scale> {
        (Self::EXPONENT_MIN..=Self::EXPONENT_MAX).contains(&i32::from(exponent)).then_some(Scale(exponent))
    }

    /// Its exponent.
    #[must_use]
    pub fn exponent(self) -> i8 {
        self.0
    }

    /// The smallest scale whose largest integer reaches `largest`, a finite number that is not
    /// negative. At the end of f32's range it reaches almost.
    #[must_use]
    #[inline(always)]
    pub fn holding(bits: CodeBits, largest: f32) -> Scale {
        let code = bits.largest().to_bits() & MANTISSA;
        let above = i32::from(largest.to_bits() & MANTISSA > code);
        let exponent = (largest.to_bits() >> 23).cast_signed() - 127 - bits.exponent() + above;
        let most = Self::EXPONENT_MAX + CodeBits::Eight.exponent() - bits.exponent();
        Scale(exponent.clamp(Self::EXPONENT_MIN, most) as i8)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(((i32::from(self.0) + 127) as u32) << 23)
    }

    #[inline(always)]
    fn inverse(self) -> f32 {
        f32::from_bits(((127 - i32::from(self.0)) as u32) << 23)
    }
}

/// The largest absolute value among the sums; not finite where one is not.
#[inline(always)]
pub(super) fn largest_sum(values: &[f32], residual: &[f32]) -> f32 {
    let bits = |(value, rest): (&f32, &f32)| (value + rest).abs().to_bits();
    f32::from_bits(values.iter().zip(residual).map(bits).fold(0, u32::max))
}

/// Each sum to the nearest integer times `scale`; the difference to `residual`.
#[inline(always)]
pub(super) fn round_to_scale(scale: Scale, bits: CodeBits, values: &mut [f32], residual: &mut [f32]) {
    let (unit, inverse, largest) = (scale.value(), scale.inverse(), bits.largest());
    for (value, rest) in values.iter_mut().zip(residual) {
        let sum = *value + *rest;
        let code = (sum * inverse).clamp(-largest, largest) + ROUNDING - ROUNDING;
        // Adding zero makes -0.0 to 0.0.
        *value = code * unit + 0.0;
        *rest = sum - *value;
    }
}

/// Each sum to the nearest number whose lower half is zero; the difference to `residual`.
#[inline(always)]
pub(super) fn round_to_halves(values: &mut [f32], residual: &mut [f32]) {
    const LARGEST: u32 = 0x7f7f_0000;
    for (value, rest) in values.iter_mut().zip(residual) {
        let sum = *value + *rest;
        let bits = sum.abs().to_bits();
        let rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
        *value = f32::from_bits(rounded.min(LARGEST)).copysign(sum);
        *rest = sum - *value;
    }
}

/// Integers of `N` bytes for the longest beginning of at most 256 `values` that one scale holds
/// exactly; its length and the scale. Nothing where not even the first number has few enough bits.
#[inline(always)]
pub(super) fn exact_codes<const N: usize>(
    bits: CodeBits,
    values: &[[u8; 4]],
    codes: &mut [[u8; N]],
) -> Option<(usize, Scale)> {
    let whole = largest(values);
    let scale = Scale::holding(bits, whole);
    if whole.is_finite() && write_codes(scale, values, codes) {
        return Some((values.len(), scale));
    }
    let count = exact_count(bits, values);
    let scale = Scale::holding(bits, largest(&values[..count]));
    (count > 0 && write_codes(scale, &values[..count], codes)).then_some((count, scale))
}

#[inline(always)]
fn largest(values: &[[u8; 4]]) -> f32 {
    let bits = |&value: &[u8; 4]| u32::from_le_bytes(value) & 0x7fff_ffff;
    f32::from_bits(values.iter().map(bits).fold(0, u32::max))
}

/// Whether each value is its integer times the scale, bit for bit.
#[inline(always)]
fn write_codes<const N: usize>(scale: Scale, values: &[[u8; 4]], codes: &mut [[u8; N]]) -> bool {
    let (unit, inverse) = (scale.value(), scale.inverse());
    let mut lost = 0;
    for (&value, code) in values.iter().zip(codes) {
        let value = f32::from_le_bytes(value);
        let biased = value * inverse + ROUNDING;
        lost |= ((biased - ROUNDING) * unit + 0.0).to_bits() ^ value.to_bits();
        let integer = biased.to_bits().wrapping_sub(ROUNDING.to_bits()).to_le_bytes();
        *code = std::array::from_fn(|index| integer[index]);
    }
    lost == 0
}

/// How many of the first values one scale holds exactly.
#[inline(always)]
fn exact_count(bits: CodeBits, values: &[[u8; 4]]) -> usize {
    let (mut largest, mut lowest) = (0, i32::MAX);
    for (index, &value) in values.iter().enumerate() {
        let value = f32::from_le_bytes(value);
        largest = largest.max(value.abs().to_bits());
        lowest = lowest.min(lowest_bit(value));
        if i32::from(Scale::holding(bits, f32::from_bits(largest)).0) > lowest {
            return index;
        }
    }
    values.len()
}

/// Exponent of the lowest bit that is set; none for zero, and below every scale's for what has none.
#[inline(always)]
fn lowest_bit(value: f32) -> i32 {
    let bits = value.to_bits();
    if bits == 0 {
        return i32::MAX;
    }
    let exponent = (bits >> 23 & 0xff).cast_signed();
    if exponent == 0 || exponent == 0xff {
        return i32::MIN;
    }
    exponent - 150 + ((bits & MANTISSA) | (MANTISSA + 1)).trailing_zeros().cast_signed()
}

/// Each integer times the scale.
#[inline(always)]
pub(super) fn decode_codes<const N: usize>(scale: Scale, codes: &[[u8; N]], values: &mut [[u8; 4]]) {
    let unit = scale.value();
    for (code, value) in codes.iter().zip(values) {
        let mut integer = [0; 4];
        integer[4 - N..].copy_from_slice(code);
        let integer = i32::from_le_bytes(integer) >> (32 - 8 * N);
        *value = (integer as f32 * unit).to_le_bytes();
    }
}

/// The upper half of each value; whether all lower ones are zero.
#[inline(always)]
pub(super) fn upper_halves(values: &[[u8; 4]], halves: &mut [[u8; 2]]) -> bool {
    let mut lost = 0;
    for (&[low, lower, upper, high], half) in values.iter().zip(halves) {
        lost |= low | lower;
        *half = [upper, high];
    }
    lost == 0
}

/// Each half with a lower one of zero.
#[inline(always)]
pub(super) fn widen_halves(halves: &[[u8; 2]], values: &mut [[u8; 4]]) {
    for (&[upper, high], value) in halves.iter().zip(values) {
        *value = [0, 0, upper, high];
    }
}
