//! `snappy`: a block compressed by the Snappy format. Loses nothing.
//!
//! Block: the compressed bytes, zeros up to the last byte of a multiple of eight, and in that byte
//! the number of bytes that do not belong to them (1 to 8).

use super::scratch::Target;
use super::{Filter, FilterError, is_worth};
use crate::memory::{Block, Pool};
use crate::wire::FilterFlags;
use std::sync::Arc;

const NAME: &str = "snappy";
/// What is compressed to find out whether the rest would shrink.
const SAMPLE_BYTES: usize = 4096;

/// The most bytes that the plain block may have; counts for decoding alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct BytesMax(pub(super) usize);

/// A compressor with its tables.
#[derive(Debug)]
pub(super) struct Snappy {
    flag: FilterFlags,
    encoder: snap::raw::Encoder,
}

impl Snappy {
    pub(super) fn new(flag: FilterFlags) -> Snappy {
        Snappy { flag, encoder: snap::raw::Encoder::new() }
    }
}

impl Filter for Snappy {
    type Shape = BytesMax;

    fn flag(&self) -> FilterFlags {
        self.flag
    }

    fn encode(&mut self, pool: &Arc<Pool>, _: BytesMax, plain: &[u8]) -> Option<Block> {
        let mut block = pool.block(snap::raw::max_compress_len(plain.len()).max(8) + 8);
        if plain.len() > 2 * SAMPLE_BYTES {
            let middle = (plain.len() - SAMPLE_BYTES) / 2;
            let len = self.encoder.compress(&plain[middle..middle + SAMPLE_BYTES], &mut block).ok()?;
            if !is_worth(len, SAMPLE_BYTES) {
                return None;
            }
        }
        let len = self.encoder.compress(plain, &mut block).ok()?;
        let end = (len + 1).next_multiple_of(8);
        if !is_worth(end, plain.len()) {
            return None;
        }
        block[len..end].fill(0);
        block[end - 1] = (end - len) as u8;
        block.set_len(end);
        Some(block)
    }

    fn decode(&mut self, BytesMax(most): BytesMax, block: &[u8], plain: Target<'_>) -> Result<usize, FilterError> {
        let damaged = |reason| FilterError::Damaged { filter: NAME, reason };
        let padding = usize::from(*block.last().ok_or(damaged("the block is empty"))?);
        if !(1..=8).contains(&padding) || !block.len().is_multiple_of(8) {
            return Err(damaged("the block does not end as it should"));
        }
        let compressed = &block[..block.len() - padding];
        let len = snap::raw::decompress_len(compressed).map_err(|_| damaged("the length is not readable"))?;
        if len > most {
            return Err(FilterError::Length { filter: NAME, found: len, expected: most });
        }
        let written = snap::raw::Decoder::new().decompress(compressed, plain.bytes(NAME, len)?);
        written.map_err(|_| damaged("the bytes do not decompress"))
    }
}
