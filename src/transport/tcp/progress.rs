//! The loop of the fabric: what the poller says, what the clock says, and whose turn it is.

use super::receiver::Turn;
use super::spin::Look;
use super::timers::Timer;
use super::{Connection, FIRST_CONNECTION, LISTENER, TcpTransport, WAKER, WATCHED};
use crate::id::Nanos;
use crate::transport::Incoming;
use crate::transport::origin::Origin;
use mio::Events;
use mio::event::Event;
use std::io;
use std::time::{Duration, Instant};

/// Frames of one connection before others get their turn.
const FRAMES_PER_TURN: usize = 64;

impl TcpTransport {
    /// Everything but data: timers, new connections, handshakes.
    pub(super) fn set_up(&mut self, now: Nanos) {
        if !std::mem::take(&mut self.polled)
            && let Err(error) = self.collect(Some(Duration::ZERO))
        {
            tracing::warn!("cannot ask the poller: {error}");
        }
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Accept => self.acceptable = true,
                Timer::Dial(peer) => self.attempt(now, peer),
                Timer::Deadline(slot) => self.expire(now, slot),
            }
        }
        self.accept(now);
        while let Some(slot) = self.advancing.pop() {
            self.advance(now, slot);
        }
    }

    /// Writes what is queued, one turn each.
    pub(super) fn write_queued(&mut self) {
        let mut again = 0;
        while let Some(slot) = self.writable.get(again).copied() {
            let Some(Connection::Standing(session)) = self.connections.at_mut(slot) else {
                self.writable.swap_remove(again);
                continue;
            };
            if session.write() {
                again += 1;
                continue;
            }
            self.writable.swap_remove(again);
            if session.has_failed() && session.announce(true) {
                self.readable.push_back(slot);
            }
        }
    }

    /// Reads from whoever may have something, in turns.
    pub(super) fn read_ready(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) {
        let mut budget = frames_max;
        while budget > 0
            && let Some(slot) = self.readable.pop_front()
        {
            let Some(Connection::Standing(session)) = self.connections.at_mut(slot) else { continue };
            if session.hold_back() {
                continue;
            }
            let before = incoming.len();
            let origin = Origin { job: self.identity.job, peer: session.peer, pool: &self.pool };
            match session.read(&origin, incoming, budget.min(FRAMES_PER_TURN)) {
                Ok(Turn::Drained) => {}
                Ok(Turn::Over) => self.readable.push_back(slot),
                Err(reason) => self.lose(now, slot, reason),
            }
            if incoming.len() > before {
                self.talker = slot;
            }
            // A turn that gave no frame was work as well.
            budget = budget.saturating_sub((incoming.len() - before).max(1));
        }
    }

    /// Polls for as long as `spin` says, then sleeps.
    pub(super) fn sleep(
        &mut self,
        timeout: Option<Duration>,
        look: &mut dyn FnMut() -> bool,
        arm: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        if look() {
            // Whoever talks elsewhere all the time must not keep the poller from being asked.
            self.spin.arrived_elsewhere();
            self.polled = !self.spin.is_poll_due();
            return Ok(());
        }
        self.polled = true;
        if self.has_work() {
            self.spin.arrived();
            self.woken = false;
            return self.collect(Some(Duration::ZERO)).map(|_| ());
        }
        self.look_around(timeout, look, arm)?;
        self.woken = false;
        Ok(())
    }

    /// Ends when anything came, or the time was over.
    fn look_around(
        &mut self,
        timeout: Option<Duration>,
        look: &mut dyn FnMut() -> bool,
        arm: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let begin = Instant::now();
        let budget = self.spin.budget(begin, timeout);
        while !budget.is_zero() && begin.elapsed() < budget {
            for _ in 0..self.spin.looks_per_pause() {
                if look() {
                    self.spin.arrived_elsewhere();
                    return Ok(());
                }
                let found = match self.spin.next_look() {
                    Look::Elsewhere => false,
                    Look::Talker => self.look_at_talker(),
                    Look::Poller => self.collect(Some(Duration::ZERO))?,
                };
                if found {
                    self.spin.arrived();
                    return Ok(());
                }
            }
        }
        if arm() {
            self.spin.arrived_elsewhere();
            return self.collect(Some(Duration::ZERO)).map(|_| ());
        }
        if self.collect(timeout.map(|timeout| timeout.saturating_sub(begin.elapsed())))? {
            self.spin.arrived();
        }
        Ok(())
    }

    /// Reads from the connection that spoke last without asking the poller.
    fn look_at_talker(&mut self) -> bool {
        let slot = self.talker;
        let Some(Connection::Standing(session)) = self.connections.at_mut(slot) else { return false };
        let found = session.look();
        if found {
            self.readable.push_back(slot);
        }
        found
    }

    /// Whether a sleep would leave something undone.
    fn has_work(&self) -> bool {
        let idle = self.readable.is_empty()
            && self.writable.is_empty()
            && self.advancing.is_empty()
            && self.pending.is_empty();
        !idle || self.woken || self.can_accept()
    }

    /// Asks the poller and notes who can go on. Returns whether it said anything.
    fn collect(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        events.iter().for_each(|event| self.note(event));
        self.events = events;
        Ok(!self.events.is_empty())
    }

    fn note(&mut self, event: &Event) {
        let slot = match event.token() {
            WAKER => return self.woken = true,
            LISTENER => return self.acceptable = true,
            WATCHED => return self.signalled = true,
            token => token.0 - FIRST_CONNECTION,
        };
        match self.connections.at_mut(slot) {
            Some(Connection::Handshaking(handshaking)) if !handshaking.in_advancing => {
                handshaking.in_advancing = true;
                self.advancing.push(slot);
            }
            Some(Connection::Standing(session)) => {
                let hangup = event.is_read_closed() || event.is_error();
                if (event.is_readable() || hangup) && session.announce(hangup) {
                    self.readable.push_back(slot);
                }
                if event.is_writable() && session.unblock() {
                    self.writable.push(slot);
                }
            }
            _ => {}
        }
    }
}
