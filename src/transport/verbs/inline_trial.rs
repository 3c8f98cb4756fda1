//! How much a send may carry inline: no query tells, so queue pairs are made until one is granted.

use super::device::Device;
use super::error::VerbsError;
use super::resource::{CompletionQueue, ProtectionDomain, QueuePair, SharedReceiveQueue};
use rdma_sys::ibv_qp_cap;
use std::sync::Arc;

/// Entries of a trial's queues.
const QUEUE_DEPTH: u32 = 4;

impl Device {
    /// The most bytes up to `wanted` that a send on this device may carry inline.
    ///
    /// # Errors
    /// When not even a queue pair without inline data can be made.
    pub fn inline_bytes_max(self: &Arc<Device>, wanted: u32) -> Result<u32, VerbsError> {
        let domain = ProtectionDomain::new(self)?;
        let queue = CompletionQueue::new(self, QUEUE_DEPTH)?;
        let receives = SharedReceiveQueue::new(&domain, QUEUE_DEPTH)?;
        let is_granted = |max_inline_data| {
            let cap = ibv_qp_cap {
                max_send_wr: QUEUE_DEPTH,
                max_recv_wr: 0,
                max_send_sge: 1,
                max_recv_sge: 0,
                max_inline_data,
            };
            QueuePair::new(&domain, &queue, &receives, cap).map(drop)
        };
        is_granted(0)?;
        if is_granted(wanted).is_ok() {
            return Ok(wanted);
        }
        let (mut granted, mut refused) = (0, wanted);
        while refused - granted > 1 {
            let middle = granted + (refused - granted) / 2;
            if is_granted(middle).is_ok() { granted = middle } else { refused = middle }
        }
        Ok(granted)
    }
}
