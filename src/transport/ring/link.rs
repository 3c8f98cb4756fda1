//! One end of a link between two nodes of one host.
//!
//! Who owns what: a frame's buffers belong to the end's queues until its bytes lie in the ring. What
//! arrives is copied out and its slot's credit goes back, with the next frame or in a message of its own.
//! Each end writes its own counters alone. It reads the other's as any other bytes of the peer: a tail
//! that says more than can be, or a message that is none, ends the link with a [`LinkError`].
//!
//! Sleeping: an end that is about to sleep stores a number that is not zero, and then looks once more.
//! Whoever puts a message into the queue looks at that number afterwards, and rings once for each
//! number. Between a store and the look that follows it both sides have a fence, so that one of them
//! sees the other. A lowest bit of one asks to be woken for credits as well.

use super::super::origin::Origin;
use super::arrival::{ArrivalError, arrive_body, arrive_header, arrive_landing};
use super::doorbell::Doorbell;
use super::landings::{Landings, may_land};
use super::layout::{Direction, INLINE_BODY_BYTES, MESSAGE_BYTES, MESSAGE_COUNT, SLOT_BODY_BYTES, SLOT_COUNT};
use super::memory::RingMemory;
use super::outbox::Outbox;
use super::{CREDITS_MAX, Credit, Credits, ENVELOPE_BYTES, Envelope, EnvelopeKind, Lender, RingError};
use crate::id::{NodeId, Timestamp};
use crate::limit;
use crate::transport::Incoming;
use crate::wire::{HEADER_BYTES, Header, Kind, RxFrame, TxFrame};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::atomic::{Ordering, fence};

/// So many credits go back in a message of their own when no frame takes them along.
const CREDITS_RETURNED_TOGETHER: usize = SLOT_COUNT as usize / 2;

/// When so many bytes were copied out they are used first, while they lie in a cache near the core.
const BURST_BYTES: usize = limit::SEGMENT_BYTES;

