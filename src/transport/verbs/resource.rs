//! The verbs objects of a transport, each destroyed once and before what it was made from.
//!
//! Invariant: an object holds by `Arc` whatever must outlive it, registered memory included. So the
//! order in which owners drop them does not matter, and no region outlives its mapping.

use super::device::Device;
use super::error::VerbsError;
use super::live::{Kind, Live};
use super::memlock::LockedMemory;
use crate::memory::SlabHold;
use crate::transport::ring::RingMemory;
use rdma_sys::*;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

/// What a call has made, or what the system says where it is NULL.
pub(super) fn made<T>(object: *mut T, call: &'static str, device: &Device) -> Result<NonNull<T>, VerbsError> {
    NonNull::new(object).ok_or_else(|| VerbsError::last_call(call, device.name()))
}

/// Tells of a destruction that failed; there is nothing else to be done then.
pub(super) fn destroyed(call: &'static str, device: &Device, code: i32) {
    if let Err(error) = VerbsError::check(call, device.name(), code) {
        tracing::warn!("{error}");
    }
}

/// Makes reads from a descriptor of the library return at once.
pub(super) fn unblock(call: &'static str, device: &Device, fd: BorrowedFd<'_>) -> Result<(), VerbsError> {
    let set = fcntl_getfl(fd).and_then(|flags| fcntl_setfl(fd, flags | OFlags::NONBLOCK));
    set.map_err(|errno| VerbsError::Call { call, device: device.name().to_owned(), source: errno.into() })
}

/// A protection domain.
pub(super) struct ProtectionDomain {
    domain: NonNull<ibv_pd>,
    pub(super) device: Arc<Device>,
    _live: Live,
}

// SAFETY: libibverbs allows calls on its objects from any thread.
unsafe impl Send for ProtectionDomain {}
// SAFETY: as above.
unsafe impl Sync for ProtectionDomain {}

impl ProtectionDomain {
    pub(super) fn new(device: &Arc<Device>) -> Result<Arc<ProtectionDomain>, VerbsError> {
        // SAFETY: the device is open.
        let domain = made(unsafe { ibv_alloc_pd(device.context()) }, "ibv_alloc_pd", device)?;
        Ok(Arc::new(ProtectionDomain { domain, device: Arc::clone(device), _live: Live::new(Kind::ProtectionDomain) }))
    }

    pub(super) fn as_ptr(&self) -> *mut ibv_pd {
        self.domain.as_ptr()
    }
}

impl Drop for ProtectionDomain {
    fn drop(&mut self) {
        // SAFETY: made once, and what was made in it is gone.
        destroyed("ibv_dealloc_pd", &self.device, unsafe { ibv_dealloc_pd(self.domain.as_ptr()) });
    }
}

/// What keeps registered memory mapped.
#[derive(Debug)]
pub(super) enum Memory {
    /// Memory of the transport's own.
    Own(RingMemory),
    /// A slab, which stays as long as it is held.
    Slab(SlabHold),
}

/// Registered memory.
pub(super) struct MemoryRegion {
    region: NonNull<ibv_mr>,
    domain: Arc<ProtectionDomain>,
    memory: Memory,
    _live: Live,
}

// SAFETY: libibverbs allows calls on its objects from any thread.
unsafe impl Send for MemoryRegion {}
// SAFETY: as above.
unsafe impl Sync for MemoryRegion {}

impl MemoryRegion {
    /// Registers all of `memory` with these rights.
    pub(super) fn new(
        domain: &Arc<ProtectionDomain>,
        memory: Memory,
        access: ibv_access_flags,
    ) -> Result<MemoryRegion, VerbsError> {
        let (start, bytes) = match &memory {
            Memory::Own(memory) => (memory.shared().address(), memory.shared().len()),
            Memory::Slab(hold) => (hold.slab().start, hold.slab().bytes),
        };
        let locked = LockedMemory::now();
        locked.check(bytes as u64)?;
        let place = std::ptr::with_exposed_provenance_mut::<u8>(start);
        // SAFETY: the memory stays mapped as long as `memory` is held, which is longer than the region
        // lives. What the device writes there is reached by copies alone (the transport's own memory and
        // landings), or belongs to a block whose owner waits for the completion.
        let region = unsafe { ibv_reg_mr(domain.as_ptr(), place.cast(), bytes, access.0.cast_signed()) };
        let region = made(region, "ibv_reg_mr", &domain.device);
        let region = region.map_err(|error| error.of_registration(bytes as u64, locked))?;
        Ok(MemoryRegion { region, domain: Arc::clone(domain), memory, _live: Live::new(Kind::MemoryRegion) })
    }

