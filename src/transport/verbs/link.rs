//! One link: a queue pair to one peer, and everything that is under way over it.
//!
//! Who owns what:
//! * A frame to send is the outbox's until its requests are planned, then [`Sent`]'s until they are
//!   done. One that the peer fetches by READ is `awaiting`'s until its credit comes back.
//! * A landing whose address was given away is `given`'s until its answer came.
//! * A slot that was written by the peer, or a buffer with its message, belongs to the arrival until the
//!   frame is delivered; then its credit is in `returning`.
//!
//! Invariant: windows and then the queue pair are the first fields, so that they are destroyed before any
//! memory is let go that the device might touch for it. That is the fence behind which landings that were not
//! answered can be used again; one that was is behind its window soon after, see `window`.

use super::failure::LinkFailure;
use super::plan::{Limits, Remote, Shape, Signals};
use super::receive::{Arrival, Reading};
use super::resource::QueuePair;
use super::sent::{Sent, Staged};
use super::tokens::Tokens;
use super::window::{Opened, Windows};
use crate::id::NodeId;
use crate::limit;
use crate::memory::Landing;
use crate::transport::ring::{Credit, Credits, Envelope, Granted, Offer, Outbox};
use crate::wire::{Kind, Status, Target, TxFrame};
use std::collections::VecDeque;

/// The peer's end, once connected.
pub(super) struct RemoteEnd {
    pub(super) credits: Credits,
    pub(super) limits: Limits,
    /// The first slot of its ring.
    pub(super) ring: Remote,
    pub(super) slot_count: u16,
    /// READs that may be under way to it.
    pub(super) reads_max: usize,
}

/// Memory that the peer offered for an answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) offer: Offer,
    /// Whether an answer to it is queued.
    is_claimed: bool,
}

impl Asked {
    pub(super) fn new(offer: Offer) -> Asked {
        Asked { offer, is_claimed: false }
    }
}

/// Memory whose address was given away.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) landing: Landing,
    /// The window by which the peer writes there, where there are windows.
    pub(super) opened: Option<Opened>,
}

pub(super) struct Link {
    /// Where the device has them.
    pub(super) windows: Option<Windows>,
    pub(super) pair: QueuePair,
    pub(super) peer: NodeId,
    pub(super) generation: u16,
    pub(super) psn: u32,
    pub(super) remote: Option<RemoteEnd>,
    pub(super) outbox: Outbox,
    pub(super) signals: Signals,
    pub(super) sent: Sent,
    /// Frames that the peer fetches, by the slot of their credit.
    pub(super) awaiting: Vec<(u16, Box<TxFrame>, Staged)>,
    pub(super) awaiting_bytes: usize,
    /// Frames to fetch, and READ requests under way.
    pub(super) readings: VecDeque<Box<Reading>>,
    pub(super) reads_under_way: usize,
    pub(super) given: Tokens<Given>,
    pub(super) asked: Tokens<Asked>,
    /// Tokens of offers whose answers went another way.
    pub(super) answered_elsewhere: Vec<u32>,
    pub(super) returning: VecDeque<Credit>,
    /// Whether they must not wait for a frame that takes them along.
    pub(super) returns_are_due: bool,
    pub(super) arrivals: VecDeque<Arrival>,
    pub(super) has_failed: bool,
    /// Whether it stands among those with something to send, or to deliver.
    pub(super) is_unsent: bool,
    pub(super) is_ready: bool,
}

impl Link {
    pub(super) fn new(pair: QueuePair, windows: Option<Windows>, peer: NodeId, generation: u16, psn: u32) -> Link {
        Link {
            windows,
            pair,
            peer,
            generation,
            psn,
            remote: None,
            outbox: Outbox::default(),
            signals: Signals::default(),
            sent: Sent::default(),
            awaiting: Vec::new(),
            awaiting_bytes: 0,
            readings: VecDeque::new(),
            reads_under_way: 0,
            given: Tokens::new(generation),
            asked: Tokens::new(generation),
            answered_elsewhere: Vec::new(),
            returning: VecDeque::new(),
            returns_are_due: false,
            arrivals: VecDeque::new(),
            has_failed: false,
            is_unsent: false,
            is_ready: false,
        }
    }

