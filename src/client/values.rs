//! Values in pool memory, and the types of numbers they may be.

use crate::memory::{Block, TxBuf};
use crate::wire::{Bf16, DType};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A type of number that a table may hold.
pub trait Number: FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Send + Sync + 'static {
    /// Its name on the wire.
    const DTYPE: DType;
}

impl Number for f32 {
    const DTYPE: DType = DType::F32;
}

impl Number for f64 {
    const DTYPE: DType = DType::F64;
}

impl Number for Bf16 {
    const DTYPE: DType = DType::Bf16;
}

impl Number for u32 {
    const DTYPE: DType = DType::U32;
}

impl Number for i64 {
    const DTYPE: DType = DType::I64;
}

/// Numbers in memory of the node's pool: the answer of a pull, or the source of a push without a copy.
#[derive(Debug)]
pub struct Values<T> {
    block: Block,
    number: PhantomData<T>,
}

impl<T: Number> Values<T> {
    pub(super) fn new(block: Block) -> Values<T> {
        Values { block, number: PhantomData }
    }
}

impl<T: Number> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.block.typed()
    }
}

impl<T: Number> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.block.typed_mut()
    }
}

/// Numbers on their way to a table of the same type, in memory that was given away for it.
#[derive(Debug)]
pub struct Source<T> {
    buffer: TxBuf,
    number: PhantomData<T>,
}

impl<T> Source<T> {
    pub(super) fn into_buffer(self) -> TxBuf {
        self.buffer
    }
}

impl<T: Number> From<Values<T>> for Source<T> {
    fn from(values: Values<T>) -> Source<T> {
        Source { buffer: values.block.freeze(), number: PhantomData }
    }
}

impl<T: Number> From<Vec<T>> for Source<T> {
    fn from(values: Vec<T>) -> Source<T> {
        Source { buffer: TxBuf::from_vec(values), number: PhantomData }
    }
}
