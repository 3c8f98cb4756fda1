//! The kernels compiled for AVX-512 (F, BW, DQ, VL).

use super::chunk::{KeyChunk, LINE_KEYS, locate_with, match_lines_with};
use super::scalar::{self, FtrlRate};
use std::arch::x86_64::{_mm512_cmpeq_epi64_mask, _mm512_loadu_si512, _mm512_set1_epi64};

/// Proof that the processor has AVX-512 (F, BW, DQ, VL): only [`Avx512::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The proof, where the processor has the instructions.
    pub(super) fn detect() -> Option<Avx512> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("bmi1");
        found.then_some(Avx512(()))
    }
}

macro_rules! instantiate {
    ($name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        impl Avx512 {
            pub(super) fn $name(self, $($argument: $kind),*) $(-> $result)? {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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

/// Compares eight keys of each line at once.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn match_two(line: &[u64; LINE_KEYS], next: &[u64; LINE_KEYS], key: u64) -> u32 {
    let wanted = _mm512_set1_epi64(key.cast_signed());
    // SAFETY: both are references to eight keys, as many as a register holds.
    let (line, next) = unsafe { (_mm512_loadu_si512(line.as_ptr().cast()), _mm512_loadu_si512(next.as_ptr().cast())) };
    let (line, next) = (_mm512_cmpeq_epi64_mask(line, wanted), _mm512_cmpeq_epi64_mask(next, wanted));
    u32::from(line) | u32::from(next) << LINE_KEYS
}

impl Avx512 {
    /// As the oracle, with one comparison for eight keys.
    pub(super) fn locate(self, chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1")]
        fn wide(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
            locate_with(chunk, keys, places, |line, next, key| match_two(line, next, key))
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(chunk, keys, places) }
    }

    /// As the oracle, with one comparison for eight keys.
    pub(super) fn match_lines(self, lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1")]
        fn wide(lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
            match_lines_with(lines, keys, lanes, |line, next, key| match_two(line, next, key));
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(lines, keys, lanes) }
    }
}
