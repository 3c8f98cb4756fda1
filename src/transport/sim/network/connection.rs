//! Connections: dialling, breaking, crashing, leaving.

use super::{Happening, Network};
use crate::id::{Nanos, NodeId};
use crate::transport::sim::link::{Arrival, Flight, Pair};

impl Network {
    /// `node` wants to be connected with `peer`, and stay so.
    pub(in crate::transport::sim) fn dial(&mut self, now: Nanos, node: NodeId, peer: NodeId) {
        let pair = Pair::new(node, peer);
        self.links.entry(pair).or_default().side(pair, node).dials = true;
        let at = now.after(self.delay());
        self.attempt_at(at, pair);
    }

    fn attempt_at(&mut self, at: Nanos, pair: Pair) {
        let Some(link) = self.links.get_mut(&pair) else { return };
        if link.is_dialled() && !link.stands && !link.attempting {
            link.attempting = true;
            self.happen(at, Happening::Attempt(pair));
        }
    }

    fn attempt_later(&mut self, at: Nanos, pair: Pair) {
        let pause = self.random.duration(self.faults.reconnect_min, self.faults.reconnect_max);
        self.attempt_at(at.after(pause), pair);
    }

    pub(super) fn on_attempt(&mut self, at: Nanos, pair: Pair) {
        let reachable =
            pair.nodes().iter().all(|&node| self.is_alive(node)) && !self.faults.separates(at, pair.0, pair.1);
        let Some(link) = self.links.get_mut(&pair) else { return };
        link.attempting = false;
        if !link.is_dialled() || link.stands {
            return;
        }
        if !reachable {
            return self.attempt_later(at, pair);
        }
        self.serial += 1;
        (link.serial, link.stands) = (self.serial, true);
        let late = std::mem::take(&mut link.late);
        for node in pair.nodes() {
            let peer = pair.other(node);
            let Some(incarnation) = self.nodes.get(&peer).map(|state| state.incarnation) else { continue };
            let at = at.after(self.delay());
            self.tell(at, pair, node, Arrival::Connected { peer, serial: self.serial, incarnation });
        }
        for mut flight in late {
            flight.is_late = true;
            self.launch(at, flight);
        }
    }

    /// News of connections reach one node in their order.
    fn tell(&mut self, at: Nanos, pair: Pair, node: NodeId, news: Arrival) -> Nanos {
        let Some(link) = self.links.get_mut(&pair) else { return at };
        let side = link.side(pair, node);
        side.news_until = side.news_until.max(at);
        let at = side.news_until;
        self.arrive(at, node, news);
        at
    }

    pub(super) fn on_cut(&mut self, at: Nanos) {
        let standing = self.links.iter().filter(|(_, link)| link.stands).map(|(&pair, _)| pair);
        let cut: Vec<Pair> = standing.filter(|pair| self.faults.separates(at, pair.0, pair.1)).collect();
        cut.into_iter().for_each(|pair| self.break_link(at, pair, "the network is cut"));
    }

    pub(in crate::transport::sim) fn break_on_demand(&mut self, now: Nanos, first: NodeId, second: NodeId) {
        self.advance(now);
        self.break_link(now, Pair::new(first, second), "the connection broke");
    }

    /// The connection is gone now; each side hears of it in its own time. What is on its way is
    /// lost, or held until the next connection stands.
    pub(super) fn break_link(&mut self, now: Nanos, pair: Pair, reason: &'static str) {
        let Some(link) = self.links.get_mut(&pair).filter(|link| link.stands) else { return };
        link.stands = false;
        let serial = link.serial;
        self.counters.breaks += 1;
        self.forget_given(pair);
        for node in pair.nodes() {
            for flight in self.recall(now, pair, node) {
                let held = !flight.is_damaged && self.random.happens(self.faults.late);
                match self.links.get_mut(&pair) {
                    Some(link) if held => link.late.push(flight),
                    _ => self.counters.lost += 1,
                }
            }
        }
        let mut redial_at = now;
        for node in pair.nodes() {
            let at = now.after(self.delay());
            let at = self.tell(at, pair, node, Arrival::Lost { peer: pair.other(node), serial, reason });
            redial_at = redial_at.max(at);
        }
        self.attempt_later(redial_at, pair);
    }

    /// Takes the frames back that have not reached `node` yet.
    fn recall(&mut self, now: Nanos, pair: Pair, node: NodeId) -> Vec<Flight> {
        let peer = pair.other(node);
        let Some(state) = self.nodes.get_mut(&node) else { return Vec::new() };
        let mut flights = Vec::new();
        for (key, arrival) in state.arrivals.split_off(&(Nanos(now.0 + 1), 0)) {
            match arrival {
                Arrival::Frame(flight) if flight.from == peer => flights.push(flight),
                other => {
                    state.arrivals.insert(key, other);
                }
            }
        }
        flights
    }

    /// `node` wants no more of `peer`: what it has sent arrives, then the peer loses the connection.
    pub(in crate::transport::sim) fn leave(&mut self, now: Nanos, node: NodeId, peer: NodeId) {
        let pair = Pair::new(node, peer);
        let Some(link) = self.links.get_mut(&pair) else { return };
        let side = link.side(pair, node);
        (side.dials, side.view) = (false, None);
        self.close(now, pair, node, "closed by the peer");
    }

    /// The connection ends on the side of `node`, which hears no more of it.
    fn close(&mut self, now: Nanos, pair: Pair, node: NodeId, reason: &'static str) {
        let peer = pair.other(node);
        if let Some(state) = self.nodes.get_mut(&node) {
            let before = state.arrivals.len();
            state.arrivals.retain(|_, arrival| arrival.peer() != peer || !matches!(arrival, Arrival::Frame(_)));
            self.counters.lost += (before - state.arrivals.len()) as u64;
            state.arrivals.retain(|_, arrival| arrival.peer() != peer);
        }
        let Some(link) = self.links.get_mut(&pair) else { return };
        let held = link.late.len();
        link.late.clear();
        self.counters.lost += held as u64;
        let Some(link) = self.links.get_mut(&pair).filter(|link| link.stands) else { return };
        link.stands = false;
        let (serial, last) = (link.serial, link.side(pair, peer).arrival_max);
        let at = now.after(self.delay()).max(last);
        let at = self.tell(at, pair, peer, Arrival::Lost { peer: node, serial, reason });
        self.attempt_later(at, pair);
    }

    pub(in crate::transport::sim) fn crash(&mut self, now: Nanos, node: NodeId) {
        self.advance(now);
        if !self.is_alive(node) {
            return;
        }
        self.counters.crashes += 1;
        let pairs: Vec<Pair> = self.links.keys().copied().filter(|pair| pair.has(node)).collect();
        for pair in pairs {
            self.drop_some_flights(now, pair, node);
            self.close(now, pair, node, "the peer is gone");
            if let Some(link) = self.links.get_mut(&pair) {
                let side = link.side(pair, node);
                (side.dials, side.known, side.view) = (false, false, None);
            }
        }
        if let Some(state) = self.nodes.get_mut(&node) {
            state.alive = false;
            state.arrivals.clear();
        }
        self.forget_given_of(node);
    }

    /// Half of what a crashing node had under way does not arrive.
    fn drop_some_flights(&mut self, now: Nanos, pair: Pair, node: NodeId) {
        let peer = pair.other(node);
        for flight in self.recall(now, pair, peer) {
            if self.random.happens(0.5) {
                self.counters.lost += 1;
            } else {
                self.launch(now, flight);
            }
        }
    }
}
