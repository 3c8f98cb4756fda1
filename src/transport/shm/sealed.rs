//! Memory that two processes map, and that neither can take away from under the other.

use super::{ShmError, cannot};
use crate::transport::ring::{MEMORY_BYTES, RingMemory};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use std::os::fd::{AsFd, OwnedFd};

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// Fresh memory for one link: the descriptor to hand over, and our mapping of it.
pub(super) fn create() -> Result<(OwnedFd, RingMemory), ShmError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A kernel before 6.3 does not know the flag, and a strict one after it wants it.
    let file = memfd_create("parashard-ring", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("parashard-ring", flags))
        .map_err(cannot("make shared memory"))?;
    ftruncate(&file, MEMORY_BYTES as u64).map_err(cannot("size shared memory"))?;
    fcntl_add_seals(&file, SEALS | SealFlags::SEAL).map_err(cannot("seal shared memory"))?;
    let memory = RingMemory::map(file.as_fd(), MEMORY_BYTES).map_err(cannot("map shared memory"))?;
    Ok((file, memory))
}

/// Maps what a peer has handed over, if it is such memory: a page that could vanish would end this process.
pub(super) fn accept(file: &OwnedFd) -> Result<RingMemory, ShmError> {
    let seals = fcntl_get_seals(file).map_err(|_| ShmError::Memory("cannot be sealed"))?;
    if !seals.contains(SEALS) {
        return Err(ShmError::Memory("is not sealed against shrinking and growing"));
    }
    let stat = fstat(file).map_err(cannot("look at shared memory"))?;
    if stat.st_size != MEMORY_BYTES as i64 {
        return Err(ShmError::Memory("has another size"));
    }
    RingMemory::map(file.as_fd(), MEMORY_BYTES).map_err(cannot("map shared memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_and_cannot_be_cut() {
        let (file, memory) = create().expect("memory");
        let other = accept(&file).expect("the same memory");
        memory.shared().copy_in_counted(5000, b"abc");
        assert_eq!(&other.shared().read::<[u8; 3]>(5000), b"abc");
        assert!(ftruncate(&file, 4096).is_err() && ftruncate(&file, MEMORY_BYTES as u64 + 1).is_err());
    }

    #[test]
    fn memory_that_could_vanish_or_has_another_size_is_refused() {
        let make = |bytes: u64, seals: SealFlags| {
            let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("memory");
            ftruncate(&file, bytes).expect("a size");
            fcntl_add_seals(&file, seals).expect("seals");
            file
        };
        let all = MEMORY_BYTES as u64;
        assert!(accept(&make(all, SEALS)).is_ok());
        for (file, words) in [
            (make(all, SealFlags::GROW), "not sealed"),
            (make(all, SealFlags::SHRINK), "not sealed"),
            (make(4096, SEALS), "another size"),
            (OwnedFd::from(tempfile::tempfile().expect("a file")), "cannot be sealed"),
        ] {
            let error = accept(&file).expect_err("no memory of ours");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
