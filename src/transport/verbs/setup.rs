//! Opening the transport, and links from their making to their end.

use super::choice::LocalPort;
use super::endpoint::VerbsEndpoint;
use super::error::VerbsError;
use super::library::Library;
use super::limits::Demand;
use super::link::{Link, RemoteEnd};
use super::pairing::{PARTS_MAX, Pairing};
use super::plan::{Remote, SEND_DEPTH};
use super::receive::Arrival;
use super::receives::{RECEIVE_SLACK, Receives, own_memory};
use super::registry::Registry;
use super::resource::{CompletionQueue, MemoryRegion, ProtectionDomain, unblock};
use super::send::{Batch, INLINE_BYTES};
use super::tokens::TOKENS_MAX;
use super::window::Windows;
use super::window_trial::try_window;
use super::{Shared, Verbs, VerbsConfig, WindowUse};
use crate::id::{JobId, NodeId};
use crate::memory::Pool;
use crate::transport::ring::{Credit, Credits, Lender, SLOTS_LENT_MAX, SLOTS_RESERVED};
use rdma_sys::ibv_access_flags;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Bytes of a slot.
const SLOT_BYTES: usize = 64 << 10;
/// Slots of the ring.
const SLOT_COUNT: u16 = 256;
/// Receive buffers, where the device takes as many.
const RECEIVE_COUNT: u32 = 4096;
/// Receives of one link: its reserve of slots, and the peer's messages of credits.
const LINK_RECEIVES: usize = SLOTS_RESERVED as usize + SLOTS_LENT_MAX as usize;
/// Closed links that may each have cost a receive before the queue is made anew.
const LOST_RECEIVES_MAX: usize = 64;

impl Verbs {
    /// Chooses a port as `config` says, near the NUMA node `near` where it says nothing, and makes
    /// everything that links share. Frames of `job` go to and from `pool`; answers may land in `landing`,
    /// which workers have: then peers may also read `pool`.
    ///
    /// # Errors
    /// That there is no usable device, or which of its or the system's limits is too low.
    pub fn open(
        config: &VerbsConfig,
        near: Option<u32>,
        job: JobId,
        pool: &Arc<Pool>,
        landing: Option<&Arc<Pool>>,
    ) -> Result<Verbs, VerbsError> {
        let local = LocalPort::choose(Library::load()?, config, near)?;
        let device = Arc::clone(&local.device);
        let limits = *device.limits();
        let parts_max = PARTS_MAX.min(limits.sge_max);
        let receive_count = RECEIVE_COUNT.min(limits.srq_wr_max);
        let links_max = (receive_count as usize).saturating_sub(RECEIVE_SLACK) / LINK_RECEIVES;
        let wished = receive_count.saturating_add((links_max * SEND_DEPTH) as u32);
        let entries = wished.min(limits.cqe_max);
        let ring_bytes = usize::from(SLOT_COUNT) * SLOT_BYTES;
        let demand = Demand {
            qp_wr_count: SEND_DEPTH as u32,
            sge_count: 1,
            cqe_count: receive_count + SEND_DEPTH as u32,
            srq_wr_count: (RECEIVE_SLACK + LINK_RECEIVES) as u32,
            mr_bytes: ring_bytes as u64,
        };
        limits.check(device.name(), &demand)?;
        // The descriptor stays open with the device.
        unblock("fcntl on a device", &device, device.event_fd())?;
        let inline_bytes = device.inline_bytes_max(INLINE_BYTES as u32)?;
        let domain = ProtectionDomain::new(&device)?;
        let queue = CompletionQueue::new(&device, entries)?;
        let access = ibv_access_flags::IBV_ACCESS_LOCAL_WRITE | ibv_access_flags::IBV_ACCESS_REMOTE_WRITE;
        let ring = MemoryRegion::new(&domain, own_memory(&domain, ring_bytes)?, access)?;
        let receives = Receives::new(&domain, receive_count as usize)?;
        let pairing = Pairing { local, domain, queue, inline_bytes, parts_max };
        let windows_max = match config.windows {
            WindowUse::Auto if landing.is_some() => windows_of_link(&pairing, &receives, links_max),
            _ => None,
        };
        let shared = Shared {
            job,
            registry: Registry::new(&pairing.domain, pool, landing, windows_max.is_some()),
            windows_max,
            pairing,
            receives,
            ring,
            slot_bytes: SLOT_BYTES,
            lender: Lender::new(SLOT_COUNT, 0),
            grants: Vec::new(),
            batch: Batch::new(),
            counts: super::OpcodeCounts::default(),
        };
        Ok(Verbs {
            links: Vec::new(),
            shared,
            by_peer: BTreeMap::new(),
            by_number: BTreeMap::new(),
            links_max: links_max.min((entries - receive_count) as usize / SEND_DEPTH),
            completions: Vec::with_capacity(super::POLL_COUNT),
            ready: VecDeque::new(),
            parked: Vec::new(),
            unsent: Vec::new(),
            carried: Vec::new(),
            failures: VecDeque::new(),
            lost_receives: 0,
            out_of_use: None,
            is_armed: false,
            has_looked: false,
            polls: 0,
        })
    }

