//! `pack_keys`: ascending keys as packed differences. Loses nothing.
//!
//! Block: for each 128 keys (fewer at the end) one byte with the number of bits, 0 to 56 or 64, then
//! so many bits for each key, lowest first: how far it lies behind the smallest key that could stand
//! there, which is the range's begin for the first key and else the key before plus one. Each 128
//! begin at a whole byte, and zeros fill the block to a multiple of eight bytes.

use super::scratch::Target;
use super::{Filter, FilterError, is_worth};
use crate::keyspace::KeyRange;
use crate::memory::{Block, Pool};
use crate::simd;
use crate::wire::FilterFlags;
use std::sync::Arc;
use zerocopy::FromBytes;

const NAME: &str = "pack_keys";

/// What the header says of a key block.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyShape {
    pub(super) range: KeyRange,
    pub(super) count: usize,
}

#[derive(Debug)]
pub(super) struct PackKeys;

impl PackKeys {
    /// The most bytes that so many keys can take.
    pub(super) fn bytes_max(count: usize) -> usize {
        simd::packed_bytes_max(count).next_multiple_of(8)
    }
}

impl Filter for PackKeys {
    type Shape = KeyShape;

    fn flag(&self) -> FilterFlags {
        FilterFlags::PACKED_KEYS
    }

    fn encode(&mut self, pool: &Arc<Pool>, shape: KeyShape, plain: &[u8]) -> Option<Block> {
        let keys = <[u64]>::ref_from_bytes(plain).ok()?;
        let mut block = pool.block(Self::bytes_max(keys.len()));
        let len = simd::pack_keys(shape.range.begin, keys, &mut block);
        let end = len.next_multiple_of(8);
        if !is_worth(end, plain.len()) {
            return None;
        }
        block[len..end].fill(0);
        block.set_len(end);
        Some(block)
    }

    fn decode(&mut self, shape: KeyShape, block: &[u8], plain: Target<'_>) -> Result<usize, FilterError> {
        let KeyShape { range, count } = shape;
        let keys = plain.words(NAME, count)?;
        let damaged =
            FilterError::Damaged { filter: NAME, reason: "the block holds fewer keys, or they do not ascend" };
        let len = simd::unpack_keys(range.begin, block, keys).ok_or(damaged)?;
        if len.next_multiple_of(8) != block.len() {
            return Err(FilterError::Length { filter: NAME, found: block.len(), expected: len.next_multiple_of(8) });
        }
        // They ascend from the range's begin.
        match keys.last() {
            Some(&key) if key >= range.end => Err(FilterError::Keys { key, range }),
            _ => Ok(count * 8),
        }
    }
}
