//! `fixed_point`: numbers as integers of 8 or 16 bits times a power of two. Loses nothing by itself:
//! [`super::Rounding`] has made the numbers so, and a block whose numbers are not is sent as it is.
//!
//! Block: one integer for each number; then, for each run of up to 256 numbers, a byte with their
//! count less one and a byte with the exponent of their scale. The sender takes the smallest scale
//! that holds a run's largest number and checks that it holds the others exactly. A power of two
//! does so for every part of what was rounded to one scale: the smallest scale for the part's
//! largest number is not above the scale it was rounded to, so all of its numbers are multiples of
//! it. A run that does not fit, because it crosses a border of two scales, ends before that border.
//! So a push may be cut anywhere and as often as one likes.

use super::scratch::Target;
use super::{Filter, FilterError, Numbers};
use crate::memory::{Block, Pool};
use crate::simd::{self, CodeBits, Scale};
use crate::wire::{FilterFlags, FixedPointBits};
use std::sync::Arc;

const NAME: &str = "fixed_point";
/// Numbers that share a scale.
pub(super) const RUN_NUMBERS: usize = 256;
/// Bytes that describe a run.
const RUN_BYTES: usize = 2;

#[derive(Debug)]
pub(super) struct FixedPoint(pub(super) FixedPointBits);

impl FixedPoint {
    /// The most bytes of the block; every number could be a run of its own.
    pub(super) fn bytes_max(narrow: Numbers) -> usize {
        narrow.bytes() + narrow.count * RUN_BYTES
    }

    /// Integers from `values`, runs behind them; nothing where a number has too many bits, or the
    /// runs are so short that these are no rounded numbers.
    fn write<const N: usize>(&self, values: &[[u8; 4]], block: &mut [u8]) -> Option<usize> {
        let (codes, runs) = block.split_at_mut(values.len() * N);
        let (codes, _) = codes.as_chunks_mut::<N>();
        let (runs, _) = runs.as_chunks_mut::<RUN_BYTES>();
        let (mut at, mut run_count) = (0, 0);
        while at < values.len() {
            let end = values.len().min(at + RUN_NUMBERS);
            let (count, scale) = simd::exact_codes(code_bits(self.0), &values[at..end], &mut codes[at..end])?;
            *runs.get_mut(run_count)? = [(count - 1) as u8, scale.exponent().to_le_bytes()[0]];
            (at, run_count) = (at + count, run_count + 1);
        }
        Some(values.len() * N + run_count * RUN_BYTES)
    }

    fn read<const N: usize>(&self, count: usize, block: &[u8], plain: &mut [u8]) -> Result<(), FilterError> {
        let (codes, runs) = block.split_at(count * N);
        let (mut codes, _) = codes.as_chunks::<N>();
        let (mut values, _) = plain.as_chunks_mut::<4>();
        let (runs, odd) = runs.as_chunks::<RUN_BYTES>();
        let damaged = |reason| FilterError::Damaged { filter: NAME, reason };
        for &[less_one, exponent] in runs {
            let count = usize::from(less_one) + 1;
            let scale = Scale::new(i8::from_le_bytes([exponent])).ok_or(damaged("a scale is out of range"))?;
            let (own, rest) = codes.split_at_checked(count).ok_or(damaged("the runs hold more than the numbers"))?;
            let (target, others) = values.split_at_mut(count);
            simd::decode_codes(scale, own, target);
            (codes, values) = (rest, others);
        }
        if codes.is_empty() && odd.is_empty() { Ok(()) } else { Err(damaged("the runs hold less than the numbers")) }
    }
}

/// The same for the kernels.
pub(super) fn code_bits(bits: FixedPointBits) -> CodeBits {
    match bits {
        FixedPointBits::Eight => CodeBits::Eight,
        FixedPointBits::Sixteen => CodeBits::Sixteen,
    }
}

impl Filter for FixedPoint {
    type Shape = Numbers;

    fn flag(&self) -> FilterFlags {
        match self.0 {
            FixedPointBits::Eight => FilterFlags::FIXED_POINT_8,
            FixedPointBits::Sixteen => FilterFlags::FIXED_POINT_16,
        }
    }

    fn encode(&mut self, pool: &Arc<Pool>, numbers: Numbers, plain: &[u8]) -> Option<Block> {
        let (values, _) = plain.as_chunks::<4>();
        if values.len() != numbers.count || values.is_empty() {
            return None;
        }
        // Rounded numbers have a run for each 256, and at most as many again where these were cut.
        let runs_max = 2 * values.len().div_ceil(RUN_NUMBERS) + 1;
        let bytes_each = match self.0 {
            FixedPointBits::Eight => 1,
            FixedPointBits::Sixteen => 2,
        };
        let mut block = pool.block(values.len() * bytes_each + runs_max * RUN_BYTES);
        let len = match self.0 {
            FixedPointBits::Eight => self.write::<1>(values, &mut block),
            FixedPointBits::Sixteen => self.write::<2>(values, &mut block),
        };
        block.set_len(len?);
        (block.len() < plain.len()).then_some(block)
    }

    fn decode(&mut self, numbers: Numbers, block: &[u8], plain: Target<'_>) -> Result<usize, FilterError> {
        let (len, bytes_each) = match self.0 {
            FixedPointBits::Eight => (numbers.count, 1),
            FixedPointBits::Sixteen => (numbers.count * 2, 2),
        };
        if block.len() < len {
            return Err(FilterError::Length { filter: NAME, found: block.len(), expected: len });
        }
        let target = plain.bytes(NAME, numbers.bytes())?;
        match bytes_each {
            1 => self.read::<1>(numbers.count, block, target)?,
            _ => self.read::<2>(numbers.count, block, target)?,
        }
        Ok(numbers.bytes())
    }
}
