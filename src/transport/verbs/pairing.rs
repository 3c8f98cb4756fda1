//! A queue pair from its making until it can send.
//!
//! `retry_cnt` is 6: seven means for ever to some devices. Together with the time-out a peer that is
//! gone is noticed after about half a second. `rnr_retry` is finite too; credits keep it from being used.

use super::choice::LocalPort;
use super::endpoint::VerbsEndpoint;
use super::error::VerbsError;
use super::plan::{Limits, SEND_DEPTH};
use super::port::{LinkLayer, Mtu};
use super::receives::RECEIVE_BYTES;
use super::resource::{CompletionQueue, ProtectionDomain, QueuePair, SharedReceiveQueue};
use rdma_sys::*;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Parts of one work request, where the device takes as many.
pub(super) const PARTS_MAX: u32 = 4;
/// READs of one queue pair at a time.
const READS_MAX: u32 = 16;
/// 4.096 us times two to this power: 67 ms until a packet is sent again.
const TIMEOUT: u8 = 14;
const RETRY_COUNT: u8 = 6;
const RNR_RETRY: u8 = 6;
/// 0.64 ms until a sender tries again that found no receive.
const MIN_RNR_TIMER: u8 = 12;
/// Routers that a packet may pass.
const HOP_LIMIT: u8 = 64;

/// What queue pairs of one transport have in common.
pub(super) struct Pairing {
    pub(super) local: LocalPort,
    pub(super) domain: Arc<ProtectionDomain>,
    pub(super) queue: Arc<CompletionQueue>,
    /// Bytes that a request may carry inline.
    pub(super) inline_bytes: u32,
    /// Parts of one request.
    pub(super) parts_max: u32,
}

impl Pairing {
    /// A queue pair that can receive but is not connected.
    pub(super) fn begin(&self, receives: &Arc<SharedReceiveQueue>) -> Result<QueuePair, VerbsError> {
        let cap = ibv_qp_cap {
            max_send_wr: SEND_DEPTH as u32,
            max_recv_wr: 0,
            max_send_sge: self.parts_max,
            max_recv_sge: 0,
            max_inline_data: self.inline_bytes,
        };
        let pair = QueuePair::new(&self.domain, &self.queue, receives, cap)?;
        let mut attributes = zeroed();
        attributes.qp_state = ibv_qp_state::IBV_QPS_INIT;
        attributes.port_num = self.local.port.number;
        let access = ibv_access_flags::IBV_ACCESS_REMOTE_WRITE | ibv_access_flags::IBV_ACCESS_REMOTE_READ;
        attributes.qp_access_flags = access.0;
        use ibv_qp_attr_mask as mask;
        let set = mask::IBV_QP_STATE | mask::IBV_QP_PKEY_INDEX | mask::IBV_QP_PORT | mask::IBV_QP_ACCESS_FLAGS;
        pair.modify(&mut attributes, set)?;
        Ok(pair)
    }

    /// What another queue pair must know to be connected to this one; a ring it has none.
    pub(super) fn endpoint(&self, pair: &QueuePair, psn: u32) -> VerbsEndpoint {
        let local = &self.local;
        VerbsEndpoint {
            version: VerbsEndpoint::VERSION,
            generation: 0,
            is_ethernet: local.port.link_layer == LinkLayer::Ethernet,
            lid: local.port.lid,
            gid: local.gid.as_ref().map(|entry| entry.gid.0),
            mtu_bytes: local.mtu.bytes(),
            queue_pair: pair.number(),
            psn,
            reads_max: self.reads_answered(),
            receive_bytes: RECEIVE_BYTES as u32,
            ring_address: 0,
            ring_key: 0,
            slot_count: 0,
            slot_bytes: 0,
            slots: Vec::new(),
        }
    }

    /// READs that a queue pair of this device answers at a time.
    pub(super) fn reads_answered(&self) -> u8 {
        self.local.device.limits().rd_atom_max.clamp(1, READS_MAX) as u8
    }

