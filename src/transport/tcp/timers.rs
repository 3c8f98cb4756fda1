//! What the fabric does by the clock.

use crate::id::{Nanos, NodeId};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The listener may try again after the system refused it a connection.
    Accept,
    /// Dial the peer.
    Dial(NodeId),
    /// The connection in this slot has had its time, for the handshake or for the last bytes.
    Deadline(usize),
}

/// Timers in the order of their moments. Whoever sets one keeps the moment, to cancel it.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Nanos, Timer)>);

impl Timers {
    pub(super) fn set(&mut self, at: Nanos, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn cancel(&mut self, at: Nanos, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Nanos> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Takes one timer whose moment has come.
    pub(super) fn due(&mut self, now: Nanos) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}
