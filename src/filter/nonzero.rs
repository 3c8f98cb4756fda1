//! `nonzero`: a bitmap of the numbers whose bits are not all zero, and those numbers. Loses nothing:
//! -0.0 and every NaN are numbers like others.
//!
//! Block: one bit for each number, in words of 64, lowest first; the numbers; then whatever followed
//! the numbers in the plain block.

use super::scratch::Target;
use super::{Filter, FilterError, Numbers, is_worth};
use crate::memory::{Block, Pool};
use crate::simd;
use crate::wire::FilterFlags;
use std::sync::Arc;
use zerocopy::FromBytes;

const NAME: &str = "nonzero";

#[derive(Debug)]
pub(super) struct Nonzero;

impl Nonzero {
    /// The most bytes of the block, where the plain one has at most `plain_max`.
    pub(super) fn bytes_max(numbers: Numbers, plain_max: usize) -> usize {
        bitmap_bytes(numbers.count) + plain_max
    }
}

fn bitmap_bytes(count: usize) -> usize {
    count.div_ceil(64) * 8
}

impl Filter for Nonzero {
    type Shape = Numbers;

    fn flag(&self) -> FilterFlags {
        FilterFlags::NONZERO
    }

    fn encode(&mut self, pool: &Arc<Pool>, numbers: Numbers, plain: &[u8]) -> Option<Block> {
        let (own, rest) = plain.split_at_checked(numbers.bytes())?;
        let kept = count(own, numbers.bytes_each) * numbers.bytes_each;
        let bitmap_bytes = bitmap_bytes(numbers.count);
        let len = bitmap_bytes + kept + rest.len();
        if !is_worth(len, plain.len()) {
            return None;
        }
        // A word of numbers may be written whole before it is known how many of them count.
        let mut block = pool.block(len.next_multiple_of(8) + simd::COMPACT_SLACK_BYTES);
        let (bitmap, target) = block.split_at_mut(bitmap_bytes);
        let bitmap = <[u64]>::mut_from_bytes(bitmap).ok()?;
        compact(own, numbers.bytes_each, bitmap, target);
        block[bitmap_bytes + kept..len].copy_from_slice(rest);
        block.set_len(len);
        Some(block)
    }

    fn decode(&mut self, numbers: Numbers, block: &[u8], plain: Target<'_>) -> Result<usize, FilterError> {
        let short = |expected| FilterError::Length { filter: NAME, found: block.len(), expected };
        let bitmap_bytes = bitmap_bytes(numbers.count);
        let (bitmap, packed) = block.split_at_checked(bitmap_bytes).ok_or(short(bitmap_bytes))?;
        let (words, _) = bitmap.as_chunks::<8>();
        let spare = words.len() * 64 - numbers.count;
        if let Some(&last) = words.last()
            && u64::from_le_bytes(last).leading_zeros() < spare as u32
        {
            return Err(FilterError::Damaged { filter: NAME, reason: "the bitmap has bits behind the last number" });
        }
        let kept = words.iter().map(|&word| u64::from_le_bytes(word).count_ones() as usize).sum::<usize>();
        let (packed, rest) = packed
            .split_at_checked(kept * numbers.bytes_each)
            .ok_or(short(bitmap_bytes + kept * numbers.bytes_each))?;
        let len = numbers.bytes() + rest.len();
        let target = plain.bytes(NAME, len)?;
        let (own, target_rest) = target.split_at_mut(numbers.bytes());
        expand(words, numbers.bytes_each, packed, own);
        target_rest.copy_from_slice(rest);
        Ok(len)
    }
}

/// Runs an expression for numbers of one, two, four or eight bytes.
macro_rules! for_size {
    ($bytes_each:expr, $size:ident => $run:expr) => {
        match $bytes_each {
            1 => {
                const $size: usize = 1;
                $run
            }
            2 => {
                const $size: usize = 2;
                $run
            }
            4 => {
                const $size: usize = 4;
                $run
            }
            _ => {
                const $size: usize = 8;
                $run
            }
        }
    };
}

fn count(numbers: &[u8], bytes_each: usize) -> usize {
    for_size!(bytes_each, N => simd::count_nonzero(numbers.as_chunks::<N>().0))
}

fn compact(numbers: &[u8], bytes_each: usize, bitmap: &mut [u64], target: &mut [u8]) {
    for_size!(bytes_each, N => {
        simd::compact_nonzero(numbers.as_chunks::<N>().0, bitmap, target.as_chunks_mut::<N>().0);
    });
}

fn expand(bitmap: &[[u8; 8]], bytes_each: usize, packed: &[u8], target: &mut [u8]) {
    for_size!(bytes_each, N => {
        simd::expand_nonzero(bitmap, packed.as_chunks::<N>().0, target.as_chunks_mut::<N>().0);
    });
}
