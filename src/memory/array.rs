//! A growable array of plain numbers in pool memory.

use super::buffer::Block;
use super::pool::Pool;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Like `Vec<T>` for plain numbers, but aligned and in pool memory that a fabric may register.
/// Growing takes the next class (twice the bytes) and copies.
pub struct Array<T> {
    block: Block,
    pool: Arc<Pool>,
    number: PhantomData<T>,
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> Array<T> {
    const NUMBER_BYTES: usize = std::mem::size_of::<T>();

    /// An empty array with room for `capacity` numbers.
    #[must_use]
    pub fn with_capacity(pool: &Arc<Pool>, capacity: usize) -> Array<T> {
        let mut block = pool.block(capacity * Self::NUMBER_BYTES);
        block.set_len(0);
        Array { block, pool: Arc::clone(pool), number: PhantomData }
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
        self.block.capacity() / Self::NUMBER_BYTES
    }

    /// Bytes of memory behind the array.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.block.capacity()
    }

    /// Makes the array `len` long; new numbers are `value`.
    pub fn resize(&mut self, len: usize, value: T) {
        let old = self.len();
        self.reserve_total(len);
        self.block.set_len(len * Self::NUMBER_BYTES);
        if len > old {
            self[old..].fill(value);
        }
    }

    /// Appends numbers.
    pub fn extend_from_slice(&mut self, numbers: &[T]) {
        let old = self.len();
        self.reserve_total(old + numbers.len());
        self.block.set_len((old + numbers.len()) * Self::NUMBER_BYTES);
        self[old..].copy_from_slice(numbers);
    }

    /// Appends one number.
    pub fn push(&mut self, number: T) {
        self.extend_from_slice(&[number]);
    }

    /// Makes room for `capacity` numbers in a block that is hardly larger.
    pub fn reserve_close(&mut self, capacity: usize) {
        if capacity > self.capacity() {
            self.move_to(self.pool.close_block(capacity * Self::NUMBER_BYTES));
        }
    }

    /// Shortens the array to `len` numbers; longer than it is changes nothing.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.block.set_len(len * Self::NUMBER_BYTES);
        }
    }

    fn reserve_total(&mut self, capacity: usize) {
        if capacity > self.capacity() {
            self.move_to(self.pool.block(capacity * Self::NUMBER_BYTES));
        }
    }

    fn move_to(&mut self, mut block: Block) {
        block.set_len(self.block.len());
        block.copy_from_slice(&self.block);
        self.block = block;
    }
}

impl<T: FromBytes + Immutable + KnownLayout> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.block.typed()
    }
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.block.typed_mut()
    }
}

impl<T: FromBytes + Immutable + KnownLayout + fmt::Debug> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
