//! Frames: how they leave, and how they and news of connections reach a node.

use super::{Happening, Network};
use crate::id::{Nanos, NodeId};
use crate::transport::Incoming;
use crate::transport::sim::link::{Arrival, Flight, Pair};
use crate::wire::{RxFrame, TxFrame};

impl Network {
    /// Takes a frame from `from`. Without a connection in the sender's eyes it is dropped.
    pub(in crate::transport::sim) fn send(&mut self, now: Nanos, from: NodeId, to: NodeId, frame: &TxFrame) {
        let pair = Pair::new(from, to);
        let Some(link) = self.links.get_mut(&pair) else { return };
        let Some(serial) = link.side(pair, from).view else { return };
        self.counters.sent += 1;
        if !link.stands || link.serial != serial {
            self.counters.lost += 1;
            return;
        }
        let mut flight = Flight::new(from, to, serial, self.counters.sent, frame);
        flight.target = self.target_of(pair, frame);
        if let Some(landing) = self.landing_for(frame) {
            flight.land_in(landing, &frame.header);
        }
        if self.random.happens(self.faults.duplicate) {
            self.launch(now, flight.second_copy());
        }
        if self.random.happens(self.faults.corrupt) {
            let bit = self.random.below(flight.bits());
            flight.damage(bit);
        }
        self.launch(now, flight);
        if self.random.happens(self.faults.loss) {
            let at = now.after(self.delay());
            self.happen(at, Happening::Break(pair, serial));
        }
    }

    /// Puts a frame on its way; it arrives after the news of the connection.
    pub(super) fn launch(&mut self, now: Nanos, flight: Flight) {
        let pair = Pair::new(flight.from, flight.to);
        let at = now.after(self.delay());
        let Some(link) = self.links.get_mut(&pair) else { return };
        let side = link.side(pair, flight.to);
        let earliest = if self.faults.ordered { side.news_until.max(side.arrival_max) } else { side.news_until };
        let at = at.max(earliest);
        side.arrival_max = side.arrival_max.max(at);
        self.arrive(at, flight.to, Arrival::Frame(flight));
    }

    /// Gives `node` what has reached it by now, at most `count_max` things. Returns whether there is more.
    pub(in crate::transport::sim) fn receive(
        &mut self,
        now: Nanos,
        node: NodeId,
        incoming: &mut Vec<Incoming>,
        count_max: usize,
    ) -> bool {
        self.advance(now);
        if self.paused_until(now, node).is_some() {
            return false;
        }
        let end = incoming.len() + count_max;
        while let Some(state) = self.nodes.get_mut(&node)
            && let Some(entry) = state.arrivals.first_entry()
            && entry.key().0 <= now
        {
            if incoming.len() >= end {
                return true;
            }
            let told = match entry.remove() {
                Arrival::Connected { peer, serial, incarnation } => {
                    self.note(now, node, peer, 1, &incarnation.0.to_le_bytes());
                    self.on_connected(node, peer, serial)
                        .then(|| {
                            self.counters.reconnects += 1;
                            Incoming::Reconnected { peer, incarnation }
                        })
                        .or(Some(Incoming::Up { peer, incarnation }))
                }
                Arrival::Lost { peer, serial, reason } => {
                    self.note(now, node, peer, 2, &serial.to_le_bytes());
                    self.on_lost(node, peer, serial).then(|| Incoming::Lost { peer, reason: reason.to_owned() })
                }
                Arrival::Frame(flight) => self.on_flight(now, flight),
            };
            incoming.extend(told);
        }
        false
    }

    /// Returns whether this start of the node was connected with the peer before.
    fn on_connected(&mut self, node: NodeId, peer: NodeId, serial: u64) -> bool {
        let pair = Pair::new(node, peer);
        let Some(link) = self.links.get_mut(&pair) else { return false };
        let side = link.side(pair, node);
        side.view = Some(serial);
        self.counters.reconnects += u64::from(side.known);
        std::mem::replace(&mut side.known, true)
    }

    /// Returns whether the node believed in this connection.
    fn on_lost(&mut self, node: NodeId, peer: NodeId, serial: u64) -> bool {
        let pair = Pair::new(node, peer);
        let Some(link) = self.links.get_mut(&pair) else { return false };
        let view = &mut link.side(pair, node).view;
        view.take_if(|view| *view == serial).is_some()
    }

    fn on_flight(&mut self, now: Nanos, mut flight: Flight) -> Option<Incoming> {
        let pair = Pair::new(flight.from, flight.to);
        let side = self.links.get_mut(&pair)?.side(pair, flight.to);
        let expected = side.view.is_some_and(|view| flight.is_late || view == flight.serial);
        let pool = &self.nodes.get(&flight.to)?.pool;
        let decoded: Option<RxFrame> = flight.decode(pool).ok().filter(|frame| frame.header.source == flight.from);
        if decoded.is_some() {
            self.land(&mut flight);
        }
        let Some(frame) = decoded.filter(|_| expected) else {
            self.counters.lost += 1;
            if expected {
                self.counters.corrupted += 1;
                self.break_link(now, pair, "a frame cannot be read");
            }
            return None;
        };
        assert!(!flight.is_damaged, "a damaged frame passed its checksum: {:?}", frame.header);
        let side = self.links.get_mut(&pair)?.side(pair, flight.to);
        let is_overtaken = side.sequence_max > flight.sequence;
        side.sequence_max = side.sequence_max.max(flight.sequence);
        self.counters.delivered += 1;
        self.counters.duplicated += u64::from(flight.is_copy);
        self.counters.late += u64::from(flight.is_late);
        self.counters.reordered += u64::from(is_overtaken);
        self.note(now, flight.to, flight.from, 3, flight.header_bytes());
        Some(Incoming::Frame { from: flight.from, frame })
    }

    /// Takes what a node is told into the log's hash. A frame's header holds a checksum of its body.
    fn note(&mut self, now: Nanos, node: NodeId, peer: NodeId, kind: u8, content: &[u8]) {
        self.log.update(&now.0.to_le_bytes());
        self.log.update(&node.0.to_le_bytes());
        self.log.update(&peer.0.to_le_bytes());
        self.log.update(&[kind]);
        self.log.update(content);
    }
}
