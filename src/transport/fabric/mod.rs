//! The fabric that nodes use: TCP for control, and for the data of each pair the fastest link there is.
//!
//! Each pair of nodes keeps its one authenticated connection. A *link* is a faster way for the pair's
//! data frames: a ring in memory of one process or host, or a queue pair. Nothing assumes order between
//! frames, so while a link is being set up frames go over the connection, and so does every frame that
//! a link cannot carry.
//!
//! * `choice`     which ways are allowed.
//! * `setup`      what two fabrics say to each other; frames that protocol never sees.
//! * `establish`  from a connection to a link.
//! * `guests`     how two processes of a host come to share memory.
//! * `pause`      how long after a link that broke the next one is set up.
//! * `peer`       what is known of one peer.
//! * `progress`   the loop: frames of the connections and of all links, and how to sleep on both.
//!
//! Invariants:
//! * A link lives as long as the connection under which it was made. A lost connection closes the link
//!   at once; a link that fails cuts the connection. So there is one way to recover: the connection
//!   comes back, unanswered requests are sent again, and a new link is made, with a new generation.
//! * A link that broke is set up again, after a pause that grows as long as links keep breaking or cannot
//!   be made; the pair's data go over the connection meanwhile.
//! * A choice that was forced and cannot be met ends the node with an error; it never falls back.
//!   One that was met before is waited for: a network that is down comes up, but for a device that is gone.
//! * From a peer that does not read its answers nothing more is read. Only the side that answers does
//!   so, which is the lower node of a pair: if both did, each could wait for the other for ever.

mod choice;
mod establish;
mod guests;
mod pause;
mod peer;
mod progress;
mod setup;
#[cfg(test)]
mod tests;

pub use choice::{LinkCounts, LinkKind, TransportChoice};

use super::ring::Doorbell;
use super::shm::Host;
use super::tcp::{TcpConfig, TcpTransport};
use super::verbs::{Fault, OpcodeCounts, Verbs, VerbsConfig};
use super::{Incoming, TransportError};
use crate::id::{JobId, NodeId, Role};
use crate::memory::Pool;
use crate::memory::numa::NumaNode;
use crate::wire::TxFrame;
use peer::Peer;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// How a node's pairs choose their links.
#[derive(Debug, Clone, Default)]
pub struct LinkSettings {
    /// Which ways are allowed.
    pub choice: TransportChoice,
    /// Which device and port verbs links use.
    pub verbs: VerbsConfig,
    /// Memory node that the device should be near, where the settings name none.
    pub near: Option<NumaNode>,
}

/// The fabric of one node.
pub struct FabricTransport {
    tcp: TcpTransport,
    node: NodeId,
    job: JobId,
    pool: Arc<Pool>,
    choice: TransportChoice,
    /// All verbs links, where they are allowed and there is a device.
    verbs: Option<Verbs>,
    /// Why there are none, where they are allowed.
    no_verbs: Option<String>,
    /// Where answers land, written by a peer's device or copied there straight from a ring: of workers that
    /// have more than connections.
    landing: Option<Arc<Pool>>,
    /// Rung by peers of this host while we sleep.
    bell: Doorbell,
    /// Where peers of this host get shared memory, once one was expected.
    host: Option<Host>,
    /// Servers and workers that are or were connected.
    peers: BTreeMap<NodeId, Peer>,
    paused_count: usize,
    /// The first peer with whom the choice cannot be met, and why: the node cannot go on.
    refusal: Option<(NodeId, String)>,
    /// Whether a link is a ring; without one nobody goes through the peers for it.
    has_rings: bool,
    /// Whether links have more than the latest `rx_burst` took.
    has_more: bool,
    /// Whether a wait ended because a link has something.
    has_found: bool,
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
        tcp.watch(bell.as_fd().as_raw_fd()).map_err(TransportError::Poll)?;
        let has_landing = node.role() == Some(Role::Worker) && settings.choice != TransportChoice::Tcp;
        let landing = has_landing.then(|| pool.another());
        let (verbs, no_verbs) = match settings.choice.allows(LinkKind::Verbs) {
            false => (None, None),
            true => {
                match Verbs::open(&settings.verbs, settings.near.map(|node| node.0), job, &pool, landing.as_ref()) {
                    Ok(verbs) => (Some(verbs), None),
                    Err(error) if settings.choice == TransportChoice::Verbs => {
                        return Err(TransportError::Verbs(error));
                    }
                    Err(error) => (None, Some(format!("verbs: {error}"))),
                }
            }
        };
        if let Some(reason) = &no_verbs {
            tracing::info!(reason, "verbs are not available");
        }
        for descriptor in verbs.iter().flat_map(Verbs::fds) {
            tcp.watch(descriptor.as_raw_fd()).map_err(TransportError::Poll)?;
        }
        Ok(FabricTransport {
            tcp,
            node,
            job,
            pool,
            choice: settings.choice,
            landing,
            verbs,
            no_verbs,
            bell,
            host: None,
            peers: BTreeMap::new(),
            paused_count: 0,
            refusal: None,
            has_rings: false,
            has_more: false,
            has_found: false,
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

    /// Does what a failing device or a mad peer does on the verbs link to `peer`; for tests of what
    /// happens then. Does nothing without one.
    ///
    /// # Errors
    /// When the device refuses even that.
    pub fn inject(&mut self, peer: NodeId, fault: &Fault) -> io::Result<()> {
        self.verbs.as_mut().map_or(Ok(()), |verbs| verbs.inject(peer, fault))
    }

    /// What was posted to the device so far; nothing without one.
    #[must_use]
    pub fn opcode_counts(&self) -> Option<OpcodeCounts> {
        self.verbs.as_ref().map(Verbs::counts)
    }

    /// The pool of memory that answers may land in: on a worker, unless its choice is the connection alone.
    #[must_use]
    pub fn landing_pool(&self) -> Option<&Arc<Pool>> {
        self.landing.as_ref()
    }

    /// The way that the data frames of the pair with `peer` take, once both know it.
    #[must_use]
    pub fn link_kind(&self, peer: NodeId) -> Option<LinkKind> {
        self.peers.get(&peer)?.kind()
    }

    /// How many pairs take which way.
    #[must_use]
    pub fn link_counts(&self) -> LinkCounts {
        let mut counts = LinkCounts::default();
        self.peers.values().filter_map(Peer::kind).for_each(|kind| counts.add(kind));
        counts
    }
}

impl fmt::Debug for FabricTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FabricTransport({:?}, {:?})", self.tcp, self.link_counts())
    }
}
