//! `bf16`: the upper halves of binary32 numbers. Loses nothing by itself: [`super::Rounding`] has
//! made the lower halves zero, and a block with one that is not is sent as it is.

use super::scratch::Target;
use super::{Filter, FilterError, Numbers};
use crate::memory::{Block, Pool};
use crate::simd;
use crate::wire::FilterFlags;
use std::sync::Arc;

const NAME: &str = "bf16";

#[derive(Debug)]
pub(super) struct Bf16;

impl Filter for Bf16 {
    type Shape = Numbers;

    fn flag(&self) -> FilterFlags {
        FilterFlags::BF16
    }

    fn encode(&mut self, pool: &Arc<Pool>, numbers: Numbers, plain: &[u8]) -> Option<Block> {
        let (values, _) = plain.as_chunks::<4>();
        if values.len() != numbers.count || values.is_empty() {
            return None;
        }
        let mut block = pool.block(values.len() * 2);
        let (halves, _) = block.as_chunks_mut::<2>();
        simd::upper_halves(values, halves).then_some(block)
    }

    fn decode(&mut self, numbers: Numbers, block: &[u8], plain: Target<'_>) -> Result<usize, FilterError> {
        let (halves, _) = block.as_chunks::<2>();
        if block.len() != numbers.count * 2 {
            return Err(FilterError::Length { filter: NAME, found: block.len(), expected: numbers.count * 2 });
        }
        let (values, _) = plain.bytes(NAME, numbers.bytes())?.as_chunks_mut::<4>();
        simd::widen_halves(halves, values);
        Ok(numbers.bytes())
    }
}
