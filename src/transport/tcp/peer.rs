//! What is remembered of a peer between connections.

use crate::id::{Incarnation, Nanos};
use crate::limit;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Earlier starts of one peer that are remembered, so that a leftover process cannot take the place
/// of the one that followed it.
const SUPERSEDED_COUNT: usize = 8;

#[derive(Debug)]
pub(super) struct Peer {
    /// Where to dial; none for peers that only dial us.
    pub(super) address: Option<String>,
    /// Addresses still to try in this round.
    pub(super) candidates: VecDeque<SocketAddr>,
    backoff: Duration,
    /// When the dial timer is set.
    pub(super) dial_at: Option<Nanos>,
    /// Slot of our own attempt.
    pub(super) attempt: Option<usize>,
    /// Slot of the standing connection.
    pub(super) session: Option<usize>,
    /// The latest start that was connected.
    pub(super) incarnation: Option<Incarnation>,
    superseded: VecDeque<Incarnation>,
    /// Whether the log already says that the peer cannot be reached.
    pub(super) unreachable: bool,
}

impl Peer {
    pub(super) fn new() -> Peer {
        Peer {
            address: None,
            candidates: VecDeque::new(),
            backoff: limit::RECONNECT_BACKOFF_MIN,
            dial_at: None,
            attempt: None,
            session: None,
            incarnation: None,
            superseded: VecDeque::new(),
            unreachable: false,
        }
    }

    /// The pause before the next attempt; grows until `settle`.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.backoff;
        self.backoff = (self.backoff * 2).min(limit::RECONNECT_BACKOFF_MAX);
        pause
    }

    /// A connection stands, or a new address is given: begin with short pauses again.
    pub(super) fn settle(&mut self) {
        self.backoff = limit::RECONNECT_BACKOFF_MIN;
        self.candidates.clear();
        self.unreachable = false;
    }

    /// Remembers this start as the latest. Returns whether the peer was connected before.
    pub(super) fn remember(&mut self, incarnation: Incarnation) -> bool {
        let before = self.incarnation.replace(incarnation);
        if let Some(before) = before.filter(|&before| before != incarnation) {
            self.superseded.truncate(SUPERSEDED_COUNT - 1);
            self.superseded.push_front(before);
        }
        before.is_some()
    }

    /// Whether this start was followed by another.
    pub(super) fn is_superseded(&self, incarnation: Incarnation) -> bool {
        self.superseded.contains(&incarnation)
    }
}
