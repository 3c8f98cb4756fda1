//! Exponentials without branches, so that compilers can use wide registers; the same bits everywhere.

/// Added and taken off again, it rounds a number of at most 2^22 by size to a whole one.
const ROUND_F32: f32 = 12_582_912.0;
/// As [`ROUND_F32`], for at most 2^51.
const ROUND_F64: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts, of which a small multiple of the first is exact.
const LN2_F32: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
const LN2_F64: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];

/// `exp(x)` to about 1e-7 of itself; `x` is held within 87 of zero.
#[inline(always)]
pub(super) fn exp_f32(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let power = (x * std::f32::consts::LOG2_E + ROUND_F32) - ROUND_F32;
    let rest = (x - power * LN2_F32[0]) - power * LN2_F32[1];
    // The minimax polynomial of Cephes' expf (S. Moshier).
    let mut sum = 1.987_569_1e-4f32;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum * rest + coefficient;
    }
    let fraction = sum * (rest * rest) + rest + 1.0;
    fraction * f32::from_bits(((power as i32 + 127) as u32) << 23)
}

/// `exp(x)` to about 1e-15 of itself; `x` is held within 700 of zero.
#[inline(always)]
pub(super) fn exp_f64(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let power = (x * std::f64::consts::LOG2_E + ROUND_F64) - ROUND_F64;
    let rest = (x - power * LN2_F64[0]) - power * LN2_F64[1];
    // Taylor's series: the next term is below 4e-18, as `rest` is at most ln 2 / 2.
    let mut sum = 1.0 / 6_227_020_800.0;
    for factorial in
        [479_001_600.0, 39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0]
    {
        sum = sum * rest + 1.0 / factorial;
    }
    sum * f64::from_bits(((power as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_agree_with_the_library() {
        for step in -7000..=7000 {
            let x = f64::from(step) * 0.0123;
            assert!((exp_f64(x) / x.exp() - 1.0).abs() < 1e-14, "{x}");
            let narrow = x as f32;
            assert!((f64::from(exp_f32(narrow)) / f64::from(narrow).exp() - 1.0).abs() < 3e-7, "{x}");
        }
    }
}