    /// READs that a queue pair has under way at a time to a peer that answers `theirs`.
    pub(super) fn reads_asked(&self, theirs: u8) -> u8 {
        (self.local.device.limits().init_rd_atom_max.clamp(1, READS_MAX) as u8).min(theirs.max(1))
    }

    /// Connects as far as sending.
    pub(super) fn connect(&self, pair: &QueuePair, psn: u32, remote: &VerbsEndpoint) -> Result<(), VerbsError> {
        use ibv_qp_attr_mask as mask;
        let mut attributes = zeroed();
        let theirs = Mtu::of_bytes(remote.mtu_bytes).unwrap_or(self.local.mtu);
        attributes.qp_state = ibv_qp_state::IBV_QPS_RTR;
        attributes.path_mtu = self.local.mtu.min(theirs).code();
        attributes.dest_qp_num = remote.queue_pair;
        attributes.rq_psn = remote.psn;
        attributes.max_dest_rd_atomic = self.reads_answered();
        attributes.min_rnr_timer = MIN_RNR_TIMER;
        attributes.ah_attr = self.address_of(remote);
        let path = mask::IBV_QP_AV | mask::IBV_QP_PATH_MTU | mask::IBV_QP_DEST_QPN | mask::IBV_QP_RQ_PSN;
        let set = mask::IBV_QP_STATE | path | mask::IBV_QP_MAX_DEST_RD_ATOMIC | mask::IBV_QP_MIN_RNR_TIMER;
        pair.modify(&mut attributes, set)?;

        attributes.qp_state = ibv_qp_state::IBV_QPS_RTS;
        attributes.sq_psn = psn;
        attributes.timeout = TIMEOUT;
        attributes.retry_cnt = RETRY_COUNT;
        attributes.rnr_retry = RNR_RETRY;
        attributes.max_rd_atomic = self.reads_asked(remote.reads_max);
        let patience = mask::IBV_QP_TIMEOUT | mask::IBV_QP_RETRY_CNT | mask::IBV_QP_RNR_RETRY;
        let set = mask::IBV_QP_STATE | patience | mask::IBV_QP_SQ_PSN | mask::IBV_QP_MAX_QP_RD_ATOMIC;
        pair.modify(&mut attributes, set)
    }

    /// What may be sent over a queue pair that is connected to `remote`.
    pub(super) fn limits(&self, remote: &VerbsEndpoint, is_readable: bool) -> Limits {
        Limits {
            inline_bytes: self.inline_bytes as usize,
            parts_max: self.parts_max as usize,
            request_bytes_max: self.local.port.message_bytes_max as usize,
            receive_bytes: remote.receive_bytes as usize,
            slot_bytes: remote.slot_bytes as usize,
            is_readable,
        }
    }

    fn address_of(&self, remote: &VerbsEndpoint) -> ibv_ah_attr {
        let (ours, theirs) = (&self.local.gid, remote.gid);
        let grh = ibv_global_route {
            dgid: ibv_gid { raw: theirs.unwrap_or_default() },
            flow_label: 0,
            // The table is read only as far as this byte reaches.
            sgid_index: ours.as_ref().map_or(0, |entry| entry.index as u8),
            hop_limit: HOP_LIMIT,
            traffic_class: self.local.traffic_class,
        };
        ibv_ah_attr {
            grh,
            dlid: remote.lid,
            sl: 0,
            src_path_bits: 0,
            static_rate: 0,
            is_global: u8::from(ours.is_some() && theirs.is_some()),
            port_num: self.local.port.number,
        }
    }
}

impl QueuePair {
    /// Moves the queue pair to error: what is posted is flushed, and what comes is dropped.
    pub(super) fn halt(&self) -> Result<(), VerbsError> {
        let mut attributes = zeroed();
        attributes.qp_state = ibv_qp_state::IBV_QPS_ERR;
        self.modify(&mut attributes, ibv_qp_attr_mask::IBV_QP_STATE)
    }
}

fn zeroed() -> ibv_qp_attr {
    // SAFETY: all-zero bits are a valid value of every field.
    unsafe { MaybeUninit::zeroed().assume_init() }
}
