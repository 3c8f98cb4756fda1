//! The kernels compiled for AVX2.

use super::chunk::{KeyChunk, LINE_KEYS, locate_with, match_lines_with};
use super::scalar::{self, FtrlRate};
use std::arch::x86_64::{
    _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd, _mm256_set1_epi64x,
};

/// Proof that the processor has AVX2: only [`Avx2::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The proof, where the processor has the instructions.
    pub(super) fn detect() -> Option<Avx2> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Avx2(()))
    }
}

macro_rules! instantiate {
    ($name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        impl Avx2 {
            pub(super) fn $name(self, $($argument: $kind),*) $(-> $result)? {
                #[target_feature(enable = "avx2,bmi2,popcnt")]
                fn wide($($argument: $kind),*) $(-> $result)? {
                    scalar::$name($($argument),*)
                }
                // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
                unsafe { wide($($argument),*) }
            }
        }
    };
}

instantiate!(ftrl(rate: &FtrlRate, z: &mut [f32], n: &mut [f32], w: &mut [f32], g: &[f32]));
instantiate!(add_f32(target: &mut [f32], source: &[f32]));
instantiate!(add_f64(target: &mut [f64], source: &[f64]));
instantiate!(add_i64(target: &mut [i64], source: &[i64]));
instantiate!(add_u32(target: &mut [u32], source: &[u32]));
instantiate!(all_finite_f32(numbers: &[f32]) -> bool);
instantiate!(all_finite_f64(numbers: &[f64]) -> bool);
instantiate!(strictly_ascending(keys: &[u64]) -> bool);

/// Compares four keys at once.
#[target_feature(enable = "avx2")]
fn match_two(line: &[u64; LINE_KEYS], next: &[u64; LINE_KEYS], key: u64) -> u32 {
    let wanted = _mm256_set1_epi64x(key.cast_signed());
    let mut lanes = 0;
    for (line, shift) in [line, next].into_iter().zip([0, LINE_KEYS]) {
        let (low, high) = (line.as_ptr().cast(), line[LINE_KEYS / 2..].as_ptr().cast());
        // SAFETY: a line holds eight keys: four from its start and four from its middle, as many as a register holds.
        let (low, high) = unsafe { (_mm256_loadu_si256(low), _mm256_loadu_si256(high)) };
        let mask = |four| _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(four, wanted))).cast_unsigned();
        lanes |= (mask(low) | mask(high) << (LINE_KEYS / 2)) << shift;
    }
    lanes
}

impl Avx2 {
    /// As the oracle, with one comparison for four keys.
    pub(super) fn locate(self, chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
        #[target_feature(enable = "avx2,bmi1,bmi2")]
        fn wide(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
            locate_with(chunk, keys, places, |line, next, key| match_two(line, next, key))
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(chunk, keys, places) }
    }

    /// As the oracle, with one comparison for four keys.
    pub(super) fn match_lines(self, lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
        #[target_feature(enable = "avx2,bmi1,bmi2")]
        fn wide(lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
            match_lines_with(lines, keys, lanes, |line, next, key| match_two(line, next, key));
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(lines, keys, lanes) }
    }
}
