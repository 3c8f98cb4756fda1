//! Memory of others as slabs of a pool: a program's vectors, and arrays that it lends for a while.
//!
//! Such a slab is one block. The block is out, with whoever sends from it or lets answers land in it, or
//! it is home; when it is home for good, the memory goes back to whoever it came from. A device registers
//! the slab like any other, on first use, and must let go of it before its memory may go:
//!
//! 1. Before it registers a slab it takes a [`SlabHold`] of it, by [`Pool::hold`], and keeps it beside the
//!    registration. The memory stays as long as there is a hold.
//! 2. In each of its rounds it asks [`Pool::retired`], which costs nothing while there is nothing. It takes
//!    the registrations of the slabs that this names away, then drops their holds. Nobody uses a retired slab
//!    any more: its block is home or waits for this alone, and no new landing or view is made of it.
//!
//! A slab's index is never used again, its address may be. Slabs that the pool mapped itself never retire.
//!
//! Invariant: memory is freed, or its lender's call returns, only when its block is home and no hold is left.

use super::buffer::Block;
use super::pool::{Pool, SlabInfo, State};
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// One piece of memory of others.
pub(super) struct Adopted {
    /// The vector itself; nothing for what is lent.
    vector: Option<Box<dyn Any + Send>>,
    is_home: bool,
    /// Whether it is to go as soon as nobody holds it.
    is_leaving: bool,
    /// Whether the vector was asked for while a device held it.
    is_asked_for: bool,
    holds: usize,
}

impl fmt::Debug for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adopted(home: {}, holds: {})", self.is_home, self.holds)
    }
}

/// Keeps the memory of a slab in existence, for a device that has registered it.
#[derive(Debug)]
pub struct SlabHold {
    slab: SlabInfo,
    pool: Arc<Pool>,
}

impl SlabHold {
    /// The slab.
    #[must_use]
    pub fn slab(&self) -> SlabInfo {
        self.slab
    }
}

impl Drop for SlabHold {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(adopted) = state.adopted.get_mut(&self.slab.start) {
            adopted.holds -= 1;
            state.let_go(self.slab.start);
        }
    }
}

impl Pool {
    /// Takes a vector over, as a block of its length. The memory is freed when the block has returned
    /// and no device holds it; [`reclaim`](Self::reclaim) gives the vector back. It is aligned as its
    /// numbers are, not to [`super::ALIGNMENT`].
    #[must_use]
    pub fn adopt<T: FromBytes + IntoBytes + Immutable + Send + 'static>(
        self: &Arc<Pool>,
        mut numbers: Vec<T>,
    ) -> Block {
        let bytes = size_of_val(numbers.as_slice());
        let start = NonNull::new(numbers.as_mut_ptr().cast::<u8>()).filter(|_| bytes > 0);
        let Some(start) = start else { return self.block(0) };
        let mut state = self.lock();
        state.add_place(start.as_ptr() as usize, bytes, true);
        state.used_bytes += bytes;
        let adopted = Adopted {
            vector: Some(Box::new(numbers)),
            is_home: false,
            is_leaving: true,
            is_asked_for: false,
            holds: 0,
        };
        state.adopted.insert(start.as_ptr() as usize, adopted);
        Block::new(start, bytes, bytes, Arc::clone(self))
    }

    /// Gives an adopted vector back, unless a device holds it; then it is retired, and the call is to be repeated.
    ///
    /// # Errors
    /// The block, while a device holds it, and for ever if it is no adopted vector of this type.
    pub fn reclaim<T: 'static>(self: &Arc<Pool>, block: Block) -> Result<Vec<T>, Block> {
        let mut state = self.lock();
        let Some(adopted) = state.adopted.get_mut(&(block.start().as_ptr() as usize)) else {
            drop(state);
            return if block.bytes() == 0 { Ok(Vec::new()) } else { Err(block) };
        };
        adopted.is_asked_for = true;
        let vector = adopted.vector.take_if(|vector| adopted.holds == 0 && vector.is::<Vec<T>>());
        let Some(Ok(vector)) = vector.map(|vector| vector.downcast::<Vec<T>>()) else {
            drop(state);
            return Err(block);
        };
        drop(state);
        // Its return forgets the slab.
        drop(block);
        Ok(*vector)
    }

    /// Keeps the memory around `address` in existence; nothing where it is not this pool's.
    #[must_use]
    pub fn hold(self: &Arc<Pool>, address: usize) -> Option<SlabHold> {
        let mut state = self.lock();
        let slab = state.slab_of(address)?;
        if let Some(adopted) = state.adopted.get_mut(&slab.start) {
            adopted.holds += 1;
        }
        drop(state);
        Some(SlabHold { slab, pool: Arc::clone(self) })
    }

    /// The slabs that devices hold and nobody uses any more: to be deregistered, then let go of.
    #[must_use]
    pub fn retired(&self) -> Vec<usize> {
        let state = self.lock();
        let is_retired = |adopted: &Adopted| adopted.is_home && adopted.is_leaving || adopted.is_asked_for;
        let retired = state.adopted.iter().filter(|(_, adopted)| adopted.holds > 0 && is_retired(adopted));
        retired.filter_map(|(start, _)| state.places.get(start)).map(|slab| slab.index).collect()
    }

    /// Makes a slab of memory that is lent. Its block is home.
    ///
    /// # Safety
    /// The memory is the pool's alone until [`is_free`](Self::is_free) has said so and `forget` was called.
    pub(super) unsafe fn borrow(&self, start: NonNull<u8>, bytes: usize) {
        let mut state = self.lock();
        state.add_place(start.as_ptr() as usize, bytes, true);
        let adopted = Adopted { vector: None, is_home: true, is_leaving: false, is_asked_for: false, holds: 0 };
        state.adopted.insert(start.as_ptr() as usize, adopted);
    }

    /// The block of lent memory, when it is home.
    pub(super) fn take_lent(self: &Arc<Pool>, start: usize) -> Option<Block> {
        let mut state = self.lock();
        let bytes = state.places.get(&start)?.bytes;
        let adopted = state.adopted.get_mut(&start).filter(|adopted| adopted.is_home && !adopted.is_leaving)?;
        adopted.is_home = false;
        state.used_bytes += bytes;
        let start = NonNull::new(std::ptr::with_exposed_provenance_mut(start))?;
        Some(Block::new(start, bytes, bytes, Arc::clone(self)))
    }

    /// Whether nobody uses or holds lent memory. From now on nobody begins to use it.
    pub(super) fn is_free(&self, start: usize) -> bool {
        let mut state = self.lock();
        state.adopted.get_mut(&start).is_none_or(|adopted| {
            adopted.is_leaving = true;
            adopted.is_home && adopted.holds == 0
        })
    }

    /// Forgets lent memory that is free.
    pub(super) fn forget(&self, start: usize) {
        self.lock().let_go(start);
    }
}

