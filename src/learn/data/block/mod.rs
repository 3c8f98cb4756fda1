//! The binary block format: what later passes and other jobs read instead of text.
//!
//! A file is a 16-byte head (magic, version), blocks one behind the other, the index with one
//! entry a block, and a trailer with totals and the index's place. A writer needs no second pass
//! and goes back nowhere. All numbers are little-endian; index, trailer and each block have a CRC-32.
//!
//! A block holds up to 4,096 rows in learner's form: its distinct keys in order (the gaps between
//! them as varints), and for each feature the place of its key among them, 2 bytes where that is
//! enough. Labels are bits; values are absent where all are 1. So reading a minibatch parses
//! nothing and sorts nothing: places are ranked within the block's list, which fits the cache.
//!
//! Invariant: whatever the bytes, reading gives rows or an error that names the file and the block.

mod decode;
mod encode;
mod file;
mod layout;
mod writer;

pub(super) use decode::Block;
pub use file::BlockFile;
pub(super) use layout::MAGIC;
pub use writer::{BlockSummary, BlockWriter};

/// Rows of a block, except the last.
pub(super) const BLOCK_ROWS: usize = 4096;
/// Features of a block at most, so that damaged lengths cannot ask for all memory.
const BLOCK_FEATURES: usize = 1 << 28;

#[cfg(test)]
mod tests;
