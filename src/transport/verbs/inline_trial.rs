//! How much a send may carry inline: no query tells, so queue pairs are made until one is granted.

use super::device::Device;
use super::error::VerbsError;
use super::guard::{CompletionQueue, ProtectionDomain, QueuePair};
use std::sync::Arc;

impl Device {
    /// The most bytes up to `wanted` that a send on this device may carry inline.
    ///
    /// # Errors
    /// When not even a queue pair without inline data can be made.
    pub fn inline_bytes_max(self: &Arc<Device>, wanted: u32) -> Result<u32, VerbsError> {
        let domain = ProtectionDomain::new(self)?;
        let queue = CompletionQueue::new(self)?;
        let is_granted = |bytes| QueuePair::new(&domain, &queue, bytes).map(drop);
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
