//! Kernels over plain arrays, each with the same bits on every instruction set.
//!
//! Every kernel is written once, element by element, in `scalar`, `update`, `bf16`, `chunk`, `merge`,
//! `packing`, `nonzero` or `rounding`: that is the oracle and the definition of the order of operations. The
//! instruction-set files compile the same functions for wider registers, or, where a compiler does not
//! find the way, hold one of their own. There is no fused multiply-add anywhere and no reduction whose
//! order could differ, so all of them agree bit for bit; property tests hold them to it.
//!
//! The instruction set is chosen once, at the first use: the widest that the processor has, or what
//! `PARASHARD_SIMD` names. A program calls [`check_environment`] first, so that a bad name is an
//! error message and not a silent choice.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bf16;
mod chunk;
mod float;
mod level;
mod merge;
mod nonzero;
mod packing;
mod prefetch;
mod rounding;
mod scalar;
mod update;

pub use bf16::nearest_bf16;
pub use chunk::{CHUNK_UNITS, Hints, KeyChunk, LINE_KEYS, NO_LANE, NO_PLACE, UNIT_KEYS};
pub use float::Float;
pub use level::{Level, SimdError, check_environment, level};
pub use nonzero::COMPACT_SLACK_BYTES;
pub use packing::packed_bytes_max;
pub use prefetch::{prefetch, prefetch_far};
pub use rounding::{CodeBits, Scale};
pub use update::{AdagradRate, AdamRate, FtrlRate, ProxRate, SgdRate};

use level::{InstructionSet, selected};

macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident$([$size:ident])?$(<$number:ident>)?($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        $(#[$doc])*
        pub fn $name$(<const $size: usize>)?$(<$number: Float>)?($($argument: $kind),*) $(-> $result)? {
            match selected() {
                InstructionSet::Scalar => scalar::$name($($argument),*),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2(set) => set.$name($($argument),*),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512(set) => set.$name($($argument),*),
            }
        }
    };
}

