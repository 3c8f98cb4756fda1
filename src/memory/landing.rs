//! Memory that answers to pulls land in: a peer's adapter writes them there, or they are copied there from a
//! ring, once.
//!
//! Invariant: as long as any [`Landing`] of a block is alive, somebody may still know its address and
//! key, and nobody gets a reference to the block's bytes. A transport keeps a clone for each request
//! whose address it gave away, until that request's reply has landed or the queue pair is destroyed.
//! An operation that is over before that leaves its block to those clones: it is in quarantine, counted
//! by its pool's usage, and returns with the last of them.

use super::buffer::Block;
use super::counted::Counted;
use super::shared_bytes::SharedBytes;
use std::fmt;
use std::ops::Range;

/// A block whose parts may be given away for peers to write.
pub struct LandingBlock {
    block: Counted,
}

impl LandingBlock {
    /// Takes a block of the landing pool over, with its length.
    #[must_use]
    pub fn new(block: Block) -> LandingBlock {
        LandingBlock { block: Counted::new(block) }
    }

    /// How many bytes may land.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.block.block().map_or(0, Block::bytes)
    }

    /// A handle to some of the bytes, to be given away.
    ///
    /// # Panics
    /// When the range lies outside.
    #[must_use]
    pub fn landing(&self, range: Range<usize>) -> Landing {
        assert!(range.start <= range.end && range.end <= self.bytes(), "landing {range:?} of {} bytes", self.bytes());
        Landing { block: self.block.clone(), range }
    }

    /// Whether somebody holds a [`Landing`], so that the bytes may still change.
    #[must_use]
    pub fn is_given_away(&self) -> bool {
        self.block.has_others()
    }

    /// The block, when nobody else can write it any more; otherwise the landing block again.
    ///
    /// # Errors
    /// Itself, while a [`Landing`] is alive.
    pub fn into_block(self) -> Result<Block, LandingBlock> {
        self.block.into_block().map_err(|block| LandingBlock { block })
    }

    /// The bytes, for writing, when nobody else can write them.
    #[must_use]
    pub fn sole_mut(&mut self) -> Option<&mut [u8]> {
        self.block.block_mut().map(|block| &mut **block)
    }

    /// Copies `source` to the bytes from `offset` on, counted.
    ///
    /// # Panics
    /// When there is no room.
    pub fn copy_in_counted(&mut self, offset: usize, source: &[u8]) {
        shared(&self.block).copy_in_counted(offset, source);
    }

    /// Copies the bytes from `offset` on to `target`, counted: for who cannot wait until the last landing is back.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn copy_out_counted(&self, offset: usize, target: &mut [u8]) {
        shared(&self.block).copy_out_counted(offset, target);
    }
}

fn shared(counted: &Counted) -> SharedBytes<'_> {
    let Some(block) = counted.block() else { unreachable!("a landing block is made of a block") };
    // SAFETY: references to the bytes come from `sole_mut` and `into_block` alone, which find no second
    // holder; `counted` is borrowed meanwhile.
    unsafe { block.as_shared() }
}

impl fmt::Debug for LandingBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LandingBlock({} bytes)", self.bytes())
    }
}

/// A counted handle to bytes of a [`LandingBlock`]. It says where they are and keeps them in
/// existence; it gives no reference to them. Cloning shares.
#[derive(Clone)]
pub struct Landing {
    block: Counted,
    range: Range<usize>,
}

impl Landing {
    /// Address of the first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        shared(&self.block).address() + self.range.start
    }

    /// How many bytes may land.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.range.len()
    }

    /// Whether nobody else holds the block, not even the one that gave it away.
    #[must_use]
    pub fn is_last(&self) -> bool {
        !self.block.has_others()
    }

    /// The bytes as who writes them from outside sees them.
    #[must_use]
    pub fn as_shared(&self) -> SharedBytes<'_> {
        shared(&self.block).part(self.range.start, self.range.len())
    }
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Landing({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Pool, take_copied_bytes};

    #[test]
    fn what_landed_is_read_when_the_last_landing_is_back() {
        let pool = Pool::unbounded();
        let block = LandingBlock::new(pool.block(16));
        let (first, second) = (block.landing(0..8), block.landing(8..16));
        assert_eq!(second.address(), first.address() + 8);
        first.as_shared().write(0, &7u64);
        second.as_shared().write(0, &9u64);
        let _ = take_copied_bytes();
        drop(first);
        let block = block.into_block().expect_err("the second one is out");
        drop(second);
        assert_eq!(block.into_block().expect("all are back").typed::<u64>(), &[7, 9]);
        assert_eq!(take_copied_bytes(), 0);
    }

    #[test]
    fn a_block_in_quarantine_stays_in_use_until_its_last_landing_is_back() {
        let pool = Pool::unbounded();
        let mut block = LandingBlock::new(pool.block(8));
        block.copy_in_counted(0, &5u64.to_le_bytes());
        let landing = block.landing(0..8);
        assert!(block.is_given_away() && block.sole_mut().is_none());
        let mut copy = [0; 8];
        block.copy_out_counted(0, &mut copy);
        drop(block);
        landing.as_shared().write(0, &6u64);
        assert_ne!(pool.usage().used_bytes, 0);
        drop(landing);
        assert_eq!((u64::from_le_bytes(copy), pool.usage().used_bytes), (5, 0));
    }
}
