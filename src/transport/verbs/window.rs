//! Memory windows of type 2: the place of one answer, open to the one peer that is to write it.
//!
//! Where the device has them, a landing's region is not open to peers for writing at all. A window is bound
//! to the landing by a request in front of the question, which takes the window's key along, and is closed by
//! another request that is posted in the round that took the answer. Whoever uses the key afterwards, or on
//! another queue pair, ends his link and writes nothing. Until that request is done, a peer that writes to
//! memory whose answer it has sent still reaches it, as it does all the time where there are no windows.
//!
//! Who owns what: a window is its link's, and either free, or [`Opened`] with the offer that names its key.
//! An `Opened` holds the region, because none can be deregistered while a window is bound to it; the
//! requests of a queue pair are done in order, so that a window is free for the next question when the
//! request that closes it is planned, and the region is held until that one is done.
//!
//! Invariant: the windows of a link are destroyed before its queue pair: a bound one uses it.

use super::error::VerbsError;
use super::live::{Kind, Live};
use super::plan::Binding;
use super::resource::{MemoryRegion, ProtectionDomain, destroyed, made};
use rdma_sys::*;
use std::ptr::NonNull;
use std::sync::Arc;

/// A memory window of type 2.
struct MemoryWindow {
    window: NonNull<ibv_mw>,
    domain: Arc<ProtectionDomain>,
    _live: Live,
}

// SAFETY: libibverbs allows calls on its objects from any thread.
unsafe impl Send for MemoryWindow {}

impl MemoryWindow {
    fn new(domain: &Arc<ProtectionDomain>) -> Result<MemoryWindow, VerbsError> {
        // SAFETY: the domain lives.
        let window = unsafe { ibv_alloc_mw(domain.as_ptr(), ibv_mw_type::IBV_MW_TYPE_2) };
        let window = made(window, "ibv_alloc_mw", &domain.device)?;
        Ok(MemoryWindow { window, domain: Arc::clone(domain), _live: Live::new(Kind::MemoryWindow) })
    }

    /// The key of its next binding.
    fn next_key(&self) -> u32 {
        // SAFETY: the window lives.
        ibv_inc_rkey(unsafe { (*self.window.as_ptr()).rkey })
    }
}

impl Drop for MemoryWindow {
    fn drop(&mut self) {
        // SAFETY: made once; bound or not, nobody reaches memory by it afterwards.
        destroyed("ibv_dealloc_mw", &self.domain.device, unsafe { ibv_dealloc_mw(self.window.as_ptr()) });
    }
}

/// A window that is bound to a landing.
#[derive(Debug)]
pub(super) struct Opened {
    place: usize,
    key: u32,
    region: Arc<MemoryRegion>,
}

/// The windows of one link.
pub(super) struct Windows {
    domain: Arc<ProtectionDomain>,
    /// Where the device refused one more, as many as there are.
    count_max: usize,
    all: Vec<MemoryWindow>,
    free: Vec<usize>,
    /// Those whose answer has come.
    closing: Vec<Opened>,
}

impl Windows {
    /// None yet, and at most so many.
    pub(super) fn new(domain: &Arc<ProtectionDomain>, count_max: usize) -> Windows {
        Windows { domain: Arc::clone(domain), count_max, all: Vec::new(), free: Vec::new(), closing: Vec::new() }
    }

    /// Takes a window for these bytes of `region`, and says how it is to be bound. Nothing when there are
    /// too many, or the device has no more.
    pub(super) fn open(
        &mut self,
        address: usize,
        bytes: usize,
        region: &Arc<MemoryRegion>,
    ) -> Option<(Opened, Binding)> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.all.len() >= self.count_max => return None,
            None => {
                match MemoryWindow::new(&self.domain) {
                    Ok(window) => self.all.push(window),
                    Err(error) => {
                        self.count_max = self.all.len();
                        let count = self.count_max;
                        tracing::warn!(count, "no more memory windows, large answers may go by tcp: {error}");
                        return None;
                    }
                }
                self.all.len() - 1
            }
        };
        let window = &self.all[place];
        let key = window.next_key();
        let binding = Binding {
            window: window.window.as_ptr().expose_provenance(),
            region: region.as_ptr().expose_provenance(),
            key,
            address: address as u64,
            bytes: bytes as u64,
        };
        Some((Opened { place, key, region: Arc::clone(region) }, binding))
    }

    /// The answer has come: the peer has no business there any more.
    pub(super) fn close(&mut self, opened: Opened) {
        self.closing.push(opened);
    }

    /// Whether a window is to be closed.
    pub(super) fn has_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// The key of a window to be closed now, and its region, to be kept until that is done.
    pub(super) fn take_closing(&mut self) -> Option<(u32, Arc<MemoryRegion>)> {
        let Opened { place, key, region } = self.closing.pop()?;
        self.free.push(place);
        Some((key, region))
    }
}