    pub(super) fn local_key(&self) -> u32 {
        // SAFETY: the region lives.
        unsafe { (*self.region.as_ptr()).lkey }
    }

    pub(super) fn remote_key(&self) -> u32 {
        // SAFETY: the region lives.
        unsafe { (*self.region.as_ptr()).rkey }
    }

    pub(super) fn as_ptr(&self) -> *mut ibv_mr {
        self.region.as_ptr()
    }

    /// The transport's own memory; none for a slab.
    pub(super) fn own(&self) -> Option<&RingMemory> {
        match &self.memory {
            Memory::Own(memory) => Some(memory),
            Memory::Slab(_) => None,
        }
    }
}

impl fmt::Debug for MemoryRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryRegion({:?})", self.memory)
    }
}

impl Drop for MemoryRegion {
    fn drop(&mut self) {
        // SAFETY: made once; the memory is unmapped afterwards.
        destroyed("ibv_dereg_mr", &self.domain.device, unsafe { ibv_dereg_mr(self.region.as_ptr()) });
    }
}

/// A completion queue and the channel that tells of its completions.
pub(super) struct CompletionQueue {
    queue: NonNull<ibv_cq>,
    channel: NonNull<ibv_comp_channel>,
    device: Arc<Device>,
    _live: [Live; 2],
}

// SAFETY: libibverbs allows calls on its objects from any thread.
unsafe impl Send for CompletionQueue {}
// SAFETY: as above.
unsafe impl Sync for CompletionQueue {}

impl CompletionQueue {
    pub(super) fn new(device: &Arc<Device>, entries: u32) -> Result<Arc<CompletionQueue>, VerbsError> {
        // SAFETY: the device is open.
        let channel = made(unsafe { ibv_create_comp_channel(device.context()) }, "ibv_create_comp_channel", device)?;
        // SAFETY: device and channel live; the entries fit what the device allows.
        let queue = unsafe { ibv_create_cq(device.context(), entries.cast_signed(), null_mut(), channel.as_ptr(), 0) };
        let queue = made(queue, "ibv_create_cq", device).inspect_err(|_| {
            // SAFETY: made above, and nothing was made with it.
            destroyed("ibv_destroy_comp_channel", device, unsafe { ibv_destroy_comp_channel(channel.as_ptr()) });
        })?;
        let live = [Live::new(Kind::CompletionChannel), Live::new(Kind::CompletionQueue)];
        let queue = CompletionQueue { queue, channel, device: Arc::clone(device), _live: live };
        unblock("fcntl on a completion channel", device, queue.fd())?;
        Ok(Arc::new(queue))
    }

    pub(super) fn as_ptr(&self) -> *mut ibv_cq {
        self.queue.as_ptr()
    }

    /// Readable when a completion came after [`request_notification`](Self::request_notification).
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the channel lives as long as the borrow lasts, and its descriptor with it.
        unsafe { BorrowedFd::borrow_raw((*self.channel.as_ptr()).fd) }
    }

    /// Puts completions at the end of `completions`, at most as many as it has room for.
    pub(super) fn poll(&self, completions: &mut Vec<ibv_wc>) -> Result<usize, VerbsError> {
        let room = completions.spare_capacity_mut();
        let wanted = i32::try_from(room.len()).unwrap_or(i32::MAX);
        // SAFETY: the queue lives, and there is room for as many completions as are asked for.
        let count = unsafe { ibv_poll_cq(self.queue.as_ptr(), wanted, room.as_mut_ptr().cast()) };
        let Ok(count) = usize::try_from(count) else {
            return Err(VerbsError::last_call("ibv_poll_cq", self.device.name()));
        };
        // SAFETY: the call wrote so many completions behind the old end.
        unsafe { completions.set_len(completions.len() + count) };
        Ok(count)
    }

    /// Asks for one notification of the next completion.
    pub(super) fn request_notification(&self) -> Result<(), VerbsError> {
        // SAFETY: the queue lives.
        let code = unsafe { ibv_req_notify_cq(self.queue.as_ptr(), 0) };
        VerbsError::check("ibv_req_notify_cq", self.device.name(), code)
    }

    /// Takes all notifications that have come.
    pub(super) fn take_notifications(&self) {
        let (mut queue, mut context) = (null_mut(), null_mut());
        let mut count = 0;
        // SAFETY: the channel lives, and does not block.
        while unsafe { ibv_get_cq_event(self.channel.as_ptr(), &raw mut queue, &raw mut context) } == 0 {
            count += 1;
        }
        if count > 0 {
            // SAFETY: so many events of this queue, the channel's only one, were taken.
            unsafe { ibv_ack_cq_events(self.queue.as_ptr(), count) };
        }
    }
}

