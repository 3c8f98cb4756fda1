//! Which memory node a mapping should come from.

use super::NumaNode;
use std::io;

/// Highest node that can be named, and more than any kernel is built for.
const NODES_MAX: u32 = 1024;
const WORD_BITS: u32 = u64::BITS;

/// Asks the kernel to take the pages of `mapping` from `node` as long as it has some, and then from
/// elsewhere. Pages that were touched before stay where they are.
pub(in crate::memory) fn prefer_node(mapping: &mut [u8], node: NumaNode) -> io::Result<()> {
    let NumaNode(number) = node;
    if number >= NODES_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut mask = [0u64; (NODES_MAX / WORD_BITS) as usize];
    mask[(number / WORD_BITS) as usize] |= 1 << (number % WORD_BITS);
    // SAFETY: the range is mapped, since a slice covers it, and a policy changes no byte of it; the kernel
    // reads `NODES_MAX` bits of the mask, which lives until the call is over. It looks at one bit less
    // than it is told.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            mapping.as_mut_ptr(),
            mapping.len(),
            libc::c_long::from(libc::MPOL_PREFERRED),
            mask.as_ptr(),
            NODES_MAX as usize + 1,
            0usize,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapMut;

    #[test]
    fn memory_can_be_asked_from_a_node_that_is_there_and_from_no_other() {
        let mut mapping = MmapMut::map_anon(1 << 16).expect("memory");
        let topology = super::super::Topology::look();
        match prefer_node(&mut mapping, topology.nodes()[0].node) {
            Ok(()) => {}
            // A sandbox may forbid it, and a kernel without nodes does not know the call.
            Err(error) => assert!(matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)), "{error}"),
        }
        mapping.fill(7);
        assert!(mapping.iter().all(|&byte| byte == 7));
        assert!(prefer_node(&mut mapping, NumaNode(NODES_MAX)).is_err());
        assert!(prefer_node(&mut mapping, NumaNode(NODES_MAX - 1)).is_err());
    }
}
