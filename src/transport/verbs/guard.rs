//! Verbs objects that live for one trial: made, used by one thread, and destroyed in the right order.
//!
//! Invariant: each holds what it was made from, so that nothing is destroyed under a user. Whoever
//! posts work sees to it that the memory named in it outlives the queue pair.

use super::choice::LocalPort;
use super::device::Device;
use super::error::VerbsError;
use super::memlock::LockedMemory;
use super::resource::{destroyed, made};
use rdma_sys::*;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

/// Entries of a trial's queues.
const QUEUE_DEPTH: u32 = 4;
/// Packet sequence number that both ends begin with.
const FIRST_PSN: u32 = 0x5_a5a5;

/// A protection domain.
pub(super) struct ProtectionDomain {
    domain: NonNull<ibv_pd>,
    device: Arc<Device>,
}

impl ProtectionDomain {
    pub(super) fn new(device: &Arc<Device>) -> Result<ProtectionDomain, VerbsError> {
        // SAFETY: the device is open.
        let domain = made(unsafe { ibv_alloc_pd(device.context()) }, "ibv_alloc_pd", device)?;
        Ok(ProtectionDomain { domain, device: Arc::clone(device) })
    }
}

impl Drop for ProtectionDomain {
    fn drop(&mut self) {
        // SAFETY: made once, and what was made in it borrowed it.
        destroyed("ibv_dealloc_pd", &self.device, unsafe { ibv_dealloc_pd(self.domain.as_ptr()) });
    }
}

/// Registered memory, borrowed as long as a device may touch it.
pub(super) struct Region<'a> {
    region: NonNull<ibv_mr>,
    domain: &'a ProtectionDomain,
}

impl<'a> Region<'a> {
    /// Registers `bytes` bytes at `start`, which may be written and read by both ends.
    ///
    /// # Safety
    /// The memory must stay mapped as long as the region lives, and nobody may hold a reference into
    /// it while work that names it is under way.
    pub(super) unsafe fn new(domain: &'a ProtectionDomain, start: *mut u8, bytes: usize) -> Result<Self, VerbsError> {
        let locked = LockedMemory::now();
        locked.check(bytes as u64)?;
        let access = ibv_access_flags::IBV_ACCESS_LOCAL_WRITE
            | ibv_access_flags::IBV_ACCESS_REMOTE_WRITE
            | ibv_access_flags::IBV_ACCESS_REMOTE_READ;
        // SAFETY: the domain lives, and the caller vouches for the memory.
        let region = unsafe { ibv_reg_mr(domain.domain.as_ptr(), start.cast(), bytes, access.0.cast_signed()) };
        let region = made(region, "ibv_reg_mr", &domain.device);
        Ok(Region { region: region.map_err(|error| error.of_registration(bytes as u64, locked))?, domain })
    }

    pub(super) fn keys(&self) -> (u32, u32) {
        // SAFETY: the region lives.
        unsafe { ((*self.region.as_ptr()).lkey, (*self.region.as_ptr()).rkey) }
    }
}

impl Drop for Region<'_> {
    fn drop(&mut self) {
        // SAFETY: made once; queue pairs that used it are gone or in error, by the order of declaration.
        destroyed("ibv_dereg_mr", &self.domain.device, unsafe { ibv_dereg_mr(self.region.as_ptr()) });
    }
}

/// A completion queue without channel: it is polled.
pub(super) struct CompletionQueue {
    queue: NonNull<ibv_cq>,
    device: Arc<Device>,
}

impl CompletionQueue {
    pub(super) fn new(device: &Arc<Device>) -> Result<CompletionQueue, VerbsError> {
        let entries = (4 * QUEUE_DEPTH).cast_signed();
        // SAFETY: the device is open; there is no channel.
        let queue = unsafe { ibv_create_cq(device.context(), entries, null_mut(), null_mut(), 0) };
        Ok(CompletionQueue { queue: made(queue, "ibv_create_cq", device)?, device: Arc::clone(device) })
    }

    /// One completion, if there is one.
    pub(super) fn poll(&self) -> Result<Option<ibv_wc>, VerbsError> {
        let mut completion = MaybeUninit::<ibv_wc>::zeroed();
        // SAFETY: the queue lives; there is room for one completion.
        match unsafe { ibv_poll_cq(self.queue.as_ptr(), 1, completion.as_mut_ptr()) } {
            0 => Ok(None),
            // SAFETY: the call wrote one completion; all-zero bits are valid for what it left.
            1 => Ok(Some(unsafe { completion.assume_init() })),
            _ => Err(VerbsError::last_call("ibv_poll_cq", self.device.name())),
        }
    }
}

impl Drop for CompletionQueue {
    fn drop(&mut self) {
        // SAFETY: made once, and its queue pairs borrowed it.
        destroyed("ibv_destroy_cq", &self.device, unsafe { ibv_destroy_cq(self.queue.as_ptr()) });
    }
}

/// A reliably connected queue pair.
pub(super) struct QueuePair<'a> {
    pair: NonNull<ibv_qp>,
    domain: &'a ProtectionDomain,
    _queue: &'a CompletionQueue,
}

