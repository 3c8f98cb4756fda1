//! Memory that both ends of a ring write: a memfd between processes, private memory inside one.
//!
//! Invariant: payload in it is reached through [`SharedBytes`] alone, counters through atomics alone; no
//! other reference to it exists. Each end holds the mapping as long as it needs it.

use crate::memory::SharedBytes;
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// A mapping, shared by handle.
#[derive(Clone)]
pub(in crate::transport) struct RingMemory {
    map: Arc<MmapRaw>,
}

impl RingMemory {
    /// Zeroed memory of this process.
    pub(in crate::transport) fn anonymous(bytes: usize) -> io::Result<RingMemory> {
        let map = MmapMut::map_anon(bytes)?;
        Ok(RingMemory { map: Arc::new(map.into()) })
    }

    /// The first `bytes` bytes of a file that cannot shrink, which the caller has seen to.
    pub(in crate::transport) fn map(file: BorrowedFd<'_>, bytes: usize) -> io::Result<RingMemory> {
        let map = MmapOptions::new().len(bytes).map_raw(file.as_raw_fd())?;
        Ok(RingMemory { map: Arc::new(map) })
    }

    /// All of it, as bytes that others write.
    pub(in crate::transport) fn shared(&self) -> SharedBytes<'_> {
        // A mapping never lies at zero; an empty view would be refused by every use.
        let start = NonNull::new(self.map.as_mut_ptr()).unwrap_or(NonNull::dangling());
        // SAFETY: the mapping lives as long as `self`, its pages can be read and written, and the
        // module's invariant says that nobody holds a reference to them.
        unsafe { SharedBytes::new(start, self.map.len()) }
    }

    /// The counter at `offset`.
    ///
    /// # Panics
    /// When it lies outside or is not aligned.
    pub(in crate::transport) fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.map.len(), "a counter at {offset}");
        // SAFETY: the word lies inside the mapping, which lives as long as `self` and starts on a page;
        // counters are reached through atomics alone.
        unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(offset).cast()) }
    }
}

impl fmt::Debug for RingMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingMemory({} bytes)", self.map.len())
    }
}