impl Drop for CompletionQueue {
    fn drop(&mut self) {
        self.take_notifications();
        // SAFETY: made once; queue pairs hold the queue, so they are gone, and its events are acknowledged.
        destroyed("ibv_destroy_cq", &self.device, unsafe { ibv_destroy_cq(self.queue.as_ptr()) });
        // SAFETY: made once, and its queue is gone.
        let code = unsafe { ibv_destroy_comp_channel(self.channel.as_ptr()) };
        destroyed("ibv_destroy_comp_channel", &self.device, code);
    }
}

/// A shared receive queue.
pub(super) struct SharedReceiveQueue {
    queue: NonNull<ibv_srq>,
    domain: Arc<ProtectionDomain>,
    _live: Live,
}

// SAFETY: libibverbs allows calls on its objects from any thread.
unsafe impl Send for SharedReceiveQueue {}
// SAFETY: as above.
unsafe impl Sync for SharedReceiveQueue {}

impl SharedReceiveQueue {
    pub(super) fn new(domain: &Arc<ProtectionDomain>, depth: u32) -> Result<Arc<SharedReceiveQueue>, VerbsError> {
        let attr = ibv_srq_attr { max_wr: depth, max_sge: 1, srq_limit: 0 };
        let mut attributes = ibv_srq_init_attr { srq_context: null_mut(), attr };
        // SAFETY: the domain lives.
        let queue = unsafe { ibv_create_srq(domain.as_ptr(), &raw mut attributes) };
        let queue = made(queue, "ibv_create_srq", &domain.device)?;
        let live = Live::new(Kind::SharedReceiveQueue);
        Ok(Arc::new(SharedReceiveQueue { queue, domain: Arc::clone(domain), _live: live }))
    }

    pub(super) fn as_ptr(&self) -> *mut ibv_srq {
        self.queue.as_ptr()
    }
}

impl Drop for SharedReceiveQueue {
    fn drop(&mut self) {
        // SAFETY: made once; queue pairs hold it, so they are gone.
        destroyed("ibv_destroy_srq", &self.domain.device, unsafe { ibv_destroy_srq(self.queue.as_ptr()) });
    }
}

/// A reliably connected queue pair.
pub(super) struct QueuePair {
    pair: NonNull<ibv_qp>,
    domain: Arc<ProtectionDomain>,
    _queue: Arc<CompletionQueue>,
    _receives: Arc<SharedReceiveQueue>,
    _live: Live,
}

// SAFETY: libibverbs allows calls on its objects from any thread.
unsafe impl Send for QueuePair {}

impl QueuePair {
    /// A queue pair whose sends and receives complete in `queue`, and which receives from `receives`.
    pub(super) fn new(
        domain: &Arc<ProtectionDomain>,
        queue: &Arc<CompletionQueue>,
        receives: &Arc<SharedReceiveQueue>,
        cap: ibv_qp_cap,
    ) -> Result<QueuePair, VerbsError> {
        let mut attributes = ibv_qp_init_attr {
            qp_context: null_mut(),
            send_cq: queue.as_ptr(),
            recv_cq: queue.as_ptr(),
            srq: receives.as_ptr(),
            cap,
            qp_type: ibv_qp_type::IBV_QPT_RC,
            sq_sig_all: 0,
        };
        // SAFETY: domain and queues live as long as the pair, which holds them.
        let pair = unsafe { ibv_create_qp(domain.as_ptr(), &raw mut attributes) };
        Ok(QueuePair {
            pair: made(pair, "ibv_create_qp", &domain.device)?,
            domain: Arc::clone(domain),
            _queue: Arc::clone(queue),
            _receives: Arc::clone(receives),
            _live: Live::new(Kind::QueuePair),
        })
    }

    pub(super) fn as_ptr(&self) -> *mut ibv_qp {
        self.pair.as_ptr()
    }

    pub(super) fn number(&self) -> u32 {
        // SAFETY: the pair lives.
        unsafe { (*self.pair.as_ptr()).qp_num }
    }

    pub(super) fn modify(&self, attributes: &mut ibv_qp_attr, mask: ibv_qp_attr_mask) -> Result<(), VerbsError> {
        // SAFETY: the pair lives, and the attributes are whole.
        let code = unsafe { ibv_modify_qp(self.pair.as_ptr(), attributes, mask.0.cast_signed()) };
        VerbsError::check("ibv_modify_qp", self.domain.device.name(), code)
    }
}

impl Drop for QueuePair {
    fn drop(&mut self) {
        // SAFETY: made once; afterwards the device touches no memory for it.
        destroyed("ibv_destroy_qp", &self.domain.device, unsafe { ibv_destroy_qp(self.pair.as_ptr()) });
    }
}