impl<'a> QueuePair<'a> {
    /// A queue pair that may send `inline_bytes` bytes inline, both of whose queues complete in `queue`.
    pub(super) fn new(
        domain: &'a ProtectionDomain,
        queue: &'a CompletionQueue,
        inline_bytes: u32,
    ) -> Result<QueuePair<'a>, VerbsError> {
        let mut attributes = ibv_qp_init_attr {
            qp_context: null_mut(),
            send_cq: queue.queue.as_ptr(),
            recv_cq: queue.queue.as_ptr(),
            srq: null_mut(),
            cap: ibv_qp_cap {
                max_send_wr: QUEUE_DEPTH,
                max_recv_wr: QUEUE_DEPTH,
                max_send_sge: 1,
                max_recv_sge: 1,
                max_inline_data: inline_bytes,
            },
            qp_type: ibv_qp_type::IBV_QPT_RC,
            sq_sig_all: 1,
        };
        // SAFETY: domain and queue live as long as the pair, by its lifetime.
        let pair = unsafe { ibv_create_qp(domain.domain.as_ptr(), &raw mut attributes) };
        Ok(QueuePair { pair: made(pair, "ibv_create_qp", &domain.device)?, domain, _queue: queue })
    }

    pub(super) fn number(&self) -> u32 {
        // SAFETY: the pair lives.
        unsafe { (*self.pair.as_ptr()).qp_num }
    }

    /// Connects to the queue pair `peer` on the same port, as far as sending.
    pub(super) fn connect(&self, local: &LocalPort, peer: u32) -> Result<(), VerbsError> {
        // SAFETY: all-zero bits are a valid value of every field.
        let mut attributes: ibv_qp_attr = unsafe { MaybeUninit::zeroed().assume_init() };
        attributes.qp_state = ibv_qp_state::IBV_QPS_INIT;
        attributes.port_num = local.port.number;
        let access = ibv_access_flags::IBV_ACCESS_REMOTE_WRITE | ibv_access_flags::IBV_ACCESS_REMOTE_READ;
        attributes.qp_access_flags = access.0;
        use ibv_qp_attr_mask as mask;
        let state = mask::IBV_QP_STATE;
        self.modify(&mut attributes, state | mask::IBV_QP_PKEY_INDEX | mask::IBV_QP_PORT | mask::IBV_QP_ACCESS_FLAGS)?;

        attributes.qp_state = ibv_qp_state::IBV_QPS_RTR;
        attributes.path_mtu = local.mtu.code();
        attributes.dest_qp_num = peer;
        attributes.rq_psn = FIRST_PSN;
        attributes.max_dest_rd_atomic = 1;
        attributes.min_rnr_timer = 12;
        attributes.ah_attr = local.address_of_itself();
        let path = mask::IBV_QP_AV | mask::IBV_QP_PATH_MTU | mask::IBV_QP_DEST_QPN | mask::IBV_QP_RQ_PSN;
        self.modify(&mut attributes, state | path | mask::IBV_QP_MAX_DEST_RD_ATOMIC | mask::IBV_QP_MIN_RNR_TIMER)?;

        attributes.qp_state = ibv_qp_state::IBV_QPS_RTS;
        attributes.sq_psn = FIRST_PSN;
        attributes.timeout = 14;
        attributes.retry_cnt = 6;
        attributes.rnr_retry = 6;
        attributes.max_rd_atomic = 1;
        let patience = mask::IBV_QP_TIMEOUT | mask::IBV_QP_RETRY_CNT | mask::IBV_QP_RNR_RETRY;
        self.modify(&mut attributes, state | patience | mask::IBV_QP_SQ_PSN | mask::IBV_QP_MAX_QP_RD_ATOMIC)
    }

    fn modify(&self, attributes: &mut ibv_qp_attr, mask: ibv_qp_attr_mask) -> Result<(), VerbsError> {
        // SAFETY: the pair lives, and the attributes are whole.
        let code = unsafe { ibv_modify_qp(self.pair.as_ptr(), attributes, mask.0.cast_signed()) };
        VerbsError::check("ibv_modify_qp", self.domain.device.name(), code)
    }

    /// Posts a receive without memory, for an immediate.
    pub(super) fn post_receive(&self, id: u64) -> Result<(), VerbsError> {
        let mut request = ibv_recv_wr { wr_id: id, next: null_mut(), sg_list: null_mut(), num_sge: 0 };
        let mut bad = null_mut();
        // SAFETY: the pair lives, and the request names no memory.
        let code = unsafe { ibv_post_recv(self.pair.as_ptr(), &raw mut request, &raw mut bad) };
        VerbsError::check("ibv_post_recv", self.domain.device.name(), code)
    }

    /// Posts one request between `bytes` bytes at `here` and at `there`, both in `region`.
    pub(super) fn post(
        &self,
        id: u64,
        opcode: ibv_wr_opcode,
        region: &Region<'_>,
        here: u64,
        there: u64,
        bytes: u32,
    ) -> Result<(), VerbsError> {
        let (lkey, rkey) = region.keys();
        let mut piece = ibv_sge { addr: here, length: bytes, lkey };
        // SAFETY: all-zero bits are a valid value of every field.
        let mut request: ibv_send_wr = unsafe { MaybeUninit::zeroed().assume_init() };
        request.wr_id = id;
        request.sg_list = &raw mut piece;
        request.num_sge = 1;
        request.opcode = opcode;
        request.send_flags = ibv_send_flags::IBV_SEND_SIGNALED.0;
        request.imm_data_invalidated_rkey_union.imm_data = (id as u32).to_be();
        request.wr.rdma = rdma_t { remote_addr: there, rkey };
        let mut bad = null_mut();
        // SAFETY: the pair lives; the device checks places against the region, which the caller keeps.
        let code = unsafe { ibv_post_send(self.pair.as_ptr(), &raw mut request, &raw mut bad) };
        VerbsError::check("ibv_post_send", self.domain.device.name(), code)
    }
}

impl Drop for QueuePair<'_> {
    fn drop(&mut self) {
        // SAFETY: made once; afterwards the device touches no memory for it.
        destroyed("ibv_destroy_qp", &self.domain.device, unsafe { ibv_destroy_qp(self.pair.as_ptr()) });
    }
}
