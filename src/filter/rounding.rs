//! What `fixed_point` and `bf16` do to the values of a push, once, before it is cut.
//!
//! It loses nothing for good: what rounding cuts off a number is kept by the sender, who adds it to
//! the same key's number in a later push. Only what is kept at the job's end is lost.

use super::FilterError;
use super::fixed_point::{RUN_NUMBERS, code_bits};
use crate::simd::{self, Scale};
use crate::wire::Quantize;

/// Rounds the values of a push.
#[derive(Debug, Clone, Copy)]
pub struct Rounding(Quantize);

impl Rounding {
    /// Rounding as declared.
    #[must_use]
    pub fn new(quantize: Quantize) -> Rounding {
        Rounding(quantize)
    }

    /// Adds `residual` to `values`, leaves in `values` what the receiver will decode and in
    /// `residual` what is missing. Half lies to the even neighbour. `fixed_point` takes one scale,
    /// a power of two, for each 256 numbers; `bf16` keeps eight significant bits of each.
    /// The same input gives the same bits on every machine. Both must be equally long.
    ///
    /// # Errors
    /// When a sum is NaN or infinite; then nothing is changed.
    pub fn round(self, values: &mut [f32], residual: &mut [f32]) -> Result<(), FilterError> {
        assert_eq!(values.len(), residual.len(), "each number has a remainder");
        let parts = values.chunks(RUN_NUMBERS).zip(residual.chunks(RUN_NUMBERS));
        if parts.map(|(values, residual)| simd::largest_sum(values, residual)).any(|largest| !largest.is_finite()) {
            let is_bad = |(value, rest): (&f32, &f32)| !(value + rest).is_finite();
            let index = values.iter().zip(residual.iter()).position(is_bad).unwrap_or(0);
            return Err(FilterError::NotFinite { index });
        }
        for (values, residual) in values.chunks_mut(RUN_NUMBERS).zip(residual.chunks_mut(RUN_NUMBERS)) {
            match self.0 {
                Quantize::FixedPoint(bits) => {
                    let (bits, largest) = (code_bits(bits), simd::largest_sum(values, residual));
                    simd::round_to_scale(Scale::holding(bits, largest), bits, values, residual);
                }
                Quantize::Bf16 => simd::round_to_halves(values, residual),
            }
        }
        Ok(())
    }
}
