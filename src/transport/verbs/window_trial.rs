//! Whether the device binds windows as it says: some drivers say so and refuse, and a refusal in the middle
//! of a job would end a link each time.

use super::counts::OpcodeCounts;
use super::error::VerbsError;
use super::pairing::Pairing;
use super::plan::{Operation, Parts, Request};
use super::post::post;
use super::receives::{Receives, own_memory};
use super::resource::MemoryRegion;
use super::window::Windows;
use rdma_sys::ibv_access_flags;
use std::sync::Arc;

const BYTES: usize = 4096;
const FIRST_PSN: u32 = 0x5a5a;

/// Opens and closes a window on a queue pair that is connected to another one of this port. Nothing else
/// may complete in the queue meanwhile.
///
/// # Errors
/// What the device refuses.
pub(super) fn try_window(pairing: &Pairing, receives: &Receives) -> Result<(), VerbsError> {
    let access = ibv_access_flags::IBV_ACCESS_LOCAL_WRITE | ibv_access_flags::IBV_ACCESS_MW_BIND;
    let region = Arc::new(MemoryRegion::new(&pairing.domain, own_memory(&pairing.domain, BYTES)?, access)?);
    // Invariant: memory of one's own is no slab.
    let Some(memory) = region.own() else { unreachable!("memory of one's own") };
    let pairs = [pairing.begin(&receives.queue)?, pairing.begin(&receives.queue)?];
    pairing.connect(&pairs[0], FIRST_PSN, &pairing.endpoint(&pairs[1], FIRST_PSN))?;
    pairing.connect(&pairs[1], FIRST_PSN, &pairing.endpoint(&pairs[0], FIRST_PSN))?;
    // Behind the pairs, so that it is dropped before them.
    let mut windows = Windows::new(&pairing.domain, 1);
    let failed =
        |source| VerbsError::Call { call: "IBV_WR_BIND_MW", device: pairing.local.device.name().to_owned(), source };
    let Some((_opened, binding)) = windows.open(memory.shared().address(), BYTES, &region) else {
        return Err(failed(std::io::ErrorKind::OutOfMemory.into()));
    };
    for (number, operation) in [(0, Operation::Bind(binding)), (1, Operation::Invalidate(binding.key))] {
        let request = Request { operation, parts: Parts::new(), is_inline: false, is_signaled: true };
        // SAFETY: window and region live to the end of this function, and the request names no other memory.
        let posted = unsafe { post(&pairs[0], number, &[request], &mut OpcodeCounts::default()) };
        posted.map_err(failed)?;
        pairing.local.completion(&pairing.queue)?;
    }
    Ok(())
}
