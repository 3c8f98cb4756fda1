//! The one way to copy payload in the data path: it counts.
//!
//! Between the kernel and the store's columns payload is moved by handing blocks over. Where bytes are
//! copied all the same they go through here, so that a test can say how many; the house rules see to it.

use std::cell::Cell;
use std::ops::Range;

thread_local! {
    static COPIED_BYTES: Cell<u64> = const { Cell::new(0) };
    static GATHERED_BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Copies `source` to `target`, counted.
///
/// # Panics
/// When the lengths differ.
pub fn copy_counted(target: &mut [u8], source: &[u8]) {
    count(source.len());
    target.copy_from_slice(source);
}

/// Moves a part of `bytes` to `begin` inside the same memory, counted.
///
/// # Panics
/// When either place lies outside.
pub fn move_counted(bytes: &mut [u8], source: Range<usize>, begin: usize) {
    count(source.len());
    bytes.copy_within(source, begin);
}

/// A copy of `source` to keep, counted.
#[must_use]
pub fn keep_counted<T: Copy>(source: &[T]) -> Box<[T]> {
    count(size_of_val(source));
    source.into()
}

/// Bytes that this thread has copied since it was asked last.
#[must_use]
pub fn take_copied_bytes() -> u64 {
    COPIED_BYTES.take()
}

/// Takes note of values that a table gathers into an answer: work, not a copy of a message.
pub fn count_gathered(bytes: usize) {
    GATHERED_BYTES.set(GATHERED_BYTES.get() + bytes as u64);
}

/// Bytes that this thread has gathered since it was asked last.
#[must_use]
pub fn take_gathered_bytes() -> u64 {
    GATHERED_BYTES.take()
}

pub(super) fn count(bytes: usize) {
    COPIED_BYTES.set(COPIED_BYTES.get() + bytes as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_this_thread_are_counted() {
        let _ = take_copied_bytes();
        let mut bytes = [0; 8];
        copy_counted(&mut bytes[..3], &[1, 2, 3]);
        move_counted(&mut bytes, 1..3, 4);
        assert_eq!(*keep_counted(&[7u32]), [7]);
        std::thread::spawn(|| copy_counted(&mut [0], &[1])).join().unwrap();
        assert_eq!((bytes, take_copied_bytes(), take_copied_bytes()), ([1, 2, 3, 0, 2, 3, 0, 0], 9, 0));
    }
}
