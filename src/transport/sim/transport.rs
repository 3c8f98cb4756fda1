//! A node's side of the simulated network.

use super::network::Network;
use crate::id::{Incarnation, Nanos, NodeId};
use crate::transport::{Incoming, Transport, TransportError, Waker};
use crate::wire::TxFrame;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The simulated fabric of one start of one node. After the node has crashed it does nothing.
#[derive(Debug)]
pub struct SimTransport {
    network: Rc<RefCell<Network>>,
    node: NodeId,
    incarnation: Incarnation,
}

impl SimTransport {
    pub(super) fn new(network: Rc<RefCell<Network>>, node: NodeId, incarnation: Incarnation) -> SimTransport {
        SimTransport { network, node, incarnation }
    }

    /// Whose transport this is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    fn with<R>(&self, then: impl FnOnce(&mut Network) -> R) -> Option<R> {
        let mut network = self.network.borrow_mut();
        network.runs(self.node, self.incarnation).then(|| then(&mut network))
    }
}

impl Transport for SimTransport {
    /// The address is of no meaning here: nodes find each other by id.
    fn connect(&mut self, now: Nanos, peer: NodeId, _address: &str) {
        self.with(|network| {
            network.advance(now);
            network.dial(now, self.node, peer);
        });
    }

    fn disconnect(&mut self, now: Nanos, peer: NodeId) {
        self.with(|network| {
            network.advance(now);
            network.leave(now, self.node, peer);
        });
    }

    fn tx_burst(&mut self, now: Nanos, peer: NodeId, frames: &mut Vec<TxFrame>) {
        self.with(|network| {
            network.advance(now);
            frames.iter().for_each(|frame| network.send(now, self.node, peer, frame));
        });
        frames.clear();
    }

    fn queued_bytes(&self, _peer: NodeId) -> usize {
        0
    }

    fn rx_burst(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) -> bool {
        self.with(|network| network.receive(now, self.node, incoming, frames_max)).unwrap_or(false)
    }

    fn flush(&mut self, _now: Nanos) {}

    fn poll_timeout(&self) -> Option<Nanos> {
        self.with(|network| network.next_event_time(Some(self.node))).flatten()
    }

    /// Virtual time passes by the caller's hand: there is nothing to wait for.
    fn wait(&mut self, _timeout: Option<Duration>) -> Result<(), TransportError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::new(|| ())
    }
}