    /// Makes this end of a link to `peer`: a queue pair that can receive, and the slots that the peer
    /// may write from the start. `generation`, which is not zero, tells this link from earlier ones to the
    /// same peer. A link to the peer that still stands is closed.
    ///
    /// # Errors
    /// When no slot or receive is left for another peer, or the device refuses.
    pub fn begin(&mut self, peer: NodeId, generation: u16) -> Result<VerbsEndpoint, VerbsError> {
        self.close(peer);
        // What the device has to tell of earlier links must not end this one.
        self.take_events();
        let device = || self.shared.pairing.local.device.name().to_owned();
        if let Some(reason) = &self.out_of_use {
            return Err(VerbsError::OutOfUse { device: device(), reason: reason.clone() });
        }
        let links = self.by_peer.len();
        if links >= self.links_max {
            return Err(VerbsError::Links { peer, links, reason: "the completion queue is full".to_owned() });
        }
        if links == 0 && self.lost_receives > LOST_RECEIVES_MAX {
            self.shared.receives = Receives::new(&self.shared.pairing.domain, self.shared.receives.count())?;
            self.lost_receives = 0;
        }
        self.set_lendable(links + 1);
        let mut slots = Vec::new();
        let lent = self.shared.lender.open(peer, generation, SLOTS_RESERVED, &mut slots);
        lent.map_err(|error| VerbsError::Links { peer, links, reason: error.to_string() })?;
        let pair = match self.shared.pairing.begin(&self.shared.receives.queue) {
            Ok(pair) => pair,
            Err(error) => {
                self.shared.lender.close(peer);
                return Err(error);
            }
        };
        let pairing = &self.shared.pairing;
        let windows = self.shared.windows_max.map(|count_max| Windows::new(&pairing.domain, count_max));
        let link = Link::new(pair, windows, peer, generation, first_psn());
        let endpoint = self.shared.endpoint(&link, slots);
        let index = self.links.iter().position(Option::is_none).unwrap_or(self.links.len());
        if index == self.links.len() {
            self.links.push(None);
        }
        self.by_peer.insert(peer, index);
        self.by_number.insert(link.pair.number(), index);
        self.links[index] = Some(Box::new(link));
        Ok(endpoint)
    }

