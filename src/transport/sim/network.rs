//! The network itself: what is on its way, and what the clock brings about.

mod connection;
mod delivery;
mod landing;

use super::fault::{SimCounters, SimFaults};
use super::link::{Arrival, Link, Pair};
use super::random::SimRandom;
use crate::id::{Incarnation, Nanos, NodeId};
use crate::memory::Pool;
use landing::Given;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

pub(super) struct Network {
    random: SimRandom,
    faults: SimFaults,
    pub(super) counters: SimCounters,
    nodes: BTreeMap<NodeId, Node>,
    links: BTreeMap<Pair, Link>,
    /// What happens in the network; the number keeps events of one moment in the order of their making.
    happenings: BTreeMap<(Nanos, u64), Happening>,
    made_count: u64,
    /// Memory that requests have named, by the name.
    given: BTreeMap<u64, Given>,
    given_count: u64,
    /// Connections so far.
    serial: u64,
    log: Xxh3,
}

/// One node of the network.
#[derive(Debug)]
struct Node {
    incarnation: Incarnation,
    alive: bool,
    pool: Arc<Pool>,
    arrivals: BTreeMap<(Nanos, u64), Arrival>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    /// Somebody dials.
    Attempt(Pair),
    /// This connection of the pair breaks.
    Break(Pair, u64),
    /// A cut begins.
    Cut,
}

impl Network {
    pub(super) fn new(seed: u64, faults: SimFaults) -> Network {
        let mut network = Network {
            random: SimRandom::new(seed),
            faults: SimFaults::none(),
            counters: SimCounters::default(),
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            happenings: BTreeMap::new(),
            made_count: 0,
            given: BTreeMap::new(),
            given_count: 0,
            serial: 0,
            log: Xxh3::new(),
        };
        network.set_faults(Nanos(0), faults);
        network
    }

    pub(super) fn set_faults(&mut self, now: Nanos, faults: SimFaults) {
        self.advance(now);
        self.happenings.retain(|_, happening| matches!(happening, Happening::Attempt(_)));
        for cut in &faults.cuts {
            self.made_count += 1;
            self.happenings.insert((cut.begin.max(now), self.made_count), Happening::Cut);
        }
        self.faults = faults;
    }

    pub(super) fn join(&mut self, now: Nanos, node: NodeId, incarnation: Incarnation, pool: &Arc<Pool>) {
        self.crash(now, node);
        let pool = Arc::clone(pool);
        self.nodes.insert(node, Node { incarnation, alive: true, pool, arrivals: BTreeMap::new() });
    }

    pub(super) fn paused_until(&self, now: Nanos, node: NodeId) -> Option<Nanos> {
        self.faults.paused_until(now, node)
    }

    pub(super) fn is_connected(&self, first: NodeId, second: NodeId) -> bool {
        self.links.get(&Pair::new(first, second)).is_some_and(|link| link.stands)
    }

    pub(super) fn log_hash(&self) -> u64 {
        self.log.digest()
    }

    /// When the network has something to do, or something arrives at `only`, or at anybody.
    pub(super) fn next_event_time(&self, only: Option<NodeId>) -> Option<Nanos> {
        let nodes = self.nodes.iter().filter(|&(&node, _)| only.is_none_or(|only| only == node));
        let arrivals = nodes.filter_map(|(&node, state)| {
            let &(at, _) = state.arrivals.first_key_value()?.0;
            Some(self.faults.paused_until(at, node).unwrap_or(at))
        });
        let happening = self.happenings.first_key_value().map(|(&(at, _), _)| at);
        arrivals.chain(happening).min()
    }

    /// Whether `node` runs as this incarnation.
    pub(super) fn runs(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.nodes.get(&node).is_some_and(|state| state.alive && state.incarnation == incarnation)
    }

    fn is_alive(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|state| state.alive)
    }

    /// Lets everything happen whose moment has come.
    pub(super) fn advance(&mut self, now: Nanos) {
        while let Some(entry) = self.happenings.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), happening) = entry.remove_entry();
            match happening {
                Happening::Attempt(pair) => self.on_attempt(at, pair),
                Happening::Break(pair, serial) => {
                    if self.links.get(&pair).is_some_and(|link| link.serial == serial) {
                        self.break_link(at, pair, "the connection broke");
                    }
                }
                Happening::Cut => self.on_cut(at),
            }
        }
    }

    fn happen(&mut self, at: Nanos, happening: Happening) {
        self.made_count += 1;
        self.happenings.insert((at, self.made_count), happening);
    }

    fn arrive(&mut self, at: Nanos, node: NodeId, arrival: Arrival) {
        self.made_count += 1;
        if let Some(state) = self.nodes.get_mut(&node)
            && state.alive
        {
            state.arrivals.insert((at, self.made_count), arrival);
        }
    }

    fn delay(&mut self) -> std::time::Duration {
        self.random.duration(self.faults.delay_min, self.faults.delay_max)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("nodes", &self.nodes)
            .field("links", &self.links)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
