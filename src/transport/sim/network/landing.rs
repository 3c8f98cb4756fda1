//! Answers that land: the network writes their values to the memory that the request named, as an
//! adapter does, whatever its owner does meanwhile.
//!
//! The network is harsher than adapters are: an answer that comes twice is written twice, and one that
//! comes late is written after the next connection stands. Each such answer on its way holds a landing of its
//! own, so what it may still write stays in quarantine. Into quarantined memory it writes garbage.

use super::Network;
use crate::id::NodeId;
use crate::memory::Landing;
use crate::transport::sim::link::{Flight, Pair};
use crate::wire::{Header, Kind, Target, TxFrame};

/// What is written in the place of values that nobody waits for.
const GARBAGE: u8 = 0xee;

/// Memory that a request named and whose reply has not come.
#[derive(Debug)]
pub(super) struct Given {
    landing: Landing,
    pair: Pair,
}

impl Network {
    /// What the frame says of a place to land: of a request, the name of the place it gives away, of an
    /// answer, the name that its request said.
    pub(super) fn target_of(&mut self, pair: Pair, frame: &TxFrame) -> Option<Target> {
        let Some(landing) = frame.landing.clone().filter(|_| self.faults.landing > 0.0) else { return frame.target };
        self.given_count += 1;
        let bytes = landing.bytes() as u32;
        self.given.insert(self.given_count, Given { landing, pair });
        Some(Target { address: self.given_count, key: bytes, bytes })
    }

    /// Where the answer's values will be written, if they will.
    pub(super) fn landing_for(&mut self, frame: &TxFrame) -> Option<Landing> {
        let Header { kind, value_bytes, .. } = frame.header;
        let target = frame.target.filter(|target| kind == Kind::PullReply && target.bytes == value_bytes)?;
        let landing = self.given.get(&target.address)?.landing.clone();
        self.random.happens(self.faults.landing).then_some(landing)
    }

    /// Writes the values of an answer that has arrived.
    pub(super) fn land(&mut self, flight: &mut Flight) {
        if let Some(target) = flight.target.filter(|_| flight.is_answer() && !flight.is_copy) {
            self.given.remove(&target.address);
        }
        let Some((landing, mut values)) = flight.values.take() else { return };
        self.counters.landed += 1;
        if landing.is_last() {
            self.counters.landed_in_quarantine += 1;
            values.fill(GARBAGE);
        }
        landing.as_shared().copy_in_counted(0, &values);
    }

    /// The connection is gone, and with it every name of memory that was said by it.
    pub(super) fn forget_given(&mut self, pair: Pair) {
        self.given.retain(|_, given| given.pair != pair);
    }

    /// Nothing of `node` is named any more.
    pub(super) fn forget_given_of(&mut self, node: NodeId) {
        self.given.retain(|_, given| !given.pair.has(node));
    }
}
