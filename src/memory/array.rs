//! A growable array of plain numbers in pool memory, which can be sent as it is.
//!
//! The array owns its block. [`Array::view`] gives counted views of it, and pins it: the next write then
//! goes to a copy, once, if any of the views is left (see `pinned`). Reading never asks whether it is pinned.

use super::buffer::{Block, TxBuf};
use super::copied::copy_counted;
use super::pinned::{Pinnable, View};
use super::pool::Pool;
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Like `Vec<T>` for plain numbers, but aligned and in pool memory that a fabric may register.
/// Growing takes the next class (twice the bytes) and copies.
pub struct Array<T> {
    /// The block's first byte, whoever holds the block.
    start: NonNull<T>,
    len: usize,
    /// Numbers that may be written where they lie: all, or none while the block is pinned.
    writable: usize,
    memory: Box<Memory>,
}

struct Memory {
    block: Pinnable<TxBuf>,
    capacity_bytes: usize,
    pool: Arc<Pool>,
}

// SAFETY: the array is the only one that writes its numbers, and reads them through its own pointer
// as long as it holds the block or a view of it; both may go to another thread.
unsafe impl<T: Send> Send for Array<T> {}
// SAFETY: a shared `Array` gives out only `&[T]`.
unsafe impl<T: Sync> Sync for Array<T> {}

impl View for TxBuf {
    type Memory = Block;

    fn freeze(block: Block) -> TxBuf {
        block.freeze()
    }

    fn into_memory(self) -> Result<Block, TxBuf> {
        self.into_block()
    }
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> Array<T> {
    const NUMBER_BYTES: usize = std::mem::size_of::<T>();

    /// An empty array with room for `capacity` numbers.
    #[must_use]
    pub fn with_capacity(pool: &Arc<Pool>, capacity: usize) -> Array<T> {
        let block = pool.block(capacity * Self::NUMBER_BYTES);
        let (start, capacity_bytes) = (first_number(&block), block.capacity());
        let memory = Memory { block: Pinnable::new(block), capacity_bytes, pool: Arc::clone(pool) };
        Array { start, len: 0, writable: 0, memory: Box::new(memory) }
    }

    /// `len` numbers, all `value`.
    #[must_use]
    pub fn filled(pool: &Arc<Pool>, len: usize, value: T) -> Array<T> {
        let mut array = Array::with_capacity(pool, len);
        array.resize(len, value);
        array
    }

    /// Numbers that fit without growing.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.capacity_bytes / Self::NUMBER_BYTES
    }

    /// Bytes of memory behind the array.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.memory.capacity_bytes
    }

    /// Makes the array `len` long; new numbers are `value`.
    pub fn resize(&mut self, len: usize, value: T) {
        let old = self.len;
        self.reserve_total(len);
        self.set_len(len);
        if len > old {
            self[old..].fill(value);
        }
    }

    /// Appends numbers.
    pub fn extend_from_slice(&mut self, numbers: &[T]) {
        let old = self.len;
        self.reserve_total(old + numbers.len());
        self.set_len(old + numbers.len());
        self[old..].copy_from_slice(numbers);
    }

    /// Appends one number.
    pub fn push(&mut self, number: T) {
        self.extend_from_slice(&[number]);
    }

    /// Makes room for `capacity` numbers in a block that is hardly larger.
    pub fn reserve_close(&mut self, capacity: usize) {
        if capacity > self.capacity() {
            self.move_to(self.memory.pool.close_block(capacity * Self::NUMBER_BYTES));
        }
    }

    /// Shortens the array to `len` numbers; longer than it is changes nothing.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.set_len(len);
        }
    }

    /// A counted view of some of the numbers, as they are now. As long as there is one, the next write
    /// to the array moves it to a copy, which is counted.
    ///
    /// # Panics
    /// When the range lies outside.
    #[must_use]
    pub fn view(&mut self, range: Range<usize>) -> TxBuf {
        if let Some(block) = self.memory.block.own() {
            block.set_len(self.len * Self::NUMBER_BYTES);
        }
        self.writable = 0;
        self.memory.block.view().slice(range.start * Self::NUMBER_BYTES..range.end * Self::NUMBER_BYTES)
    }

    /// One number, for writing: the check of the index is the check of the pin as well.
    ///
    /// # Panics
    /// When the index lies outside.
    #[inline]
    pub fn number_mut(&mut self, index: usize) -> &mut T {
        if index >= self.writable {
            self.unpin();
        }
        &mut self.in_place_mut()[index]
    }

    fn set_len(&mut self, len: usize) {
        self.unpin();
        if let Some(block) = self.memory.block.own() {
            block.set_len(len * Self::NUMBER_BYTES);
        }
        (self.len, self.writable) = (len, len);
    }

    fn reserve_total(&mut self, capacity: usize) {
        if capacity > self.capacity() {
            self.move_to(self.memory.pool.block(capacity * Self::NUMBER_BYTES));
        }
    }

    fn move_to(&mut self, mut block: Block) {
        block.set_len(self.len * Self::NUMBER_BYTES);
        block.copy_from_slice(self.as_bytes());
        (self.start, self.writable, self.memory.capacity_bytes) = (first_number(&block), self.len, block.capacity());
        self.memory.block = Pinnable::new(block);
    }
}

