//! Which memory of the pools is registered, and with which rights: whole slabs, each on first use.
//!
//! | pool | whose | rights |
//! |---|---|---|
//! | the node's pool | a server's | the device writes it for us (the end of a READ); no peer reaches it |
//! | the node's pool | a worker's | the same, and peers may read it: large pushes are fetched from there |
//! | the landing pool | a worker's | peers may write it: answers land there; by a window, where there are any |
//! | the same, memory of the program | a worker's | peers may read it too |
//!
//! A program's memory is deregistered when its pool says that it is retired; until then it is held, and so it
//! is as long as a window is open to it.
//! A node with a landing pool is a worker. Memory of no pool is not registered: it is copied first.

use super::error::VerbsError;
use super::plan::Part;
use super::resource::{Memory, MemoryRegion, ProtectionDomain};
use crate::memory::{Landing, Pool, SlabInfo};
use rdma_sys::ibv_access_flags;
use std::sync::Arc;

struct Slab {
    start: usize,
    end: usize,
    /// Its name in its pool.
    index: usize,
    is_landing: bool,
    is_readable: bool,
    region: Arc<MemoryRegion>,
}

pub(super) struct Registry {
    domain: Arc<ProtectionDomain>,
    pool: Arc<Pool>,
    landing: Option<Arc<Pool>>,
    /// Whether windows open landings, one at a time.
    has_windows: bool,
    /// In order of their addresses.
    slabs: Vec<Slab>,
}

impl Registry {
    pub(super) fn new(
        domain: &Arc<ProtectionDomain>,
        pool: &Arc<Pool>,
        landing: Option<&Arc<Pool>>,
        has_windows: bool,
    ) -> Registry {
        let (domain, pool, landing) = (Arc::clone(domain), Arc::clone(pool), landing.cloned());
        Registry { domain, pool, landing, has_windows, slabs: Vec::new() }
    }

    /// Whether peers may read the node's pool.
    pub(super) fn is_readable(&self) -> bool {
        self.landing.is_some()
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The bytes as a part of a work request; nothing when they lie in no pool.
    pub(super) fn part(&mut self, bytes: &[u8]) -> Result<Option<Part>, VerbsError> {
        self.part_at(bytes.as_ptr() as usize, bytes.len())
    }

    /// As [`part`](Self::part), by address.
    pub(super) fn part_at(&mut self, address: usize, bytes: usize) -> Result<Option<Part>, VerbsError> {
        let slab = self.slab_of(address, bytes)?;
        Ok(slab.map(|slab| Part {
            address: address as u64,
            // A frame's body has far fewer bytes than fit.
            bytes: bytes as u32,
            key: slab.region.local_key(),
        }))
    }

    /// The key by which a peer can read these bytes, if it may.
    pub(super) fn key_to_read(&mut self, address: usize, bytes: usize) -> Result<Option<u32>, VerbsError> {
        if !self.is_readable() {
            return Ok(None);
        }
        Ok(self.slab_of(address, bytes)?.filter(|slab| slab.is_readable).map(|slab| slab.region.remote_key()))
    }

    /// The region in which a landing lies, if peers may write there or a window may open it for them.
    pub(super) fn region_to_land(&mut self, landing: &Landing) -> Result<Option<Arc<MemoryRegion>>, VerbsError> {
        let slab = self.slab_of(landing.address(), landing.bytes())?;
        Ok(slab.filter(|slab| slab.is_landing).map(|slab| Arc::clone(&slab.region)))
    }

    fn slab_of(&mut self, address: usize, bytes: usize) -> Result<Option<&Slab>, VerbsError> {
        let mut next = self.slabs.partition_point(|slab| slab.start <= address);
        if next == 0 || address >= self.slabs[next - 1].end {
            if !self.register(address, next)? {
                return Ok(None);
            }
            next += 1;
        }
        let slab = &self.slabs[next - 1];
        // No block crosses the end of its slab.
        Ok((bytes <= slab.end - address).then_some(slab))
    }

    /// Registers the slab in which `address` lies, if it lies in one.
    fn register(&mut self, address: usize, place: usize) -> Result<bool, VerbsError> {
        let of_landing = || self.landing.as_ref().and_then(|pool| pool.hold(address));
        let (hold, is_landing) = match self.pool.hold(address) {
            Some(hold) => (hold, false),
            None => match of_landing() {
                Some(hold) => (hold, true),
                None => return Ok(false),
            },
        };
        let SlabInfo { index, start, bytes, is_adopted } = hold.slab();
        let is_readable = self.is_readable() && (!is_landing || is_adopted);
        let mut rights = ibv_access_flags::IBV_ACCESS_LOCAL_WRITE;
        if is_landing {
            let by_window = ibv_access_flags::IBV_ACCESS_MW_BIND;
            rights = rights | if self.has_windows { by_window } else { ibv_access_flags::IBV_ACCESS_REMOTE_WRITE };
        }
        if is_readable {
            rights = rights | ibv_access_flags::IBV_ACCESS_REMOTE_READ;
        }
        let region = Arc::new(MemoryRegion::new(&self.domain, Memory::Slab(hold), rights)?);
        tracing::debug!(bytes, is_landing, is_readable, "registered a slab");
        self.slabs.insert(place, Slab { start, end: start + bytes, index, is_landing, is_readable, region });
        Ok(true)
    }

    /// Deregisters memory of the program that nobody uses any more: no work request names it.
    pub(super) fn let_go_of_retired(&mut self) {
        for index in self.landing.as_ref().map(|pool| pool.retired()).unwrap_or_default() {
            self.slabs.retain(|slab| !(slab.is_landing && slab.index == index));
        }
    }
}
