//! Kernels over plain arrays, each with the same bits on every instruction set.
//!
//! Every kernel is written once, element by element, in `scalar` or `chunk`: that is the oracle and
//! the definition of the order of operations. The instruction-set files compile the same functions
//! for wider registers, or, where a compiler does not find the way, hold one of their own. There is no fused multiply-add anywhere and no reduction whose
//! order could differ, so all of them agree bit for bit; property tests hold them to it.
//!
//! The instruction set is chosen once, at the first use: the widest that the processor has, or what
//! `PARASHARD_SIMD` names. A program calls [`check_environment`] first, so that a bad name is an
//! error message and not a silent choice.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod chunk;
mod level;
mod prefetch;
mod scalar;

pub use chunk::{CHUNK_UNITS, Hints, KeyChunk, LINE_KEYS, NO_LANE, NO_PLACE, UNIT_KEYS};
pub use level::{Level, SimdError, check_environment, level};
pub use prefetch::{prefetch, prefetch_far};
pub use scalar::FtrlRate;

use level::{InstructionSet, selected};

macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        $(#[$doc])*
        pub fn $name($($argument: $kind),*) $(-> $result)? {
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
    /// One FTRL-proximal step for each element: `z`, `n` and the weights `w` are changed in place by
    /// the gradients `g`. A zero gradient changes nothing. The shortest slice decides the length.
    ftrl(rate: &FtrlRate, z: &mut [f32], n: &mut [f32], w: &mut [f32], g: &[f32])
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
    /// Whether no number is infinite or NaN.
    all_finite_f32(numbers: &[f32]) -> bool
}
kernel! {
    /// Whether no number is infinite or NaN.
    all_finite_f64(numbers: &[f64]) -> bool
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
    /// Whether each key is greater than the one before it.
    strictly_ascending(keys: &[u64]) -> bool
}

#[cfg(test)]
mod tests;