    /// Connects the link to `peer` that was begun to the peer's end of it. From then on both ends can
    /// send as soon as both are connected.
    ///
    /// # Errors
    /// When the ends do not fit together, or the device refuses.
    pub fn connect(&mut self, peer: NodeId, remote: &VerbsEndpoint) -> Result<(), VerbsError> {
        let objection = |reason: String| Err(VerbsError::Endpoint { peer, reason });
        let Some(link) = self.by_peer.get(&peer).and_then(|&index| self.links[index].as_mut()) else {
            return objection("its link was not begun".to_owned());
        };
        let shared = &self.shared;
        if let Some(reason) = remote.objection(&shared.pairing.local) {
            return objection(reason);
        }
        shared.pairing.connect(&link.pair, link.psn, remote)?;
        let mut credits = Credits::new(remote.slot_count, remote.generation);
        for &slot in &remote.slots {
            if let Err(error) = credits.accept(Credit { slot, kept: false }) {
                return objection(error.to_string());
            }
        }
        link.remote = Some(RemoteEnd {
            credits,
            limits: shared.pairing.limits(remote, shared.registry.is_readable()),
            ring: Remote { address: remote.ring_address, key: remote.ring_key },
            slot_count: remote.slot_count,
            reads_max: usize::from(shared.pairing.reads_asked(remote.reads_max)),
        });
        Ok(())
    }

    /// Ends the link to `peer`, if there is one: destroys its queue pair, after which the peer reaches no
    /// memory of ours by it, and takes back slots, landings and the buffers of frames under way.
    pub fn close(&mut self, peer: NodeId) {
        let Some(index) = self.by_peer.remove(&peer) else { return };
        if let Some(link) = &self.links[index] {
            if let Err(error) = link.pair.halt() {
                tracing::debug!("{error}");
            }
            // What has completed so far is taken while the queue pair still has its name.
            self.poll_all();
        }
        let Some(mut link) = self.links[index].take() else { return };
        self.by_number.remove(&link.pair.number());
        for arrival in link.arrivals.drain(..) {
            if let Arrival::Message { index, .. } = arrival
                && let Err(error) = self.shared.receives.give_back(index)
            {
                tracing::warn!("cannot post a receive: {error}");
            }
        }
        // The device may have taken a receive for a message that did not come to its end.
        self.lost_receives += 1;
        self.failures.retain(|(failed, _)| *failed != peer);
        self.ready.retain(|&ready| ready != index);
        self.parked.retain(|&parked| parked != index);
        self.unsent.retain(|&unsent| unsent != index);
        // Dropping the link destroys windows and queue pair first; only then the slots can be lent again.
        drop(link);
        self.shared.lender.close(peer);
        self.set_lendable(self.by_peer.len());
    }

    /// As many slots can be lent as there are receives beyond those for the peers' messages of credits.
    fn set_lendable(&mut self, links: usize) {
        let aside = RECEIVE_SLACK + self.lost_receives + links * usize::from(SLOTS_LENT_MAX);
        self.shared.lender.set_lendable(self.shared.receives.count().saturating_sub(aside));
    }
}

impl Shared {
    fn endpoint(&self, link: &Link, slots: Vec<u16>) -> VerbsEndpoint {
        VerbsEndpoint {
            generation: link.generation,
            ring_address: self.slot(0).address() as u64,
            ring_key: self.ring.remote_key(),
            slot_count: SLOT_COUNT,
            slot_bytes: self.slot_bytes as u32,
            slots,
            ..self.pairing.endpoint(&link.pair, link.psn)
        }
    }
}

/// Windows that each of so many links may have; none where the device has no windows of type 2.
fn windows_of_link(pairing: &Pairing, receives: &Receives, links_max: usize) -> Option<usize> {
    let limits = pairing.local.device.limits();
    let count = (limits.mw_count_max as usize / links_max.max(1)).min(TOKENS_MAX);
    if !limits.has_mw_type_2 || count == 0 {
        return None;
    }
    match try_window(pairing, receives) {
        Ok(()) => {
            tracing::debug!(count, "memory for answers is opened by windows");
            Some(count)
        }
        Err(error) => {
            tracing::warn!(
                "the device has memory windows, and a trial of one failed: {error}; all memory for answers is open to servers"
            );
            None
        }
    }
}

/// Where the packets of a queue pair begin to count: nobody can guess it who does not see them.
fn first_psn() -> u32 {
    // Without a source of randomness any number will do.
    getrandom::u32().unwrap_or(0x5_a5a5) & 0xff_ffff
}
