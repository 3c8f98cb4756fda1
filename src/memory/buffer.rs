//! `Block`, `TxBuf`, `RxBuf`: who owns which bytes.

use super::counted::{Counted, Shell};
use super::pool::Pool;
use super::shared_bytes::SharedBytes;
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Aligned memory with one owner, for writing. Returns to its pool on drop.
pub struct Block {
    start: NonNull<u8>,
    capacity: usize,
    len: usize,
    pool: Arc<Pool>,
    /// Goes back to the pool together with the block.
    shell: Option<Shell>,
}

// SAFETY: a `Block` is the only owner of its bytes; the pool behind it is shared through a lock.
unsafe impl Send for Block {}
// SAFETY: a shared `Block` gives out only `&[u8]`.
unsafe impl Sync for Block {}

impl Block {
    pub(super) fn new(start: NonNull<u8>, capacity: usize, len: usize, pool: Arc<Pool>) -> Block {
        debug_assert!(len <= capacity);
        Block { start, capacity, len, pool, shell: None }
    }

    /// What the block was counted by before, if it was.
    pub(super) fn take_shell(&mut self) -> Shell {
        self.shell.take().unwrap_or_else(|| self.pool.take_shell())
    }

    /// Takes the counter along that goes back to the pool together with the block.
    pub(super) fn put_shell(&mut self, shell: Shell) {
        self.shell = Some(shell);
    }

    /// Where the bytes begin.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length, without a look at the bytes.
    pub(super) fn bytes(&self) -> usize {
        self.len
    }

