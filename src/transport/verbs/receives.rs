//! The shared receive queue and its buffers.
//!
//! A buffer is posted, or holds a message that is not read yet, or waits to be posted again together
//! with others. What waits is never more than the slack, so that as many are posted as credits promise.

use super::error::VerbsError;
use super::resource::{Memory, MemoryRegion, ProtectionDomain, SharedReceiveQueue};
use crate::memory::SharedBytes;
use crate::transport::ring::{ENVELOPE_BYTES, RingMemory};
use rdma_sys::*;
use std::io;
use std::ptr::null_mut;
use std::sync::Arc;

/// Bytes of one message that is received without a slot.
pub(super) const RECEIVE_BYTES: usize = 1024;
const _: () = assert!(RECEIVE_BYTES >= ENVELOPE_BYTES, "the longest envelope is read at once");
/// Buffers that are posted together.
const POSTED_TOGETHER: usize = 16;
/// Buffers beyond those that credits promise.
pub(super) const RECEIVE_SLACK: usize = 32;

/// In the id of a work request: it is a receive, and not a numbered request of a queue pair.
const RECEIVE_MARK: u64 = 1 << 63;

/// The buffer of a receive's completion; none for a send's.
pub(super) fn received_index(id: u64) -> Option<u32> {
    (id & RECEIVE_MARK != 0).then_some(id as u32)
}

const _: () = assert!(POSTED_TOGETHER < RECEIVE_SLACK, "what waits to be posted is covered by the slack");

pub(super) struct Receives {
    pub(super) queue: Arc<SharedReceiveQueue>,
    buffers: MemoryRegion,
    count: usize,
    /// Buffers that wait to be posted.
    unposted: Vec<u32>,
}

impl Receives {
    /// Makes the queue and posts `count` buffers.
    pub(super) fn new(domain: &Arc<ProtectionDomain>, count: usize) -> Result<Receives, VerbsError> {
        let memory = own_memory(domain, count * RECEIVE_BYTES)?;
        let buffers = MemoryRegion::new(domain, memory, ibv_access_flags::IBV_ACCESS_LOCAL_WRITE)?;
        let queue = SharedReceiveQueue::new(domain, count as u32)?;
        let mut receives = Receives { queue, buffers, count, unposted: (0..count as u32).rev().collect() };
        receives.post_all().map_err(|source| VerbsError::Call {
            call: "ibv_post_srq_recv",
            device: domain.device.name().to_owned(),
            source,
        })?;
        Ok(receives)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// All of buffer `index`, none for one that is not there.
    pub(super) fn room(&self, index: u32) -> Option<SharedBytes<'_>> {
        let memory = self.buffers.own()?.shared();
        let is_there = (index as usize) < self.count;
        is_there.then(|| memory.part(index as usize * RECEIVE_BYTES, RECEIVE_BYTES))
    }

    /// Buffer `index` was read. It is posted again with others.
    pub(super) fn give_back(&mut self, index: u32) -> Result<(), io::Error> {
        debug_assert!(!self.unposted.contains(&index), "a buffer has one owner");
        self.unposted.push(index);
        if self.unposted.len() >= POSTED_TOGETHER { self.post_all() } else { Ok(()) }
    }

    fn post_all(&mut self) -> Result<(), io::Error> {
        while !self.unposted.is_empty() {
            self.post_some()?;
        }
        Ok(())
    }

    /// Posts up to [`POSTED_TOGETHER`] buffers as one list.
    fn post_some(&mut self) -> Result<(), io::Error> {
        let Some(memory) = self.buffers.own() else { return Ok(()) };
        let first = self.unposted.len().saturating_sub(POSTED_TOGETHER);
        let mut places =
            [ibv_sge { addr: 0, length: RECEIVE_BYTES as u32, lkey: self.buffers.local_key() }; POSTED_TOGETHER];
        let mut requests =
            [const { ibv_recv_wr { wr_id: 0, next: null_mut(), sg_list: null_mut(), num_sge: 1 } }; POSTED_TOGETHER];
        let count = self.unposted.len() - first;
        let start = memory.shared().address() as u64;
        for (slot, &index) in self.unposted[first..].iter().enumerate() {
            places[slot].addr = start + u64::from(index) * RECEIVE_BYTES as u64;
            requests[slot].wr_id = RECEIVE_MARK | u64::from(index);
            requests[slot].sg_list = &raw mut places[slot];
        }
        for slot in 1..count {
            requests[slot - 1].next = &raw mut requests[slot];
        }
        let mut bad = null_mut();
        // SAFETY: the queue lives; the list and its places live to the end of the call, and the buffers
        // are registered memory that nobody else uses until their completions.
        let code = unsafe { ibv_post_srq_recv(self.queue.as_ptr(), &raw mut requests[0], &raw mut bad) };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code.abs()));
        }
        self.unposted.truncate(first);
        Ok(())
    }
}

/// Fresh memory of the transport's own.
pub(super) fn own_memory(domain: &ProtectionDomain, bytes: usize) -> Result<Memory, VerbsError> {
    let memory = RingMemory::anonymous(bytes);
    let device = || domain.device.name().to_owned();
    memory.map(Memory::Own).map_err(|source| VerbsError::Call { call: "mmap", device: device(), source })
}