kernel! {
    /// One step of gradient descent for each element: the values `w` are changed in place by the
    /// gradients `g`. Here and below, the shortest slice decides the length.
    sgd<F>(rate: &SgdRate<F>, w: &mut [F], g: &[F])
}
kernel! {
    /// One proximal gradient step for each element: the values `w` are changed in place by the gradients `g`.
    prox<F>(rate: &ProxRate<F>, w: &mut [F], g: &[F])
}
kernel! {
    /// One AdaGrad step for each element: the sums of squares `n` and the values `w` are changed in
    /// place by the gradients `g`.
    adagrad<F>(rate: &AdagradRate<F>, n: &mut [F], w: &mut [F], g: &[F])
}
kernel! {
    /// One Adam step for each element: `state` (m, v and the sums of their weights) and the values
    /// `w` are changed in place by the gradients `g`.
    adam<F>(rate: &AdamRate<F>, state: [&mut [F]; 4], w: &mut [F], g: &[F])
}
kernel! {
    /// One FTRL-proximal step for each element: `state` (z, n) and the weights `w` are changed in
    /// place by the gradients `g`. A zero gradient changes nothing.
    ftrl<F>(rate: &FtrlRate<F>, state: [&mut [F]; 2], w: &mut [F], g: &[F])
}
kernel! {
    /// `target = source`, element by element, from the bits of bf16.
    widen_bf16(source: &[u16], target: &mut [f32])
}
kernel! {
    /// `target = source`, element by element, to the bits of the nearest bf16, ties to even. Numbers
    /// are not NaN; what would round to an infinity becomes the largest finite bf16.
    narrow_bf16(source: &[f32], target: &mut [u16])
}
kernel! {
    /// `target += source`, element by element: added in f32, rounded as [`narrow_bf16`] does.
    add_bf16(target: &mut [u16], source: &[f32])
}
kernel! {
    /// `target += source`, element by element.
    add_f32(target: &mut [f32], source: &[f32])
}
kernel! {
    /// `target += source`, element by element.
    add_f64(target: &mut [f64], source: &[f64])
}
kernel! {
    /// `target += source`, element by element; wraps.
    add_i64(target: &mut [i64], source: &[i64])
}
kernel! {
    /// `target += source`, element by element; wraps.
    add_u32(target: &mut [u32], source: &[u32])
}
kernel! {
    /// Whether no number, given as the bits of bf16, is NaN or beyond `largest` in size.
    all_within_bf16(numbers: &[u16], largest: f32) -> bool
}
kernel! {
    /// Whether no number is NaN or beyond `largest` in size.
    all_within_f32(numbers: &[f32], largest: f32) -> bool
}
kernel! {
    /// Whether no number is NaN or beyond `largest` in size.
    all_within_f64(numbers: &[f64], largest: f64) -> bool
}
kernel! {
    /// The place of each key in a chunk of an ordered array, [`NO_PLACE`] for those that are not
    /// there; gives the number of these. `u64::MAX` is no key.
    locate(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize
}
kernel! {
    /// For each key the lane of its two lines that holds it, the second line's behind the first's;
    /// [`NO_LANE`] for none.
    match_lines(lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8])
}
kernel! {
    /// Fills `keys` with the smallest of two ascending runs without a common key, and `sources` with
    /// each one's place in `own`, [`NO_PLACE`] for those of `new`; gives how many are from `own`. The
    /// runs together have at least as many.
    merge_keys(own: &[u64], new: &[u64], keys: &mut [u64], sources: &mut [u32]) -> usize
}
kernel! {
    /// Whether each key is greater than the one before it.
    strictly_ascending(keys: &[u64]) -> bool
}
kernel! {
    /// Packs ascending `keys` that lie at or behind `base`; gives the bytes that hold them. `target`
    /// has at least [`packed_bytes_max`] bytes. The format is described in `packing`.
    pack_keys(base: u64, keys: &[u64], target: &mut [u8]) -> usize
}
kernel! {
    /// Fills `keys` from what `pack_keys` made and gives the bytes that it read; nothing where there
    /// are too few, a width is impossible, or the keys do not ascend strictly from `base`.
    unpack_keys(base: u64, packed: &[u8], keys: &mut [u64]) -> Option<usize>
}
kernel! {
    /// How many numbers have a bit that is set.
    count_nonzero[N](numbers: &[[u8; N]]) -> usize
}
kernel! {
    /// A bit in `bitmap` for each number, and in `target` the numbers that have a bit set; gives how
    /// many. `target` has room for these and [`COMPACT_SLACK_BYTES`] more.
    compact_nonzero[N](numbers: &[[u8; N]], bitmap: &mut [u64], target: &mut [[u8; N]]) -> usize
}
kernel! {
    /// Puts `packed` where `bitmap` has bits and zeros elsewhere; gives how many it used.
    /// `packed` has one for each bit, and no bit lies behind the end of `target`.
    expand_nonzero[N](bitmap: &[[u8; 8]], packed: &[[u8; N]], target: &mut [[u8; N]]) -> usize
}
kernel! {
    /// The largest absolute value of `values + residual`; not finite where one of the sums is not.
    largest_sum(values: &[f32], residual: &[f32]) -> f32
}
kernel! {
    /// Each `values + residual` to the nearest integer (half to even) times `scale`, in `values`; the
    /// difference in `residual`. Beyond the largest integer, that one. The sums must be finite.
    round_to_scale(scale: Scale, bits: CodeBits, values: &mut [f32], residual: &mut [f32])
}
kernel! {
    /// Each `values + residual` to the nearest number (half to even) whose lower 16 bits are zero, in
    /// `values`; the difference in `residual`. The sums must be finite, and so are the results.
    round_to_halves(values: &mut [f32], residual: &mut [f32])
}
kernel! {
    /// Integers of `N` bytes for the longest beginning of `values` (little-endian f32) that one scale
    /// holds exactly; its length and the scale. Nothing where the first number has too many bits.
    exact_codes[N](bits: CodeBits, values: &[[u8; 4]], codes: &mut [[u8; N]]) -> Option<(usize, Scale)>
}
kernel! {
    /// Each integer times the scale, as little-endian f32.
    decode_codes[N](scale: Scale, codes: &[[u8; N]], values: &mut [[u8; 4]])
}
kernel! {
    /// The upper half of each little-endian f32; whether all lower ones are zero.
    upper_halves(values: &[[u8; 4]], halves: &mut [[u8; 2]]) -> bool
}
kernel! {
    /// Each upper half as a little-endian f32 whose lower half is zero.
    widen_halves(halves: &[[u8; 2]], values: &mut [[u8; 4]])
}

#[cfg(test)]
mod tests;
