//! The kernels compiled for AVX-512 (F, BW, DQ, VL).

use super::chunk::{CHUNK_UNITS, KeyChunk, NO_PLACE, UNIT_KEYS, quarter_of};
use super::rounding::{CodeBits, Scale};
use super::scalar::{self, FtrlRate};
use std::arch::x86_64::{_mm512_cmple_epu64_mask, _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_set1_epi64};

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
            && is_x86_feature_detected!("popcnt");
        found.then_some(Avx512(()))
    }
}

macro_rules! instantiate {
    ($name:ident$([$size:ident])?($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        impl Avx512 {
            pub(super) fn $name$(<const $size: usize>)?(self, $($argument: $kind),*) $(-> $result)? {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn wide$(<const $size: usize>)?($($argument: $kind),*) $(-> $result)? {
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

/// How many of eight keys `compare` says are below the wanted one.
macro_rules! count {
    ($compare:ident, $eight:expr, $wanted:expr) => {{
        let eight: &[u64; 8] = $eight;
        // SAFETY: `eight` is a reference to eight keys, as many as the register holds.
        let eight = unsafe { _mm512_loadu_si512(eight.as_ptr().cast()) };
        $compare(eight, $wanted).count_ones() as usize
    }};
}

impl Avx512 {
    /// As the oracle, with one comparison for eight keys.
    pub(super) fn locate(self, chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
        fn wide(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
            let mut missing = 0;
            for (place, &key) in places.iter_mut().zip(keys) {
                let wanted = _mm512_set1_epi64(key.cast_signed());
                let unit = count!(_mm512_cmple_epu64_mask, chunk.firsts, wanted).saturating_sub(1) % CHUNK_UNITS;
                let keys = chunk.units[unit];
                let quarter = quarter_of(keys, key);
                let (eights, eight) = (keys.as_chunks::<8>().0, quarter / 8);
                let below = count!(_mm512_cmplt_epu64_mask, &eights[eight], wanted)
                    + count!(_mm512_cmplt_epu64_mask, &eights[eight + 1], wanted);
                let lane = (quarter + below) % UNIT_KEYS;
                let known = keys[lane] == key;
                *place = if known { chunk.places[unit] + lane as u32 } else { NO_PLACE };
                missing += usize::from(!known);
            }
            missing
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(chunk, keys, places) }
    }
}
