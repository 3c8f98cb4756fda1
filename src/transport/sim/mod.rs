//! A network in virtual time: one thread, one seed, every fault that a real one has.
//!
//! A [`SimNetwork`] is joined by nodes, each of which gets a [`SimTransport`]. Whoever drives them
//! goes from one [`SimNetwork::next_event_time`] to the next and lets every node that is not
//! paused call `rx_burst` at that time. Time never goes back.
//!
//! * A frame is encoded when it is sent and decoded when it arrives, so the wire code is inside.
//!   A damaged one is caught by its checksum and ends the connection, as over TCP.
//! * Each frame has a delay of its own, so frames overtake each other unless
//!   [`SimFaults::ordered`] is set; a duplicated one arrives twice.
//! * A connection breaks at a random moment. Each side hears of it at a moment of its own and may
//!   send into the void until then. Frames on the way are lost, or arrive late, after the
//!   connection that follows. Whoever asked to connect dials again.
//! * For one node and peer, `Lost` always comes between two connections, and a frame never before
//!   the connection that it came by.
//!
//! Same seed, same calls: same events, same [`SimNetwork::log_hash`]. All maps are ordered.

mod fault;
mod link;
mod network;
mod random;
#[cfg(test)]
mod tests;
mod transport;

pub use fault::{Cut, Pause, SimCounters, SimFaults};
pub use random::SimRandom;
pub use transport::SimTransport;

use crate::id::{Incarnation, Nanos, NodeId};
use crate::memory::Pool;
use network::Network;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The simulated network; a handle that may be cloned.
#[derive(Debug, Clone)]
pub struct SimNetwork {
    network: Rc<RefCell<Network>>,
}

impl SimNetwork {
    /// A network without nodes. `seed` decides everything that is left to chance.
    #[must_use]
    pub fn new(seed: u64, faults: SimFaults) -> SimNetwork {
        SimNetwork { network: Rc::new(RefCell::new(Network::new(seed, faults))) }
    }

    /// Starts `node` and gives its transport, whose received bodies lie in `pool`. A node that
    /// crashed, or still runs, begins anew: use another incarnation than before.
    #[must_use]
    pub fn join(&self, now: Nanos, node: NodeId, incarnation: Incarnation, pool: &Arc<Pool>) -> SimTransport {
        self.network.borrow_mut().join(now, node, incarnation, pool);
        SimTransport::new(Rc::clone(&self.network), node, incarnation)
    }

    /// Crashes `node` and starts it again: [`SimNetwork::crash`], then [`SimNetwork::join`].
    #[must_use]
    pub fn restart(&self, now: Nanos, node: NodeId, incarnation: Incarnation, pool: &Arc<Pool>) -> SimTransport {
        self.crash(now, node);
        self.join(now, node, incarnation, pool)
    }

    /// Ends `node`: its transport gives and takes nothing any more. Of what it had sent, some
    /// arrives; then its peers lose the connection, and whoever dialled it goes on dialling.
    pub fn crash(&self, now: Nanos, node: NodeId) {
        self.network.borrow_mut().crash(now, node);
    }

    /// Breaks the connection between two nodes now, if there is one.
    pub fn break_connection(&self, now: Nanos, first: NodeId, second: NodeId) {
        self.network.borrow_mut().break_on_demand(now, first, second);
    }

    /// Replaces the faults from now on. Frames that are on their way keep their fate; breaks that
    /// were to come are called off.
    pub fn set_faults(&self, now: Nanos, faults: SimFaults) {
        self.network.borrow_mut().set_faults(now, faults);
    }

    /// When something next happens anywhere; none when the network is quiet. A paused node's
    /// arrivals count from the end of its pause.
    #[must_use]
    pub fn next_event_time(&self) -> Option<Nanos> {
        self.network.borrow().next_event_time(None)
    }

    /// Until when `node` is paused; its state machine must not be driven before. `None` when it runs.
    #[must_use]
    pub fn paused_until(&self, now: Nanos, node: NodeId) -> Option<Nanos> {
        self.network.borrow().paused_until(now, node)
    }

    /// Whether the connection between two nodes stands in the network, whatever they know of it.
    #[must_use]
    pub fn is_connected(&self, first: NodeId, second: NodeId) -> bool {
        self.network.borrow().is_connected(first, second)
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> SimCounters {
        self.network.borrow().counters
    }

    /// A hash over everything that any node was told, with its moment.
    #[must_use]
    pub fn log_hash(&self) -> u64 {
        self.network.borrow().log_hash()
    }
}