/// Why a link cannot go on.
#[derive(Debug, thiserror::Error)]
pub(in crate::transport) enum LinkError {
    #[error("{0}")]
    Ring(#[from] RingError),
    #[error("{0}")]
    Arrival(#[from] ArrivalError),
    #[error("{0} messages in a queue of {MESSAGE_COUNT}")]
    Tail(u32),
    #[error("cannot wake the peer: {0}")]
    Bell(#[from] std::io::Error),
}

/// Which end of the memory this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Side {
    First,
    Second,
}

#[derive(Debug)]
pub(in crate::transport) struct RingLink {
    memory: RingMemory,
    peer: NodeId,
    generation: u16,
    /// Rings for the peer.
    bell: Doorbell,
    inward: Direction,
    outward: Direction,
    /// Messages read.
    head: u32,
    /// Messages written.
    tail: u32,
    credits: Credits,
    lender: Lender,
    /// Credits that the peer is to get back.
    returning: SmallVec<[Credit; CREDITS_MAX]>,
    outbox: Outbox,
    /// Where answers to what was written go.
    landings: Landings,
    /// Frames that arrived while the peer is paused, with their slots, which it does not get back so long.
    held: VecDeque<(u16, RxFrame)>,
    /// Our sleeps so far, doubled: the next number to sleep under.
    sleeps: u32,
    /// The peer's sleep for which the bell was rung.
    rung: u32,
}

impl RingLink {
    /// An end on fresh memory.
    pub(in crate::transport) fn new(
        memory: RingMemory,
        side: Side,
        peer: NodeId,
        generation: u16,
        bell: Doorbell,
    ) -> Result<RingLink, LinkError> {
        let (outward, inward) = match side {
            Side::First => (Direction::FORTH, Direction::BACK),
            Side::Second => (Direction::BACK, Direction::FORTH),
        };
        let mut credits = Credits::new(SLOT_COUNT, generation);
        let mut lender = Lender::new(SLOT_COUNT, usize::from(SLOT_COUNT));
        lender.open(peer, generation, SLOT_COUNT, &mut Vec::new())?;
        for slot in 0..SLOT_COUNT {
            credits.accept(Credit { slot, kept: false })?;
        }
        Ok(RingLink {
            memory,
            peer,
            generation,
            bell,
            inward,
            outward,
            head: 0,
            tail: 0,
            credits,
            lender,
            returning: SmallVec::new(),
            outbox: Outbox::default(),
            landings: Landings::default(),
            held: VecDeque::new(),
            sleeps: 2,
            rung: 0,
        })
    }

    /// Whether a frame can travel by such a link.
    pub(in crate::transport) fn carries(frame: &TxFrame) -> bool {
        frame.header.body_bytes() <= SLOT_BODY_BYTES && !matches!(frame.header.kind, Kind::Control | Kind::Setup)
    }

    /// Takes frames, all of which it carries, from the front as long as there is room.
    pub(in crate::transport) fn enqueue(&mut self, frames: &mut Vec<TxFrame>) {
        self.outbox.take(frames);
    }

    /// Bytes that are not in the ring yet.
    pub(in crate::transport) fn queued_bytes(&self) -> usize {
        self.outbox.queued_bytes()
    }

    /// Moves what is queued into the ring as far as there are credits, gives credits back that have
    /// become many, and wakes the peer if it sleeps.
    pub(in crate::transport) fn flush(&mut self) -> Result<(), LinkError> {
        let before = self.tail;
        while self.credits.free_count() > 0
            && let Some(frame) = self.outbox.next()
            && let Some(slot) = self.credits.take()
        {
            self.write(slot, &frame);
        }
        let mut wakes = self.tail != before;
        if self.returning.len() >= CREDITS_RETURNED_TOGETHER {
            let envelope = Envelope::new(EnvelopeKind::Credits, self.generation, 0);
            self.publish(envelope);
            wakes |= self.peer_sleep() & 1 == 1;
        }
        if wakes { self.wake() } else { Ok(()) }
    }

    fn write(&mut self, slot: u16, frame: &TxFrame) {
        if let Some(landing) = &frame.landing {
            self.landings.ask(&frame.header, landing);
        }
        let shared = self.memory.shared();
        let is_small = frame.header.body_bytes() <= INLINE_BODY_BYTES;
        let (kind, place) = match is_small {
            true => (EnvelopeKind::Inline, self.outward.message(self.tail)),
            false => (EnvelopeKind::Slot, self.outward.slot(slot).0),
        };
        shared.write(place + ENVELOPE_BYTES, &frame.header.encode(&[]));
        let mut end = place + ENVELOPE_BYTES + HEADER_BYTES;
        for part in frame.body_parts() {
            shared.copy_in_counted(end, part);
            end += part.len();
        }
        self.publish(Envelope::new(kind, self.generation, slot));
    }

    /// Puts a message whose header and body are written into the queue, with all credits that go back.
    fn publish(&mut self, mut envelope: Envelope) {
        envelope.credits = std::mem::take(&mut self.returning);
        self.memory.shared().write(self.outward.message(self.tail), &envelope.encode());
        self.tail = self.tail.wrapping_add(1);
        self.memory.word(self.outward.tail()).store(self.tail, Ordering::Release);
    }

    fn wake(&mut self) -> Result<(), LinkError> {
        let sleep = self.peer_sleep();
        if sleep != 0 && sleep != self.rung {
            self.rung = sleep;
            self.bell.ring()?;
        }
        Ok(())
    }

    /// The number under which the peer sleeps, seen after everything that this end has written.
    fn peer_sleep(&self) -> u32 {
        fence(Ordering::SeqCst);
        self.memory.word(self.outward.sleep()).load(Ordering::Relaxed)
    }

    /// Whether a message waits to be read.
    pub(in crate::transport) fn has_arrived(&self) -> bool {
        self.memory.word(self.inward.tail()).load(Ordering::Acquire) != self.head
    }

    /// Whether `receive` has something to do.
    pub(in crate::transport) fn is_readable(&self, is_paused: bool) -> bool {
        self.has_arrived() || !(is_paused || self.held.is_empty())
    }

    /// Asks the peer to ring from now on. Returns whether a message is there already.
    pub(in crate::transport) fn arm(&mut self) -> bool {
        self.sleeps = self.sleeps.wrapping_add(2).max(2);
        let is_blocked = u32::from(self.queued_bytes() > 0);
        self.memory.word(self.inward.sleep()).store(self.sleeps | is_blocked, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.has_arrived()
    }

    /// The peer need not ring any more.
    pub(in crate::transport) fn disarm(&mut self) {
        self.memory.word(self.inward.sleep()).store(0, Ordering::Relaxed);
    }

    /// Reads messages, and puts at most `frames_max` frames at the end of `incoming`, fewer where they are
    /// large. Returns whether more can be read. From a paused peer only credits are taken; its frames keep
    /// their slots, so that they are never more than it has slots.
    pub(in crate::transport) fn receive(
        &mut self,
        origin: &Origin<'_>,
        is_paused: bool,
        incoming: &mut Vec<Incoming>,
        frames_max: usize,
    ) -> Result<bool, LinkError> {
        let tail = self.memory.word(self.inward.tail()).load(Ordering::Acquire);
        let waiting = tail.wrapping_sub(self.head);
        if waiting > MESSAGE_COUNT {
            return Err(LinkError::Tail(waiting));
        }
        let mut room = frames_max;
        while !is_paused
            && room > 0
            && let Some((slot, frame)) = self.held.pop_front()
        {
            self.deliver(slot, frame, incoming);
            room -= 1;
        }
        let mut bytes = 0;
        while self.head != tail && room > 0 && bytes < BURST_BYTES {
            room -= 1;
            let Some((slot, frame)) = self.read(origin)? else { continue };
            bytes += frame.header.body_bytes();
            match is_paused {
                true => self.held.push_back((slot, frame)),
                false => self.deliver(slot, frame, incoming),
            }
        }
        Ok(self.head != tail || !(is_paused || self.held.is_empty()))
    }

    fn deliver(&mut self, slot: u16, frame: RxFrame, incoming: &mut Vec<Incoming>) {
        self.returning.extend(self.lender.finish(self.peer, slot));
        incoming.push(Incoming::Frame { from: self.peer, frame });
    }

    /// An answer has come by the connection: what was offered for it is free again.
    pub(in crate::transport) fn answered_elsewhere(&mut self, answer: &Header) {
        let _ = self.landings.answered(answer);
    }

    /// Answers to questions of this time are not wanted where they were to land.
    pub(in crate::transport) fn withdraw(&mut self, timestamp: Timestamp) {
        self.outbox.withdraw(timestamp);
        self.landings.withdraw(timestamp);
    }

    /// Does what a peer does that has gone mad.
    #[cfg(test)]
    pub(in crate::transport) fn scribble(&mut self) {
        let everywhere = vec![0xa5; 64 << 10];
        self.memory.shared().copy_in_counted(0, &everywhere);
        self.memory.shared().copy_in_counted(super::MEMORY_BYTES / 2, &everywhere);
    }

    /// Reads one message: a frame with its slot, or only credits.
    fn read(&mut self, origin: &Origin<'_>) -> Result<Option<(u16, RxFrame)>, LinkError> {
        let shared = self.memory.shared();
        let place = self.inward.message(self.head);
        let envelope = Envelope::parse(&shared.read(place), ENVELOPE_BYTES)?;
        if envelope.generation != self.generation {
            let (found, expected) = (envelope.generation, self.generation);
            return Err(RingError::Stale { found, expected }.into());
        }
        self.head = self.head.wrapping_add(1);
        for credit in &envelope.credits {
            self.credits.accept(*credit)?;
        }
        let slot = envelope.slot;
        let (place, bytes) = match envelope.kind {
            EnvelopeKind::Credits => return Ok(None),
            EnvelopeKind::Rendezvous => {
                let number = EnvelopeKind::Rendezvous as u64;
                return Err(RingError::Field { field: "envelope kind", number }.into());
            }
            kind => {
                self.lender.arrive(self.peer, slot, envelope.generation)?;
                if kind == EnvelopeKind::Inline { (place, MESSAGE_BYTES) } else { self.inward.slot(slot) }
            }
        };
        let message = shared.part(place + ENVELOPE_BYTES, bytes - ENVELOPE_BYTES);
        let header = arrive_header(message, origin)?;
        let room = message.behind(HEADER_BYTES);
        let frame = match self.landings.answered(&header) {
            Some(landing) if may_land(&header, &landing) => arrive_landing(room, header, &landing)?,
            _ => arrive_body(room, header, origin.pool)?,
        };
        Ok(Some((slot, frame)))
    }
}

#[cfg(test)]
mod tests;
