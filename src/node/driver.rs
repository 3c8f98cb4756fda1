//! The driver: one state machine, one transport, one loop. The only place where the two meet.
//!
//! A round takes what has arrived into the machine, lets its timers act, and moves its outputs to
//! the transport. Frames that the transport has no room for stay here, in order, by peer. A round
//! costs nothing for peers that have no frames. The driver owns both sides and nothing else; it
//! reads no clock: the time is an argument.

use crate::id::{Nanos, NodeId};
use crate::protocol::{Input, Machine, Output};
use crate::transport::{Incoming, Transport, TransportError, Waker};
use crate::wire::TxFrame;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Frames taken in one round, so that timers and callers get their turn.
const ROUND_FRAMES_MAX: usize = 256;

/// A state machine on a transport.
pub struct Driver<M: Machine, T> {
    machine: M,
    transport: T,
    incoming: Vec<Incoming>,
    outbox: BTreeMap<NodeId, Vec<TxFrame>>,
    /// Peers whose part of the outbox is not empty, each once.
    unsent: Vec<NodeId>,
    events: VecDeque<M::Event>,
    more_to_read: bool,
}

impl<M: Machine, T: Transport> Driver<M, T> {
    /// Puts a machine on a transport.
    #[must_use]
    pub fn new(machine: M, transport: T) -> Driver<M, T> {
        Driver {
            machine,
            transport,
            incoming: Vec::new(),
            outbox: BTreeMap::new(),
            unsent: Vec::new(),
            events: VecDeque::new(),
            more_to_read: false,
        }
    }

    /// The state machine.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The state machine, for calls that queue outputs; [`Driver::flush`] sends them.
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The transport, for what its trait does not show.
    #[must_use]
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport, for changes that its trait does not show.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Ends another thread's wait.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.transport.waker()
    }

    /// One round without sleeping. Returns whether anything arrived.
    pub fn poll(&mut self, now: Nanos) -> bool {
        self.more_to_read = self.transport.rx_burst(now, &mut self.incoming, ROUND_FRAMES_MAX);
        let arrived = !self.incoming.is_empty();
        let mut arrivals = std::mem::take(&mut self.incoming);
        for incoming in arrivals.drain(..) {
            let input = match incoming {
                Incoming::Frame { from, frame } => Input::Frame { from, frame },
                Incoming::Up { peer, incarnation } | Incoming::Reconnected { peer, incarnation } => {
                    tracing::debug!(%peer, "connected");
                    Input::Connected { peer, incarnation }
                }
                Incoming::Lost { peer, reason } => {
                    tracing::debug!(%peer, reason, "connection lost");
                    self.clear(peer);
                    Input::Lost { peer, reason }
                }
                Incoming::Refused { peer, reason } => Input::Refused { peer, reason },
            };
            self.machine.handle(now, input);
        }
        self.incoming = arrivals;
        if self.machine.poll_timeout().is_some_and(|due| due <= now) {
            self.machine.handle_timeout(now);
        }
        self.flush(now);
        arrived
    }

    /// Moves the machine's outputs to the transport and lets it send.
    pub fn flush(&mut self, now: Nanos) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { to, frame } => {
                    let frames = self.outbox.entry(to).or_default();
                    if frames.is_empty() {
                        self.unsent.push(to);
                    }
                    frames.push(frame);
                }
                Output::Connect { peer, address } => self.transport.connect(now, peer, &address),
                Output::Disconnect { peer } => {
                    self.hand_over(now, peer);
                    self.clear(peer);
                    self.transport.disconnect(now, peer);
                }
                Output::Withdraw { timestamp } => {
                    let waiting = self.outbox.values_mut().flatten();
                    waiting.filter(|frame| frame.header.timestamp == timestamp).for_each(|frame| frame.landing = None);
                    self.transport.withdraw(timestamp);
                }
                Output::Event(event) => self.events.push_back(event),
            }
        }
        let (outbox, transport) = (&mut self.outbox, &mut self.transport);
        self.unsent.retain(|peer| {
            let Some(frames) = outbox.get_mut(peer) else { return false };
            transport.tx_burst(now, *peer, frames);
            !frames.is_empty()
        });
        self.transport.flush(now);
    }

    /// The next thing that the program is told.
    pub fn poll_event(&mut self) -> Option<M::Event> {
        self.events.pop_front()
    }

    /// When the next round is due even if nothing arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Nanos> {
        [self.machine.poll_timeout(), self.transport.poll_timeout()].into_iter().flatten().min()
    }

    /// Sleeps until something arrives, the waker is used, a timer is due, or `sleep_max` has passed.
    ///
    /// # Errors
    /// When the transport's poller fails.
    pub fn wait(&mut self, now: Nanos, sleep_max: Option<Duration>) -> Result<(), TransportError> {
        if self.more_to_read || !self.events.is_empty() {
            return Ok(());
        }
        let due = self.poll_timeout().map(|due| due.since(now));
        let sleep = [due, sleep_max].into_iter().flatten().min();
        self.transport.wait(sleep)
    }

    fn clear(&mut self, peer: NodeId) {
        self.outbox.remove(&peer);
        self.unsent.retain(|&unsent| unsent != peer);
    }

    fn hand_over(&mut self, now: Nanos, peer: NodeId) {
        if let Some(frames) = self.outbox.get_mut(&peer) {
            self.transport.tx_burst(now, peer, frames);
        }
    }
}