impl<T> Array<T> {
    /// Makes the memory the array's own again: by a copy, unless all views are gone.
    #[cold]
    #[inline(never)]
    fn unpin(&mut self) {
        let Memory { block, pool, capacity_bytes } = &mut *self.memory;
        let block = block.unpin(|view| {
            let mut block = pool.close_block(*capacity_bytes);
            block.set_len(view.len());
            copy_counted(&mut block, view);
            block
        });
        (self.start, self.writable, *capacity_bytes) = (first_number(block), self.len, block.capacity());
    }

    /// The numbers that may be written where they lie.
    #[inline]
    fn in_place_mut(&mut self) -> &mut [T] {
        // SAFETY: the first `writable` numbers are initialised memory of the block that this array
        // owns; there is no view of it, or `writable` were 0; `&mut self` makes this the only access.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.writable) }
    }
}

/// Where a block's numbers begin; blocks are aligned for every number.
fn first_number<T>(block: &Block) -> NonNull<T> {
    const { assert!(std::mem::align_of::<T>() <= super::ALIGNMENT) };
    block.start().cast()
}

impl<T> Deref for Array<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` numbers lie in the block, which this array owns or holds a view of;
        // any bytes are a `T`, as `with_capacity` demands. Nobody writes a pinned block, and of a block
        // of its own this array gives no `&mut` meanwhile.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Array<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        if self.writable != self.len {
            self.unpin();
        }
        self.in_place_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::take_copied_bytes;

    #[test]
    fn an_array_keeps_its_numbers_while_it_grows() {
        let pool = Pool::unbounded();
        let mut array = Array::with_capacity(&pool, 2);
        (0..1000u64).for_each(|number| array.push(number));
        assert!(array.iter().copied().eq(0..1000));
        array.truncate(10);
        array.resize(12, 5);
        assert_eq!(&array[8..], &[8, 9, 5, 5]);
    }

    #[test]
    fn a_write_moves_a_pinned_array_once_and_its_views_keep_the_old_numbers() {
        let pool = Pool::unbounded();
        let mut array = Array::filled(&pool, 1000, 1u32);
        let place = array.as_ptr();
        let _ = take_copied_bytes();
        let (first, second) = (array.view(0..10), array.view(990..1000));
        assert_eq!((array.as_ptr(), array[5]), (place, 1));
        *array.number_mut(5) = 2;
        array[995] = 3;
        assert_eq!(take_copied_bytes(), 4000);
        assert_eq!((first.typed::<u32>(), second.typed::<u32>()), (&[1; 10][..], &[1; 10][..]));
        assert_eq!((array[5], array[995], array.len()), (2, 3, 1000));
        drop((first, second));
        assert_eq!(pool.usage().used_bytes, array.capacity_bytes());
    }

    #[test]
    fn an_array_whose_views_are_gone_is_written_in_place() {
        let pool = Pool::unbounded();
        let mut array = Array::filled(&pool, 100, 7u64);
        let place = array.as_ptr();
        let _ = take_copied_bytes();
        for number in 0..3 {
            assert_eq!(array.view(0..100).typed::<u64>()[1..], [7; 99]);
            array[0] = number;
        }
        assert_eq!((array.as_ptr(), take_copied_bytes()), (place, 0));
    }

    #[test]
    fn a_pinned_array_grows_and_shrinks() {
        let pool = Pool::unbounded();
        let mut array = Array::filled(&pool, 100, 1u16);
        let view = array.view(50..100);
        array.extend_from_slice(&[2; 100]);
        let other = array.view(99..101);
        array.truncate(100);
        array.push(9);
        assert_eq!((view.typed::<u16>(), other.typed::<u16>()), (&[1; 50][..], &[1, 2][..]));
        assert_eq!((array.len(), array[99], array[100]), (101, 1, 9));
    }
}