    /// Bytes of frames that are not known to have arrived.
    pub(super) fn queued_bytes(&self) -> usize {
        self.outbox.queued_bytes() + self.sent.bytes() + self.awaiting_bytes
    }

    /// Whether windows are to be closed.
    pub(super) fn has_closing(&self) -> bool {
        self.windows.as_ref().is_some_and(Windows::has_closing)
    }

    /// Whether a frame can travel by this link.
    pub(super) fn carries(&self, frame: &TxFrame) -> bool {
        let Some(remote) = &self.remote else { return false };
        let offer = frame.target.as_ref().and_then(|target| self.asked_of(target)).filter(|asked| !asked.is_claimed);
        let shape = self.shape(frame, offer.map(|asked| &asked.offer));
        carries_kind(frame.header.kind) && remote.limits.route(&shape).is_some()
    }

    /// Queues the frames that it carries, as long as there is room, and leaves the others.
    pub(super) fn enqueue(&mut self, frames: &mut Vec<TxFrame>, carried: &mut Vec<TxFrame>) {
        if let [frame] = &mut frames[..]
            && self.outbox.has_room()
            && self.carries(frame)
        {
            self.claim(frame);
            return frames.drain(..).for_each(|frame| self.outbox.push(frame));
        }
        let mut room = limit::SEND_QUEUE_BYTES.saturating_sub(self.outbox.queued_bytes());
        carried.extend(frames.extract_if(.., |frame| {
            let fits = room > 0 && self.carries(frame);
            if fits {
                room = room.saturating_sub(frame.bytes());
                self.claim(frame);
            }
            fits
        }));
        self.outbox.take(carried);
    }

    /// Keeps a second answer to the same request from being written to its memory.
    pub(super) fn claim(&mut self, frame: &mut TxFrame) {
        let asked = frame.target.and_then(|target| self.asked.named_mut(target.key));
        match asked {
            Some(asked) if !asked.is_claimed => asked.is_claimed = true,
            _ => frame.target = None,
        }
    }

    /// What decides the route of a frame whose request made this offer.
    pub(super) fn shape(&self, frame: &TxFrame, offer: Option<&Offer>) -> Shape {
        let envelope_bytes = Envelope::bytes_with(frame.landing.is_some(), self.returning.len());
        let (body_bytes, value_bytes) = (frame.header.body_bytes(), frame.header.value_bytes as usize);
        // The words of a refusal are no values.
        let may_land = frame.header.kind == Kind::PullReply && frame.header.status == Status::Ok;
        let offered_bytes = offer.filter(|_| may_land).map_or(0, |offer| offer.bytes as usize);
        Shape { envelope_bytes, body_bytes, value_bytes, offered_bytes }
    }

    /// What the peer offered for the answer that names this target.
    pub(super) fn asked_of(&self, target: &Target) -> Option<&Asked> {
        self.asked.named(target.key).filter(|asked| asked.offer.address == target.address)
    }

    /// The peer says that it is done with a slot, or lends one.
    pub(super) fn accept_credit(&mut self, credit: Credit) -> Result<(), LinkFailure> {
        let Some(remote) = &mut self.remote else { return Ok(()) };
        if remote.credits.accept(credit)? == Granted::Done
            && let Some(place) = self.awaiting.iter().position(|(slot, ..)| *slot == credit.slot)
        {
            let (_, frame, _) = self.awaiting.swap_remove(place);
            self.awaiting_bytes -= frame.bytes();
        }
        Ok(())
    }
}

/// Whether frames of this kind travel by links.
pub(super) fn carries_kind(kind: Kind) -> bool {
    !matches!(kind, Kind::Control | Kind::Setup)
}
