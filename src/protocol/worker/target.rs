//! Where the answers to a pull go: a block of the worker, or a landing block that shards may write.
//!
//! Who owns what: the target belongs to its operation until the values are taken. While a transport
//! holds a landing of it, a shard may write there, early, late or twice; so nobody reads it before the
//! landed replies say that they are there, and a reply that brings its values along makes the target
//! move to a block that nobody else knows. The landing block that is left behind, or that is still
//! given away when the operation is over, stays in quarantine with the transport.

use crate::memory::{Block, Landing, LandingBlock, Pool, copy_counted};
use std::ops::Range;
use std::sync::Arc;

/// The values of a pull, as far as they have come.
#[derive(Debug, Default)]
pub(super) enum Target {
    /// None has come.
    #[default]
    Nothing,
    /// In memory that is the worker's alone.
    Block(Block),
    /// In memory that is or was given away.
    Landing(LandingBlock),
    /// Some answers may still land in the first; everything that has come is in the second.
    Moved(LandingBlock, Block),
}

impl Target {
    /// A part to be given away, where answers may land.
    pub(super) fn landing(&self, part: Range<usize>) -> Option<Landing> {
        match self {
            Target::Landing(landing) => Some(landing.landing(part)),
            _ => None,
        }
    }

    /// Takes note that the values of a part have landed. False where they cannot have.
    pub(super) fn on_landed(&mut self, part: Range<usize>) -> bool {
        match self {
            Target::Nothing | Target::Block(_) => false,
            Target::Landing(landing) => part.end <= landing.bytes(),
            Target::Moved(landing, block) if part.end <= landing.bytes() => {
                landing.copy_out_counted(part.start, &mut block[part]);
                true
            }
            Target::Moved(..) => false,
        }
    }

    /// All `bytes` bytes for writing values that came by a frame.
    pub(super) fn writable(&mut self, pool: &Arc<Pool>, bytes: usize) -> &mut [u8] {
        *self = match std::mem::take(self) {
            Target::Nothing => Target::Block(pool.block(bytes)),
            Target::Landing(landing) if landing.is_given_away() => {
                let block = copy_of(&landing, pool);
                Target::Moved(landing, block)
            }
            other => other,
        };
        match self {
            Target::Block(block) | Target::Moved(_, block) => block,
            // Replies may be on their way that tell of values which have landed here already.
            Target::Landing(landing) => landing.sole_mut().unwrap_or_default(),
            Target::Nothing => &mut [],
        }
    }

    /// All values are there: from now on nothing that is written from outside changes them.
    pub(super) fn settle(&mut self, pool: &Arc<Pool>) {
        if let Target::Landing(landing) = self
            && landing.is_given_away()
        {
            let _ = self.writable(pool, 0);
        }
    }

    /// Whether somebody may still write.
    pub(super) fn is_given_away(&self) -> bool {
        match self {
            Target::Landing(landing) | Target::Moved(landing, _) => landing.is_given_away(),
            Target::Nothing | Target::Block(_) => false,
        }
    }

    /// The settled values; what may still be written is left behind. None without bytes.
    pub(super) fn into_block(self) -> Option<Block> {
        match self {
            Target::Block(block) | Target::Moved(_, block) => Some(block),
            Target::Landing(landing) => landing.into_block().ok(),
            Target::Nothing => None,
        }
    }

    /// The settled values in the memory that was given for them, when nobody may write there any more.
    pub(super) fn into_given(self) -> Option<Block> {
        match self {
            Target::Moved(landing, block) => {
                let mut given = landing.into_block().ok()?;
                copy_counted(&mut given, &block);
                Some(given)
            }
            other => other.into_block(),
        }
    }
}

fn copy_of(landing: &LandingBlock, pool: &Arc<Pool>) -> Block {
    let mut block = pool.block(landing.bytes());
    landing.copy_out_counted(0, &mut block);
    block
}
