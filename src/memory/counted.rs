//! Memory with a count of those who hold it: what is behind views and landings.
//!
//! The counters of blocks go back to the pool with their blocks and are used again, so that neither
//! sending nor giving a landing away allocates.

use super::buffer::Block;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use zerocopy::{Immutable, IntoBytes};

enum Owner {
    /// In the pool's list of shells.
    Nobody,
    Block(Block),
    Vector(Box<dyn Deref<Target = [u8]> + Send + Sync>),
}

/// A counter without memory: what a block is counted by. The pool keeps those of blocks that have returned.
pub(super) struct Shell(Arc<Owner>);

impl Shell {
    pub(super) fn new() -> Shell {
        Shell(Arc::new(Owner::Nobody))
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shell")
    }
}

/// One of those who hold some memory, or nothing. Cloning adds one.
#[derive(Clone)]
pub(super) struct Counted(Option<Arc<Owner>>);

struct Plain<T>(Vec<T>);

impl<T: IntoBytes + Immutable> Deref for Plain<T> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

struct Shared<T>(Arc<Vec<T>>);

impl<T: IntoBytes + Immutable> Deref for Shared<T> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Counted {
    /// The first holder of a block.
    pub(super) fn new(mut block: Block) -> Counted {
        let mut shell = block.take_shell();
        match Arc::get_mut(&mut shell.0) {
            Some(owner) => {
                *owner = Owner::Block(block);
                Counted(Some(shell.0))
            }
            None => Counted(Some(Arc::new(Owner::Block(block)))),
        }
    }

    /// The first holder of a vector.
    pub(super) fn vector<T: IntoBytes + Immutable + Send + Sync + 'static>(numbers: Vec<T>) -> Counted {
        Counted(Some(Arc::new(Owner::Vector(Box::new(Plain(numbers))))))
    }

    /// A holder of a vector that has others.
    pub(super) fn shared_vector<T: IntoBytes + Immutable + Send + Sync + 'static>(numbers: Arc<Vec<T>>) -> Counted {
        Counted(Some(Arc::new(Owner::Vector(Box::new(Shared(numbers))))))
    }

    /// No memory.
    pub(super) fn nothing() -> Counted {
        Counted(None)
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        match self.0.as_deref() {
            Some(Owner::Block(block)) => block,
            Some(Owner::Vector(vector)) => vector,
            Some(Owner::Nobody) | None => &[],
        }
    }

    /// The block, without a look at its bytes.
    pub(super) fn block(&self) -> Option<&Block> {
        match self.0.as_deref() {
            Some(Owner::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// The block, for who is its only holder.
    pub(super) fn block_mut(&mut self) -> Option<&mut Block> {
        match Arc::get_mut(self.0.as_mut()?) {
            Some(Owner::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// Whether there are other holders.
    pub(super) fn has_others(&self) -> bool {
        self.0.as_ref().is_some_and(|owner| Arc::strong_count(owner) > 1)
    }

    /// The block, for who is its only holder; otherwise, and without a block, itself.
    pub(super) fn into_block(mut self) -> Result<Block, Counted> {
        self.take_block().ok_or(self)
    }

    fn take_block(&mut self) -> Option<Block> {
        let mut owner = self.0.take()?;
        let taken = match Arc::get_mut(&mut owner) {
            Some(last @ Owner::Block(_)) => std::mem::replace(last, Owner::Nobody),
            _ => Owner::Nobody,
        };
        match taken {
            Owner::Block(mut block) => {
                block.put_shell(Shell(owner));
                Some(block)
            }
            _ => {
                self.0 = Some(owner);
                None
            }
        }
    }
}

impl Drop for Counted {
    /// The last holder gives the block and its shell back. Of two that go at the same moment neither may
    /// see that it is the last; then the shell is freed, and the block returns all the same.
    fn drop(&mut self) {
        drop(self.take_block());
    }
}
