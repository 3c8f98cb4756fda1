//! The kernels compiled for AVX2.

use super::chunk::{KeyChunk, LINE_KEYS, locate_with, match_lines_with};
use super::float::Float;
use super::rounding::{CodeBits, Scale};
use super::scalar;
use super::update::{AdagradRate, AdamRate, FtrlRate, ProxRate, SgdRate};
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
    ($name:ident$([$size:ident])?$(<$number:ident>)?($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        impl Avx2 {
            pub(super) fn $name$(<const $size: usize>)?$(<$number: Float>)?(self, $($argument: $kind),*) $(-> $result)? {
                #[target_feature(enable = "avx2,bmi2,popcnt")]
                fn wide$(<const $size: usize>)?$(<$number: Float>)?($($argument: $kind),*) $(-> $result)? {
                    scalar::$name($($argument),*)
                }
                // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
                unsafe { wide($($argument),*) }
            }
        }
    };
}

instantiate!(sgd<F>(rate: &SgdRate<F>, w: &mut [F], g: &[F]));
instantiate!(prox<F>(rate: &ProxRate<F>, w: &mut [F], g: &[F]));
instantiate!(adagrad<F>(rate: &AdagradRate<F>, n: &mut [F], w: &mut [F], g: &[F]));
instantiate!(adam<F>(rate: &AdamRate<F>, state: [&mut [F]; 4], w: &mut [F], g: &[F]));
instantiate!(ftrl<F>(rate: &FtrlRate<F>, state: [&mut [F]; 2], w: &mut [F], g: &[F]));
instantiate!(widen_bf16(source: &[u16], target: &mut [f32]));
instantiate!(narrow_bf16(source: &[f32], target: &mut [u16]));
instantiate!(add_bf16(target: &mut [u16], source: &[f32]));
instantiate!(add_f32(target: &mut [f32], source: &[f32]));
instantiate!(add_f64(target: &mut [f64], source: &[f64]));
instantiate!(add_i64(target: &mut [i64], source: &[i64]));
instantiate!(add_u32(target: &mut [u32], source: &[u32]));
instantiate!(all_within_bf16(numbers: &[u16], largest: f32) -> bool);
instantiate!(all_within_f32(numbers: &[f32], largest: f32) -> bool);
instantiate!(all_within_f64(numbers: &[f64], largest: f64) -> bool);
instantiate!(merge_keys(own: &[u64], new: &[u64], keys: &mut [u64], sources: &mut [u32]) -> usize);
instantiate!(strictly_ascending(keys: &[u64]) -> bool);
instantiate!(pack_keys(base: u64, keys: &[u64], target: &mut [u8]) -> usize);
instantiate!(unpack_keys(base: u64, packed: &[u8], keys: &mut [u64]) -> Option<usize>);
instantiate!(count_nonzero[N](numbers: &[[u8; N]]) -> usize);
instantiate!(compact_nonzero[N](numbers: &[[u8; N]], bitmap: &mut [u64], target: &mut [[u8; N]]) -> usize);
instantiate!(expand_nonzero[N](bitmap: &[[u8; 8]], packed: &[[u8; N]], target: &mut [[u8; N]]) -> usize);
instantiate!(largest_sum(values: &[f32], residual: &[f32]) -> f32);
instantiate!(round_to_scale(scale: Scale, bits: CodeBits, values: &mut [f32], residual: &mut [f32]));
instantiate!(round_to_halves(values: &mut [f32], residual: &mut [f32]));
instantiate!(exact_codes[N](bits: CodeBits, values: &[[u8; 4]], codes: &mut [[u8; N]]) -> Option<(usize, Scale)>);
instantiate!(decode_codes[N](scale: Scale, codes: &[[u8; N]], values: &mut [[u8; 4]]));
instantiate!(upper_halves(values: &[[u8; 4]], halves: &mut [[u8; 2]]) -> bool);
instantiate!(widen_halves(halves: &[[u8; 2]], values: &mut [[u8; 4]]));

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
