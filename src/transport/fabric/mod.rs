//! The fabric that nodes use: TCP for control, and for the data of each pair the fastest link there is.
//!
//! Each pair of nodes keeps its one authenticated connection. A *link* is a faster way for the pair's
//! data frames: a ring in memory of one process or host. Nothing assumes order between
//! frames, so while a link is being set up frames go over the connection, and so does every frame that
//! a link cannot carry.
//!
//! * `choice`     which ways are allowed.
//! * `setup`      what two fabrics say to each other; frames that protocol never sees.
//! * `establish`  from a connection to a link.
//! * `peer`       what is known of one peer.
//!
//! Invariants:
//! * A link lives as long as the connection under which it was made. A lost connection closes the link
//!   at once; a link that fails cuts the connection. So there is one way to recover: the connection
//!   comes back, unanswered requests are sent again, and a new link is made, with a new generation.
//! * A choice that was forced and cannot be met ends the node with an error; it never falls back.
//! * From a peer that does not read its answers nothing more is read. Only the side that answers does
//!   so, which is the lower node of a pair: if both did, each could wait for the other for ever.

mod choice;
mod establish;
mod peer;
mod setup;
#[cfg(test)]
mod tests;

pub use choice::{LinkCounts, LinkKind, TransportChoice};

use super::origin::Origin;
use super::ring::{Doorbell, RingLink};
use super::tcp::{TcpConfig, TcpTransport};
use super::verbs::VerbsConfig;
use super::{Incoming, Transport, TransportError, Waker};
use crate::id::{JobId, Nanos, NodeId};
use crate::limit;
use crate::memory::Pool;
use crate::transport::shm::Host;
use crate::wire::{Kind, TxFrame};
use peer::{Peer, Stage};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// A peer that was not read from is read from again when less than this is queued for it.
const RESUME_BYTES: usize = limit::SEND_QUEUE_BYTES / 2;

/// How a node's pairs choose their links.
#[derive(Debug, Clone, Default)]
pub struct LinkSettings {
    /// Which ways are allowed.
    pub choice: TransportChoice,
    /// Which device and port verbs links use.
    pub verbs: VerbsConfig,
}

/// The fabric of one node.
pub struct FabricTransport {
    tcp: TcpTransport,
    node: NodeId,
    job: JobId,
    pool: Arc<Pool>,
    choice: TransportChoice,
    /// Rung by peers of this host while we sleep.
    bell: Doorbell,
    /// Where peers of this host get shared memory, once one was expected.
    host: Option<Host>,
    /// Servers and workers that are or were connected.
    peers: BTreeMap<NodeId, Peer>,
    paused_count: usize,
    /// The first peer with whom the choice cannot be met, and why: the node cannot go on.
    refusal: Option<(NodeId, String)>,
    /// Whether links have more than the latest `rx_burst` took.
    has_more: bool,
    /// Used again by each `rx_burst`, and by each `tx_burst` with frames too large for a link.
    arrived: Vec<Incoming>,
    large: Vec<TxFrame>,
}

impl FabricTransport {
    /// Opens the fabric.
    ///
    /// # Errors
    /// When the connection's fabric cannot be opened, or the forced choice cannot be met on this node.
    pub fn open(config: TcpConfig, settings: &LinkSettings) -> Result<FabricTransport, TransportError> {
        let TcpConfig { node, job, .. } = config;
        let pool = Arc::clone(&config.pool);
        let tcp = TcpTransport::open(config)?;
        let bell = Doorbell::new().map_err(TransportError::Poll)?;
        tcp.watch(bell.as_fd()).map_err(TransportError::Poll)?;
        Ok(FabricTransport {
            tcp,
            node,
            job,
            pool,
            choice: settings.choice,
            bell,
            host: None,
            peers: BTreeMap::new(),
            paused_count: 0,
            refusal: None,
            has_more: false,
            arrived: Vec::new(),
            large: Vec::new(),
        })
    }

    /// Where the listener listens, with the port that the system chose.
    #[must_use]
    pub fn local_address(&self) -> Option<String> {
        self.tcp.local_address()
    }

    /// Cuts the connection to `peer` as a failing network would, and its link with it; for tests of
    /// what happens then.
    pub fn break_connection(&mut self, peer: NodeId) {
        self.tcp.break_connection(peer);
    }

    /// The way that the data frames of the pair with `peer` take, once both know it.
    #[must_use]
    pub fn link_kind(&self, peer: NodeId) -> Option<LinkKind> {
        match self.peers.get(&peer)?.stage {
            Stage::Settled(kind) => Some(kind),
            _ => None,
        }
    }

    /// How many pairs take which way.
    #[must_use]
    pub fn link_counts(&self) -> LinkCounts {
        let mut counts = LinkCounts::default();
        for peer in self.peers.values() {
            if let Stage::Settled(kind) = peer.stage {
                counts.add(kind);
            }
        }
        counts
    }

    fn take_arrived(&mut self, now: Nanos, incoming: &mut Vec<Incoming>) {
        let mut arrived = std::mem::take(&mut self.arrived);
        for told in arrived.drain(..) {
            match &told {
                Incoming::Frame { from, frame } if frame.header.kind == Kind::Setup => {
                    self.on_setup(now, *from, frame);
                    continue;
                }
                Incoming::Up { peer, .. } | Incoming::Reconnected { peer, .. } => self.on_connected(now, *peer),
                Incoming::Lost { peer, .. } => self.close(*peer),
                Incoming::Frame { .. } | Incoming::Refused { .. } => {}
            }
            incoming.push(told);
        }
        self.arrived = arrived;
    }