impl State {
    /// Takes note that a block is home; false where it is none of others' memory.
    pub(super) fn take_home(&mut self, start: NonNull<u8>) -> bool {
        let start = start.as_ptr() as usize;
        let Some(adopted) = self.adopted.get_mut(&start) else { return false };
        adopted.is_home = true;
        if adopted.vector.is_some() || adopted.holds == 0 {
            self.let_go(start);
        }
        true
    }

    /// Frees a vector, or forgets lent memory, that is leaving, home and held by nobody.
    fn let_go(&mut self, start: usize) {
        let may_go = |adopted: &Adopted| adopted.is_home && adopted.is_leaving && adopted.holds == 0;
        if self.adopted.get(&start).is_some_and(may_go) {
            self.adopted.remove(&start);
            self.places.remove(&start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_a_slab_of_its_own_and_comes_back() {
        let pool = Pool::unbounded();
        let numbers = vec![1.0f32, 2.0, 3.0];
        let place = numbers.as_ptr() as usize;
        let mut block = pool.adopt(numbers);
        let slab = pool.slab_of(place + 11).expect("the last byte");
        assert_eq!((slab.start, slab.bytes, pool.slab_of(place + 12)), (place, 12, None));
        block.typed_mut::<f32>()[1] = 5.0;
        let block = block.freeze().into_block().expect("the only view");
        let numbers: Vec<f32> = pool.reclaim(block).expect("no device holds it");
        assert_eq!((numbers.as_ptr() as usize, &numbers[..]), (place, &[1.0, 5.0, 3.0][..]));
        assert_eq!((pool.slab_of(place), pool.usage().used_bytes), (None, 0));
    }

    #[test]
    fn memory_goes_when_its_block_is_home_and_no_device_holds_it() {
        let pool = Pool::unbounded();
        let memory = Arc::new(());
        struct Watched(Arc<()>);
        let block = pool.adopt(vec![7u64; 4]);
        let start = block.as_ptr() as usize;
        pool.lock().adopted.get_mut(&start).expect("adopted").vector = Some(Box::new(Watched(Arc::clone(&memory))));
        let hold = pool.hold(start + 8).expect("a byte of it");
        assert!(pool.retired().is_empty());
        let view = block.freeze();
        drop(view);
        assert_eq!((pool.retired(), Arc::strong_count(&memory)), (vec![hold.slab().index], 2));
        drop(hold);
        assert_eq!((pool.retired(), Arc::strong_count(&memory), pool.slab_of(start)), (Vec::new(), 1, None));
        let _ = Watched(memory).0;
    }

    #[test]
    fn a_vector_that_a_device_holds_comes_back_when_it_was_let_go() {
        let pool = Pool::unbounded();
        let block = pool.adopt(vec![7u32; 4]);
        let hold = pool.hold(block.as_ptr() as usize).expect("a byte of it");
        let block = pool.reclaim::<u32>(block).expect_err("a device holds it");
        assert_eq!(pool.retired(), [hold.slab().index]);
        drop(hold);
        assert_eq!(pool.reclaim::<u32>(block).expect("nobody holds it"), [7; 4]);
        assert!(pool.reclaim::<u8>(pool.adopt(vec![1u32])).is_err());
        assert_eq!(pool.reclaim::<u8>(pool.adopt(Vec::<u8>::new())).expect("no bytes"), [0u8; 0]);
    }
}
