//! Bytes that somebody else may change while we look at them: another process, or a peer's adapter.
//!
//! Invariant: no reference to such bytes is ever made. They are copied, and what is checked and used
//! is the copy, so that nobody can change a thing between the check and the use.

use super::copied;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use zerocopy::{FromBytes, IntoBytes};

/// A place in memory that others may write at any time. Copying it copies the place, not the bytes.
#[derive(Clone, Copy)]
pub struct SharedBytes<'a> {
    start: NonNull<u8>,
    bytes: usize,
    memory: PhantomData<&'a ()>,
}

// SAFETY: a `SharedBytes` gives no reference to its bytes; all access is by copies that expect others to write.
unsafe impl Send for SharedBytes<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for SharedBytes<'_> {}

impl<'a> SharedBytes<'a> {
    /// The `bytes` bytes from `start` on.
    ///
    /// # Safety
    /// For all of `'a` the memory is mapped for reading and writing, and nobody in this process holds
    /// a Rust reference to any of it.
    #[must_use]
    pub const unsafe fn new(start: NonNull<u8>, bytes: usize) -> SharedBytes<'a> {
        SharedBytes { start, bytes, memory: PhantomData }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The address of the first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start.as_ptr() as usize
    }

    /// A part of it.
    ///
    /// # Panics
    /// When the part lies outside.
    #[must_use]
    pub fn part(&self, offset: usize, bytes: usize) -> SharedBytes<'a> {
        let start = self.place(offset, bytes);
        SharedBytes { start, bytes, memory: PhantomData }
    }

    /// What lies behind its first `offset` bytes.
    ///
    /// # Panics
    /// When it has fewer.
    #[must_use]
    pub fn behind(&self, offset: usize) -> SharedBytes<'a> {
        assert!(offset <= self.bytes, "{offset} of {} shared bytes", self.bytes);
        self.part(offset, self.bytes - offset)
    }

    /// Copies the bytes from `offset` on to `target`, counted as payload.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn copy_out_counted(&self, offset: usize, target: &mut [u8]) {
        copied::count(target.len());
        self.copy_out(offset, target);
    }

    /// Copies `source` to the place at `offset`, counted as payload.
    ///
    /// # Panics
    /// When there is no room.
    pub fn copy_in_counted(&self, offset: usize, source: &[u8]) {
        copied::count(source.len());
        self.copy_in(offset, source);
    }

    /// Copies the bytes from `offset` on to all of `target`, counted as payload. The two may overlap.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn copy_to_counted(&self, offset: usize, target: SharedBytes<'_>) {
        copied::count(target.bytes);
        let source = self.place(offset, target.bytes);
        // SAFETY: `place` has checked the source, and the target is `bytes` bytes by the contract of `new`,
        // by which also nobody has a reference to either.
        unsafe { move_shared(source.as_ptr(), target.start.as_ptr(), target.bytes) };
    }

    /// A small record as it is there now, such as a header; of a record that is just being written
    /// parts may be old and others new.
    ///
    /// # Panics
    /// When it lies outside.
    #[must_use]
    pub fn read<T: FromBytes + IntoBytes>(&self, offset: usize) -> T {
        let mut record = T::new_zeroed();
        self.copy_out(offset, record.as_mut_bytes());
        record
    }

    /// Writes a small record.
    ///
    /// # Panics
    /// When it lies outside.
    pub fn write<T: IntoBytes + zerocopy::Immutable>(&self, offset: usize, record: &T) {
        self.copy_in(offset, record.as_bytes());
    }

    fn copy_out(&self, offset: usize, target: &mut [u8]) {
        let source = self.place(offset, target.len());
        // SAFETY: `place` has checked the source; `target` is borrowed alone, and nobody has a
        // reference to the source by the contract of `new`, so the two do not overlap.
        unsafe { copy_shared(source.as_ptr(), target.as_mut_ptr(), target.len()) };
    }

    fn copy_in(&self, offset: usize, source: &[u8]) {
        let target = self.place(offset, source.len());
        // SAFETY: `place` has checked the target; nobody has a reference to it by the contract of
        // `new`, so `source` does not overlap it.
        unsafe { copy_shared(source.as_ptr(), target.as_ptr(), source.len()) };
    }

    fn place(&self, offset: usize, bytes: usize) -> NonNull<u8> {
        let fits = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        assert!(fits, "{bytes} bytes at {offset} of {} shared bytes", self.bytes);
        // SAFETY: `offset <= self.bytes`, and the memory is one mapping by the contract of `new`.
        unsafe { self.start.add(offset) }
    }
}

/// Copies memory of which one side may change meanwhile. It is never inlined: the compiler must not
/// know that both sides are alike afterwards, and read the shared side again in place of the copy.
///
/// # Safety
/// Both places are valid for `bytes` bytes and do not overlap.
#[inline(never)]
unsafe fn copy_shared(source: *const u8, target: *mut u8, bytes: usize) {
    // SAFETY: the caller's contract.
    unsafe { std::ptr::copy_nonoverlapping(source, target, bytes) };
}

/// As [`copy_shared`], of places that may overlap.
///
/// # Safety
/// Both places are valid for `bytes` bytes.
#[inline(never)]
unsafe fn move_shared(source: *const u8, target: *mut u8, bytes: usize) {
    // SAFETY: the caller's contract.
    unsafe { std::ptr::copy(source, target, bytes) };
}

impl fmt::Debug for SharedBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::take_copied_bytes;

    fn with_shared(bytes: usize, then: impl FnOnce(SharedBytes<'_>)) {
        let mut memory = vec![0u64; bytes.div_ceil(8)];
        let start = NonNull::new(memory.as_mut_ptr().cast()).expect("memory");
        // SAFETY: `memory` lives until the end of this function and is not used otherwise.
        then(unsafe { SharedBytes::new(start, bytes) });
    }

    #[test]
    fn shared_bytes_are_copied_in_and_out_and_counted() {
        with_shared(16, |shared| {
            let _ = take_copied_bytes();
            shared.copy_in_counted(3, &[1, 2, 3]);
            let mut out = [0; 4];
            shared.part(2, 5).copy_out_counted(1, &mut out);
            assert_eq!((out, take_copied_bytes()), ([1, 2, 3, 0], 7));
            shared.write(8, &0x0102_0304u32);
            assert_eq!((shared.read::<u32>(8), take_copied_bytes()), (0x0102_0304, 0));
            shared.copy_to_counted(3, shared.part(12, 3));
            assert_eq!((shared.read::<[u8; 4]>(12), take_copied_bytes()), ([1, 2, 3, 0], 3));
        });
    }

    #[test]
    #[should_panic(expected = "4 bytes at 14 of 16 shared bytes")]
    fn a_place_outside_is_refused() {
        with_shared(16, |shared| shared.copy_in_counted(14, &[0; 4]));
    }
}