    fn read_links(&mut self, incoming: &mut Vec<Incoming>, frames_max: usize) {
        self.has_more = false;
        let mut failed = None;
        for (&peer, record) in &mut self.peers {
            let Some(link) = record.link.as_mut().filter(|link| link.is_readable(record.is_paused)) else { continue };
            let origin = Origin { job: self.job, peer, pool: &self.pool };
            match link.receive(&origin, record.is_paused, incoming, frames_max) {
                Ok(more) => self.has_more |= more,
                Err(error) => failed = Some((peer, error)),
            }
        }
        if let Some((peer, error)) = failed {
            self.fail(peer, &error.to_string());
        }
    }

    fn flush_links(&mut self) {
        let mut failed = None;
        for (&peer, record) in &mut self.peers {
            if let Some(Err(error)) = record.link.as_mut().map(RingLink::flush) {
                failed = Some((peer, error));
            }
        }
        if let Some((peer, error)) = failed {
            self.fail(peer, &error.to_string());
        }
        if self.paused_count > 0 {
            self.resume_peers();
        }
    }

    /// Stops reading from a peer that asks and does not read its answers.
    fn pause_full(&mut self, peer: NodeId) {
        let is_full = self.node < peer && self.queued_bytes(peer) >= limit::SEND_QUEUE_BYTES;
        if is_full
            && let Some(record) = self.peers.get_mut(&peer)
            && !record.is_paused
        {
            tracing::debug!(%peer, "it does not read its answers: nothing more is read from it for now");
            record.is_paused = true;
            self.paused_count += 1;
            self.tcp.pause(peer, true);
        }
    }

    fn resume_peers(&mut self) {
        let paused = self.peers.iter().filter(|(_, record)| record.is_paused).map(|(&peer, _)| peer);
        let ready: Vec<NodeId> = paused.filter(|&peer| self.queued_bytes(peer) < RESUME_BYTES).collect();
        for peer in ready {
            if let Some(record) = self.peers.get_mut(&peer) {
                record.is_paused = false;
                self.paused_count -= 1;
                self.has_more = true;
                self.tcp.pause(peer, false);
            }
        }
    }
}

impl Transport for FabricTransport {
    fn connect(&mut self, now: Nanos, peer: NodeId, address: &str) {
        self.tcp.connect(now, peer, address);
    }

    fn disconnect(&mut self, now: Nanos, peer: NodeId) {
        self.close(peer);
        self.tcp.disconnect(now, peer);
    }

    fn tx_burst(&mut self, now: Nanos, peer: NodeId, frames: &mut Vec<TxFrame>) {
        match self.peers.get_mut(&peer).and_then(|record| record.link.as_mut()) {
            None => self.tcp.tx_burst(now, peer, frames),
            Some(link) if frames.iter().all(RingLink::carries) => link.enqueue(frames),
            Some(link) => {
                self.large.extend(frames.extract_if(.., |frame| !RingLink::carries(frame)));
                link.enqueue(frames);
                self.tcp.tx_burst(now, peer, &mut self.large);
                frames.append(&mut self.large);
            }
        }
        self.pause_full(peer);
    }

    fn queued_bytes(&self, peer: NodeId) -> usize {
        let link = self.peers.get(&peer).and_then(|record| record.link.as_ref());
        self.tcp.queued_bytes(peer) + link.map_or(0, RingLink::queued_bytes)
    }

    fn rx_burst(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) -> bool {
        let is_more = self.tcp.rx_burst(now, &mut self.arrived, frames_max);
        if !self.arrived.is_empty() {
            self.take_arrived(now, incoming);
        }
        self.attend_guests(now);
        self.read_links(incoming, frames_max);
        is_more || self.has_more
    }

    fn flush(&mut self, now: Nanos) {
        self.flush_links();
        self.tcp.flush(now);
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        self.tcp.poll_timeout().into_iter().chain(self.guests_timeout()).min()
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), TransportError> {
        if let Some((peer, reason)) = &self.refusal {
            return Err(TransportError::Choice { choice: self.choice, peer: *peer, reason: reason.clone() });
        }
        if self.has_more {
            return Ok(());
        }
        let peers = RefCell::new(&mut self.peers);
        let mut armed = false;
        let mut look = || {
            let peers = peers.borrow();
            peers.values().any(|record| record.link.as_ref().is_some_and(RingLink::has_arrived))
        };
        let mut arm = || {
            armed = true;
            let mut peers = peers.borrow_mut();
            let links = peers.values_mut().filter_map(|record| record.link.as_mut());
            links.fold(false, |is_there, link| link.arm() || is_there)
        };
        let slept = self.tcp.sleep_with(timeout, &mut look, &mut arm);
        if armed {
            self.peers.values_mut().filter_map(|record| record.link.as_mut()).for_each(RingLink::disarm);
        }
        slept
    }

    fn waker(&self) -> Waker {
        self.tcp.waker()
    }
}

impl fmt::Debug for FabricTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FabricTransport({:?}, {:?})", self.tcp, self.link_counts())
    }
}
