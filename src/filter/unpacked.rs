//! What decoding gives.

use crate::memory::Block;
use std::ops::Deref;
use zerocopy::FromBytes;

/// A plain block: what came, where no filter packed it, or a block of its own.
#[derive(Debug)]
pub enum Unpacked<'a> {
    /// What came.
    View(&'a [u8]),
    /// What was packed, plain again.
    Block(Block),
}

impl Unpacked<'_> {
    /// A key block as keys.
    #[must_use]
    pub fn keys(&self) -> &[u64] {
        // Decoding has seen to it that a key block is whole numbers on their borders, or empty.
        <[u64]>::ref_from_bytes(self).unwrap_or(&[])
    }

    /// The block, where there is one.
    #[must_use]
    pub fn into_block(self) -> Option<Block> {
        match self {
            Unpacked::View(_) => None,
            Unpacked::Block(block) => Some(block),
        }
    }
}

impl Deref for Unpacked<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Unpacked::View(bytes) => bytes,
            Unpacked::Block(block) => block,
        }
    }
}