    /// The bytes as memory that others may write.
    ///
    /// # Safety
    /// Nobody makes a reference to the bytes as long as the answer is in use.
    pub(super) unsafe fn as_shared(&self) -> SharedBytes<'_> {
        // SAFETY: the slab is mapped as long as the block lives; the rest is the caller's contract.
        unsafe { SharedBytes::new(self.start, self.len) }
    }

    /// Bytes that fit without a new block.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets the length; bytes beyond the old length keep whatever is there.
    ///
    /// # Panics
    /// When `len` exceeds the capacity.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity, "length {len} exceeds the block's capacity {}", self.capacity);
        self.len = len;
    }

    /// The content as numbers.
    ///
    /// # Panics
    /// When the length is not a multiple of the number's size.
    #[must_use]
    pub fn typed<T: FromBytes + Immutable + KnownLayout>(&self) -> &[T] {
        typed(self)
    }

    /// The content as numbers, for writing.
    ///
    /// # Panics
    /// When the length is not a multiple of the number's size.
    #[must_use]
    pub fn typed_mut<T: FromBytes + IntoBytes + KnownLayout>(&mut self) -> &mut [T] {
        match <[T]>::mut_from_bytes(self) {
            Ok(numbers) => numbers,
            Err(_) => panic!("a block's length must be a multiple of the number's size"),
        }
    }

    /// Ends writing: from now on the bytes are read-only and may be shared.
    #[must_use]
    pub fn freeze(self) -> TxBuf {
        TxBuf { range: 0..self.len, owner: Counted::new(self) }
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start..start + len` is initialised slab memory (mapped zeroed) owned by this block alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.give_back(self.start, self.capacity, self.shell.take());
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} of {} bytes)", self.len, self.capacity)
    }
}

/// A read-only view of bytes that are being sent or may have to be sent again. Cloning shares.
#[derive(Clone)]
pub struct TxBuf {
    owner: Counted,
    range: Range<usize>,
}

impl TxBuf {
    /// Takes a vector's memory over without a copy.
    #[must_use]
    pub fn from_vec<T: IntoBytes + Immutable + Send + Sync + 'static>(numbers: Vec<T>) -> TxBuf {
        let range = 0..std::mem::size_of_val(numbers.as_slice());
        TxBuf { owner: Counted::vector(numbers), range }
    }

    /// A view of numbers that others share. Nobody can change them while there are two owners.
    #[must_use]
    pub fn from_shared<T: IntoBytes + Immutable + Send + Sync + 'static>(numbers: Arc<Vec<T>>) -> TxBuf {
        let range = 0..std::mem::size_of_val(numbers.as_slice());
        TxBuf { owner: Counted::shared_vector(numbers), range }
    }

    /// No bytes.
    #[must_use]
    pub fn empty() -> TxBuf {
        TxBuf { owner: Counted::nothing(), range: 0..0 }
    }

    /// A part of this view, by byte range.
    ///
    /// # Panics
    /// When the range lies outside.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> TxBuf {
        assert!(
            range.start <= range.end && range.end <= self.range.len(),
            "slice {range:?} of {} bytes",
            self.range.len()
        );
        let range = self.range.start + range.start..self.range.start + range.end;
        TxBuf { owner: self.owner.clone(), range }
    }

    /// The block behind this view, whole, when there is no other view of it.
    ///
    /// # Errors
    /// The view itself, where there is another one, or no block behind it.
    pub fn into_block(self) -> Result<Block, TxBuf> {
        let TxBuf { owner, range } = self;
        owner.into_block().map_err(|owner| TxBuf { owner, range })
    }

    /// The bytes as numbers.
    ///
    /// # Panics
    /// When length or start do not fit the number.
    #[must_use]
    pub fn typed<T: FromBytes + Immutable + KnownLayout>(&self) -> &[T] {
        typed(self)
    }
}

impl Deref for TxBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.owner.bytes()[self.range.clone()]
    }
}

impl fmt::Debug for TxBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxBuf({} bytes)", self.range.len())
    }
}

/// Received bytes: one owner, read-only, given back to the receiver's pool on drop.
#[derive(Debug)]
pub struct RxBuf {
    block: Option<Block>,
}

impl RxBuf {
    /// Wraps a block that a transport has filled.
    #[must_use]
    pub fn new(block: Block) -> RxBuf {
        RxBuf { block: Some(block) }
    }

    /// A received body without bytes.
    #[must_use]
    pub fn empty() -> RxBuf {
        RxBuf { block: None }
    }

    /// The block, to be handed on; nothing without bytes.
    #[must_use]
    pub fn into_block(self) -> Option<Block> {
        self.block
    }

    /// Part of the bytes as numbers.
    ///
    /// # Panics
    /// When the range lies outside, or its length or start do not fit the number.
    #[must_use]
    pub fn typed<T: FromBytes + Immutable + KnownLayout>(&self, range: Range<usize>) -> &[T] {
        typed(&self[range])
    }
}

impl Deref for RxBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.block.as_deref().unwrap_or(&[])
    }
}

fn typed<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> &[T] {
    // No bytes may lie anywhere, an empty body's at an odd address.
    if bytes.is_empty() {
        return &[];
    }
    match <[T]>::ref_from_bytes(bytes) {
        Ok(numbers) => numbers,
        Err(_) => panic!("{} bytes at this address are no whole aligned numbers", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_block_is_shared_and_returns_with_its_last_view() {
        let pool = Pool::unbounded();
        let mut block = pool.block(16);
        block.typed_mut::<u64>().copy_from_slice(&[7, 9]);
        let whole = block.freeze();
        let second = whole.slice(8..16);
        drop(whole);
        assert_eq!(second.typed::<u64>(), &[9]);
        assert_ne!(pool.usage().used_bytes, 0);
        drop(second);
        assert_eq!(pool.usage().used_bytes, 0);
    }

    #[test]
    fn a_block_comes_back_from_its_only_view() {
        let pool = Pool::unbounded();
        let mut block = pool.block(8);
        block.typed_mut::<u64>()[0] = 3;
        let view = block.freeze();
        let other = view.slice(0..4);
        let view = view.into_block().expect_err("there is another one");
        drop(other);
        let mut block = view.into_block().expect("the only one");
        block.typed_mut::<u64>()[0] += 1;
        assert_eq!(block.freeze().typed::<u64>(), &[4]);
        assert_eq!(&*TxBuf::from_vec(vec![5u8]).into_block().expect_err("no block"), &[5]);
        assert_eq!(pool.usage().used_bytes, 0);
    }

    #[test]
    fn no_bytes_are_no_numbers_of_any_type() {
        assert_eq!(RxBuf::empty().typed::<u64>(0..0), &[] as &[u64]);
        assert_eq!(TxBuf::empty().typed::<f64>(), &[] as &[f64]);
    }

    #[test]
    fn a_vector_is_sent_from_its_own_memory() {
        let numbers = vec![1.5f32, 2.5];
        let place = numbers.as_ptr().cast::<u8>();
        let buf = TxBuf::from_vec(numbers);
        assert_eq!(buf.as_ptr(), place);
        assert_eq!(buf.typed::<f32>(), &[1.5, 2.5]);
    }
}
