//! The loop: what has arrived over connections and links, what is sent, whom to wait for.

use super::FabricTransport;
use super::peer::{Link, Peer};
use crate::id::{Nanos, NodeId, Timestamp};
use crate::limit;
use crate::transport::origin::Origin;
use crate::transport::ring::RingLink;
use crate::transport::verbs::Verbs;
use crate::transport::{Incoming, Transport, TransportError, Waker};
use crate::wire::{Kind, TxFrame};
use std::cell::RefCell;
use std::time::Duration;

/// A peer that was not read from is read from again when less than this is queued for it.
const RESUME_BYTES: usize = limit::SEND_QUEUE_BYTES / 2;

impl FabricTransport {
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
                Incoming::Frame { from, frame } => {
                    if let Some(link) = self.peers.get_mut(from).and_then(Peer::ring_mut) {
                        link.answered_elsewhere(&frame.header);
                    }
                }
                Incoming::Refused { .. } => {}
            }
            incoming.push(told);
        }
        self.arrived = arrived;
    }

    fn read_links(&mut self, incoming: &mut Vec<Incoming>, frames_max: usize) {
        self.has_more = false;
        if self.has_rings {
            self.read_rings(incoming, frames_max);
        }
        if let Some(verbs) = &mut self.verbs {
            let (peers, nobody_is) = (&self.peers, self.paused_count == 0);
            let is_paused = |peer| !nobody_is && peers.get(&peer).is_some_and(|record| record.is_paused);
            self.has_more |= verbs.rx_burst(incoming, frames_max, &is_paused);
        }
        self.check_verbs();
    }

    fn read_rings(&mut self, incoming: &mut Vec<Incoming>, frames_max: usize) {
        let mut failed = None;
        for (&peer, record) in &mut self.peers {
            let is_paused = record.is_paused;
            let Some(link) = record.ring_mut().filter(|link| link.is_readable(is_paused)) else { continue };
            let origin = Origin { job: self.job, peer, pool: &self.pool };
            match link.receive(&origin, is_paused, incoming, frames_max) {
                Ok(more) => self.has_more |= more,
                Err(error) => failed = Some((peer, error)),
            }
        }
        if let Some((peer, error)) = failed {
            self.fail(peer, &error.to_string());
        }
    }

    fn flush_rings(&mut self) {
        let mut failed = None;
        for (&peer, record) in &mut self.peers {
            if let Some(Err(error)) = record.ring_mut().map(RingLink::flush) {
                failed = Some((peer, error));
            }
        }
        if let Some((peer, error)) = failed {
            self.fail(peer, &error.to_string());
        }
    }

    fn flush_links(&mut self) {
        if self.has_rings {
            self.flush_rings();
        }
        if let Some(verbs) = &mut self.verbs {
            verbs.flush();
        }
        self.check_verbs();
        if self.paused_count > 0 {
            self.resume_peers();
        }
    }

    /// Cuts the connections of verbs links that broke.
    #[inline]
    fn check_verbs(&mut self) {
        if self.verbs.as_ref().is_some_and(Verbs::has_failures) {
            self.cut_broken();
        }
    }

    #[cold]
    fn cut_broken(&mut self) {
        while let Some((peer, error)) = self.verbs.as_mut().and_then(|verbs| verbs.failed()) {
            self.fail(peer, &error.to_string());
        }
    }

    /// Sends what the link to `peer` takes over it, and what it cannot carry over the connection.
    fn tx_linked(&mut self, now: Nanos, peer: NodeId, frames: &mut Vec<TxFrame>) {
        match (self.peers.get_mut(&peer).and_then(|record| record.link.as_mut()), &mut self.verbs) {
            (Some(Link::Ring(link)), _) if frames.iter().all(RingLink::carries) => return link.enqueue(frames),
            (Some(Link::Ring(link)), _) => {
                self.large.extend(frames.extract_if(.., |frame| !RingLink::carries(frame)));
                link.enqueue(frames);
            }
            (Some(Link::Verbs), Some(verbs)) => {
                verbs.tx_burst(peer, frames);
                if frames.is_empty() {
                    return;
                }
                self.large.extend(frames.extract_if(.., |frame| !verbs.carries(peer, frame)));
                let targets = self.large.iter().filter_map(|frame| frame.target.as_ref());
                targets.for_each(|target| verbs.answered_elsewhere(peer, target));
            }
            _ => {
                forget_landings(frames);
                return self.tcp.tx_burst(now, peer, frames);
            }
        }
        forget_landings(&mut self.large);
        self.tcp.tx_burst(now, peer, &mut self.large);
        frames.append(&mut self.large);
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

/// Nothing lands by the connection; a landing that is kept would only make its owner copy what came.
fn forget_landings(frames: &mut [TxFrame]) {
    frames.iter_mut().for_each(|frame| frame.landing = None);
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
        self.tx_linked(now, peer, frames);
        self.pause_full(peer);
    }

    fn queued_bytes(&self, peer: NodeId) -> usize {
        let of_link = match self.peers.get(&peer).and_then(|record| record.link.as_ref()) {
            Some(Link::Ring(link)) => link.queued_bytes(),
            Some(Link::Verbs) => self.verbs.as_ref().map_or(0, |verbs| verbs.queued_bytes(peer)),
            None => 0,
        };
        self.tcp.queued_bytes(peer) + of_link
    }

    fn rx_burst(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) -> bool {
        if std::mem::take(&mut self.has_found) {
            // It is not kept waiting by the connections: their turn is the next round, which comes at once.
            let before = incoming.len();
            self.read_links(incoming, frames_max);
            if incoming.len() > before {
                self.has_more = true;
                return true;
            }
        }
        let is_more = self.tcp.rx_burst(now, &mut self.arrived, frames_max);
        if !self.arrived.is_empty() {
            self.take_arrived(now, incoming);
        }
        self.attend_guests(now);
        self.make_due_offers(now);
        self.read_links(incoming, frames_max);
        is_more || self.has_more
    }

    fn flush(&mut self, now: Nanos) {
        self.flush_links();
        self.tcp.flush(now);
    }

    fn withdraw(&mut self, timestamp: Timestamp) {
        // Memory that a device may write comes back with its answer, or with the end of the link.
        self.peers.values_mut().filter_map(Peer::ring_mut).for_each(|link| link.withdraw(timestamp));
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        self.tcp.poll_timeout().into_iter().chain(self.guests_timeout()).chain(self.next_offer_at()).min()
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), TransportError> {
        if let Some((peer, reason)) = &self.refusal {
            return Err(TransportError::Choice { choice: self.choice, peer: *peer, reason: reason.clone() });
        }
        if self.has_more {
            return Ok(());
        }
        // Both closures look at the links, never at the same time.
        let links = RefCell::new((&mut self.peers, self.verbs.as_mut()));
        let (has_rings, mut armed, mut found) = (self.has_rings, false, false);
        let mut look = || {
            let (peers, verbs) = &mut *links.borrow_mut();
            let in_ring = has_rings && peers.values().filter_map(Peer::ring).any(RingLink::has_arrived);
            found = in_ring || verbs.as_mut().is_some_and(|verbs| verbs.look());
            found
        };
        let mut arm = || {
            armed = true;
            let (peers, verbs) = &mut *links.borrow_mut();
            let mut is_there = verbs.as_mut().is_some_and(|verbs| verbs.arm());
            // Each must be asked, whatever the others say.
            peers.values_mut().filter_map(Peer::ring_mut).for_each(|link| is_there |= link.arm());
            is_there
        };
        let slept = self.tcp.sleep_with(timeout, &mut look, &mut arm);
        if armed {
            self.peers.values_mut().filter_map(Peer::ring_mut).for_each(RingLink::disarm);
        }
        self.has_found = found;
        slept
    }

    fn waker(&self) -> Waker {
        self.tcp.waker()
    }
}
