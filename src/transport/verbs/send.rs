//! The way out: from queued frames to posted requests.
//!
//! A link is pumped until its queue is empty, the peer's credits are used up, or the queue pair is full.
//! Each message takes along the credits that the peer is to get back. Where no message goes, they
//! wait until half of what the peer holds is back: then they go alone.

use super::Shared;
use super::failure::LinkFailure;
use super::link::{Given, Link, carries_kind};
use super::plan::{DOORBELL_REQUESTS, FRAME_REQUESTS_MAX, Part, Parts, Planner, Remote, Request, Route, request_count};
use super::post::post;
use super::sent::{Held, Staged};
use crate::memory::{Landing, copy_counted};
use crate::transport::ring::{
    CREDITS_MAX, Credits, Envelope, EnvelopeKind, Immediate, ImmediateKind, Offer, PIECES_MAX, Piece, Pieces,
};
use crate::wire::{HEADER_BYTES, TxFrame};
use smallvec::SmallVec;
use zerocopy::IntoBytes;

/// Bytes that are worth putting into the request itself.
pub(super) const INLINE_BYTES: usize = 256;
/// Inline messages of one batch: each has a request of its own, and one of credits may follow.
const INLINE_MESSAGES: usize = DOORBELL_REQUESTS + 1;

/// Requests that are being planned, and the bytes of the inline ones.
pub(super) struct Batch {
    requests: Vec<Request>,
    inline: Box<[[u8; INLINE_BYTES]; INLINE_MESSAGES]>,
    inline_count: usize,
}

impl Batch {
    pub(super) fn new() -> Batch {
        let requests = Vec::with_capacity(DOORBELL_REQUESTS + FRAME_REQUESTS_MAX);
        Batch { requests, inline: Box::new([[0; INLINE_BYTES]; INLINE_MESSAGES]), inline_count: 0 }
    }

    fn clear(&mut self) {
        self.requests.clear();
        self.inline_count = 0;
    }

    /// Room for the bytes of another inline request, if there is any.
    fn inline_room(&mut self, bytes: usize) -> Option<&mut [u8]> {
        let room = self.inline.get_mut(self.inline_count)?.get_mut(..bytes)?;
        self.inline_count += 1;
        Some(room)
    }
}

/// A frame whose requests are planned, and what was copied for them.
struct Planned {
    route: Route,
    slot: u16,
    request_count: usize,
    staged: Staged,
}

type Bodies<'a> = SmallVec<[&'a [u8]; 5]>;
type BodyParts = SmallVec<[Part; 8]>;

impl Link {
    /// Posts what can be posted. `gives_credits` allows a message for credits alone.
    pub(super) fn pump(&mut self, shared: &mut Shared, gives_credits: bool) -> Result<(), LinkFailure> {
        let has_work = self.can_plan() || self.has_closing() || (gives_credits && !self.returning.is_empty());
        if self.remote.is_none() || self.has_failed || !has_work {
            return Ok(());
        }
        loop {
            shared.batch.clear();
            let first = self.sent.next();
            self.plan_closings(shared);
            while shared.batch.requests.len() < DOORBELL_REQUESTS && self.plan_next(shared)? {}
            if gives_credits && self.sent.room() > 0 && self.credits_are_due(shared) {
                self.plan_credits(shared)?;
            }
            if shared.batch.requests.is_empty() {
                return Ok(());
            }
            self.post_batch(first, shared)?;
        }
    }

    /// Whether there is something to send, and everything that it takes.
    pub(super) fn can_plan(&self) -> bool {
        let Some(remote) = &self.remote else { return false };
        let can_read =
            self.readings.front().is_some_and(|next| self.reads_under_way + next.pieces.len() <= remote.reads_max);
        let can_send = remote.credits.free_count() > 0 && self.outbox.count() > 0;
        self.sent.room() >= FRAME_REQUESTS_MAX && (can_read || can_send)
    }

    /// Plans to close the windows whose answers have come.
    fn plan_closings(&mut self, shared: &mut Shared) {
        let (Some(windows), Some(remote)) = (&mut self.windows, &self.remote) else { return };
        while shared.batch.requests.len() < DOORBELL_REQUESTS
            && self.sent.room() > 0
            && let Some((key, region)) = windows.take_closing()
        {
            shared.planner(&remote.limits).invalidate(key);
            self.sent.keep(1, 0, Held::Region(region));
        }
    }

    /// Plans the next READs or frame. Returns whether there was something.
    fn plan_next(&mut self, shared: &mut Shared) -> Result<bool, LinkFailure> {
        if !self.can_plan() {
            return Ok(false);
        }
        let reads_max = self.remote.as_ref().map_or(0, |remote| remote.reads_max);
        let room = reads_max.saturating_sub(self.reads_under_way);
        let fits = self.readings.front().is_some_and(|next| next.pieces.len() <= room);
        if fits && let Some(reading) = self.readings.pop_front() {
            let Some(remote) = &self.remote else { return Ok(false) };
            let mut planner = Planner { limits: &remote.limits, requests: &mut shared.batch.requests };
            planner.read(&reading.pieces, reading.into);
            self.reads_under_way += reading.pieces.len();
            self.sent.keep(reading.pieces.len(), 0, Held::Read(reading));
            return Ok(true);
        }
        let Some(mut frame) = self.outbox.next() else { return Ok(false) };
        if let Some(planned) = self.plan_frame(&mut frame, shared)? {
            self.keep(planned, frame);
        }
        Ok(true)
    }

    /// Posts the only frame of `frames` if nothing stands before it and all of it fits an inline request.
    /// It is not moved to the queue and back, and does not wait for the flush.
    pub(super) fn send_at_once(&mut self, frames: &mut Vec<TxFrame>, shared: &mut Shared) -> Result<bool, LinkFailure> {
        let ([frame], Some(remote)) = (&mut frames[..], &self.remote) else { return Ok(false) };
        let is_inline = remote.limits.is_inline(&self.shape(frame, None)) && carries_kind(frame.header.kind);
        let is_idle = self.outbox.count() == 0 && self.readings.is_empty();
        if !is_inline || !is_idle || remote.credits.free_count() == 0 || self.sent.room() < FRAME_REQUESTS_MAX {
            return Ok(false);
        }
        self.claim(frame);
        shared.batch.clear();
        let first = self.sent.next();
        if let Some(planned) = self.plan_frame(frame, shared)? {
            self.sent.keep(
                planned.request_count,
                frame.bytes(),
                Held::Buffers { _frame: None, _staged: planned.staged },
            );
        }
        frames.clear();
        self.post_batch(first, shared)?;
        Ok(true)
    }

    fn post_batch(&mut self, first: u64, shared: &mut Shared) -> Result<(), LinkFailure> {
        let idle_follows = !self.can_plan();
        self.signals.mark(&mut shared.batch.requests, idle_follows);
        // SAFETY: what the requests name is registered, and kept by `sent` or `awaiting` until it is
        // done; inline bytes lie in the batch, which is not touched before the call returns.
        let posted = unsafe { post(&self.pair, first, &shared.batch.requests, &mut shared.counts) };
        posted.map_err(LinkFailure::Post)
    }

    /// Plans the requests of a frame. What it needs is there: a route, a credit and room.
    fn plan_frame(&mut self, frame: &mut TxFrame, shared: &mut Shared) -> Result<Option<Planned>, LinkFailure> {
        let answered = frame.target.and_then(|target| self.asked.remove(target.key));
        let offer = answered.as_ref().map(|asked| &asked.offer);
        let shape = self.shape(frame, offer);
        let Some(remote) = &mut self.remote else { return Ok(None) };
        let Some(route) = remote.limits.route(&shape) else {
            // Invariant: `enqueue` took only frames that have a route, and the link's limits do not change.
            debug_assert!(false, "a frame without a route was queued");
            return Ok(None);
        };
        let Some(slot) = remote.credits.take() else { return Ok(None) };
        let (limits, place) = (remote.limits, slot_of(remote.ring, slot, remote.limits.slot_bytes));
        let immediate = Immediate { kind: ImmediateKind::Frame, slot, generation: remote.credits.generation() };
        let mut envelope = self.envelope(kind_of(route), slot);
        envelope.landed = route == Route::Landed;
        envelope.answers = answered.as_ref().map(|asked| asked.offer.token);
        let before = shared.batch.requests.len();
        // From here on the landing is kept by its offer, not by the frame, which stays longer.
        if let Some(landing) = frame.landing.take() {
            envelope.offer = self.offer(landing, shared)?;
        }
        if envelope.offer.is_none() && envelope.answers.is_none() {
            envelope.answers = self.answered_elsewhere.pop();
        }
        let mut staged = Staged::new();
        match route {
            Route::Inline | Route::Message => {
                let inline = if route == Route::Inline { shared.inline(&envelope, frame) } else { None };
                let message = match inline {
                    Some(message) => message,
                    None => shared.framed(&envelope, frame, frame.body_parts(), &mut staged)?,
                };
                shared.planner(&limits).send(one(message));
            }
            Route::Slot => {
                let body = shared.body(frame.body_parts(), limits.parts_max, &mut staged)?;
                let head = shared.slot_head(&envelope, frame, &mut staged)?;
                shared.planner(&limits).slot(head, &body, place, immediate.encode());
            }
            Route::Landed => {
                let mut bodies = frame.body_parts();
                let values: Bodies<'_> = bodies.drain(2..).collect();
                let values = shared.body(values, limits.parts_max, &mut staged)?;
                let body = shared.body(bodies, limits.parts_max, &mut staged)?;
                let head = shared.slot_head(&envelope, frame, &mut staged)?;
                let mut planner = shared.planner(&limits);
                let target = answered.map_or(Remote::default(), |asked| remote_of(&asked.offer));
                planner.write(&values, target);
                planner.slot(head, &body, place, immediate.encode());
            }
            Route::Rendezvous => {
                let pieces = shared.pieces(frame.body_parts(), &mut staged)?;
                envelope.piece_count = pieces.len() as u8;
                let encoded: SmallVec<[[u8; 16]; PIECES_MAX]> = pieces.iter().map(|piece| piece.encode()).collect();
                let bodies = encoded.iter().map(|piece| &piece[..]).collect();
                let message = shared.framed(&envelope, frame, bodies, &mut staged)?;
                shared.planner(&limits).send(one(message));
            }
        }
        let request_count = shared.batch.requests.len() - before;
        Ok(Some(Planned { route, slot, request_count, staged }))
    }

    /// Sees to it that a frame's memory stays until its requests are done, or the peer has fetched it.
    fn keep(&mut self, planned: Planned, frame: TxFrame) {
        let Planned { route, slot, request_count: count, staged } = planned;
        let bytes = frame.bytes();
        match route {
            // All of it was copied, into the request or to what is staged.
            Route::Inline | Route::Message => {
                self.sent.keep(count, bytes, Held::Buffers { _frame: None, _staged: staged });
            }
            Route::Slot | Route::Landed => {
                self.sent.keep(count, bytes, Held::Buffers { _frame: Some(Box::new(frame)), _staged: staged });
            }
            Route::Rendezvous => {
                // What was copied of the body is fetched as well, so it goes with the frame.
                self.awaiting.push((slot, Box::new(frame), staged));
                self.awaiting_bytes += bytes;
                self.sent.keep(count, 0, Held::Buffers { _frame: None, _staged: Staged::new() });
            }
        }
    }

    /// Gives a landing away to the peer, if that can be done.
    fn offer(&mut self, landing: Landing, shared: &mut Shared) -> Result<Option<Offer>, LinkFailure> {
        if landing.bytes() == 0 || self.given.is_full() {
            return Ok(None);
        }
        let Some(region) = shared.registry.region_to_land(&landing)? else { return Ok(None) };
        let (mut key, mut opened) = (region.remote_key(), None);
        if let (Some(windows), Some(remote)) = (&mut self.windows, &self.remote) {
            let Some((window, binding)) = windows.open(landing.address(), landing.bytes(), &region) else {
                return Ok(None);
            };
            shared.planner(&remote.limits).bind(binding);
            (key, opened) = (binding.key, Some(window));
        }
        let (address, bytes) = (landing.address() as u64, landing.bytes() as u32);
        let token = self.given.insert(Given { landing, opened });
        Ok(token.ok().map(|token| Offer { address, key, bytes, token }))
    }

    /// An envelope to the peer, with the credits that it is to get back.
    fn envelope(&mut self, kind: EnvelopeKind, slot: u16) -> Envelope {
        let credits = self.remote.as_ref().map(|remote| &remote.credits);
        let mut envelope = Envelope::new(kind, credits.map_or(0, Credits::generation), slot);
        let free = credits.map_or(0, Credits::free_count);
        envelope.wants = u8::try_from(self.outbox.count().saturating_sub(free)).unwrap_or(u8::MAX);
        while envelope.credits.len() < CREDITS_MAX
            && let Some(credit) = self.returning.pop_front()
        {
            envelope.credits.push(credit);
        }
        if self.returning.is_empty() {
            self.returns_are_due = false;
        }
        envelope
    }

    /// Whether credits must not wait for a frame that takes them along.
    pub(super) fn credits_are_due(&self, shared: &Shared) -> bool {
        // With fewer than two there is no need to know how many are lent.
        let is_half = || self.returning.len() >= 2.max(shared.lender.lent_to(self.peer) / 2);
        !self.returning.is_empty() && (self.returns_are_due || (self.returning.len() >= 2 && is_half()))
    }

    fn plan_credits(&mut self, shared: &mut Shared) -> Result<(), LinkFailure> {
        let mut envelope = self.envelope(EnvelopeKind::Credits, 0);
        envelope.answers = self.answered_elsewhere.pop();
        let Some(remote) = &self.remote else { return Ok(()) };
        let limits = remote.limits;
        let mut staged = Staged::new();
        let message = shared.message(&[&envelope.encode()[..envelope.bytes()]], Bodies::new(), &mut staged)?;
        shared.planner(&limits).send(one(message));
        shared.counts.credit_messages += 1;
        self.sent.keep(1, 0, Held::Buffers { _frame: None, _staged: staged });
        Ok(())
    }
}

impl Shared {
    fn planner<'a>(&'a mut self, limits: &'a super::plan::Limits) -> Planner<'a> {
        Planner { limits, requests: &mut self.batch.requests }
    }

    /// Envelope, header and body of a frame that goes inline, written where the request takes them from.
    fn inline(&mut self, envelope: &Envelope, frame: &TxFrame) -> Option<Part> {
        let envelope_bytes = envelope.bytes();
        let room = self.batch.inline_room(envelope_bytes + HEADER_BYTES + frame.header.body_bytes())?;
        // The header goes over the zeros behind the envelope.
        *room.first_chunk_mut()? = envelope.encode();
        let (header, mut rest) = room[envelope_bytes..].split_first_chunk_mut::<HEADER_BYTES>()?;
        frame.header.encode(&[]).write_to(header).ok()?;
        rest = put(rest, frame.dependencies.as_slice().as_bytes())?;
        if let Some(keys) = &frame.keys {
            rest = put(rest, keys)?;
        }
        for piece in frame.values.iter() {
            rest = put(rest, piece)?;
        }
        debug_assert!(rest.is_empty(), "a header says as many bytes as its frame has");
        self.counts.staged_bytes += frame.header.body_bytes() as u64;
        Some(inline_part(room))
    }

    /// Envelope and header of a message, and what follows them at once.
    fn framed(
        &mut self,
        envelope: &Envelope,
        frame: &TxFrame,
        bodies: Bodies<'_>,
        staged: &mut Staged,
    ) -> Result<Part, LinkFailure> {
        self.message(&[&envelope.encode()[..envelope.bytes()], frame.header.encode(&[]).as_bytes()], bodies, staged)
    }

    /// Envelope and header for a slot, where each has its place.
    fn slot_head(&mut self, envelope: &Envelope, frame: &TxFrame, staged: &mut Staged) -> Result<Part, LinkFailure> {
        self.message(&[&envelope.encode(), frame.header.encode(&[]).as_bytes()], Bodies::new(), staged)
    }

    /// A message in one piece: for an inline request where it is small enough, else in a registered block.
    fn message(&mut self, heads: &[&[u8]], bodies: Bodies<'_>, staged: &mut Staged) -> Result<Part, LinkFailure> {
        let body_bytes: usize = bodies.iter().map(|part| part.len()).sum();
        let bytes = heads.iter().map(|part| part.len()).sum::<usize>() + body_bytes;
        self.counts.staged_bytes += body_bytes as u64;
        if bytes <= self.pairing.inline_bytes as usize
            && let Some(room) = self.batch.inline_room(bytes)
        {
            write_parts(room, heads, &bodies);
            return Ok(inline_part(room));
        }
        let mut block = self.registry.pool().block(bytes);
        write_parts(&mut block, heads, &bodies);
        let part = self.registered(&block)?;
        staged.push(block);
        Ok(part)
    }

    /// The parts of a body as they lie in registered memory; what does not is copied. So is everything
    /// that would take more requests than one frame may.
    fn body(&mut self, bodies: Bodies<'_>, parts_max: usize, staged: &mut Staged) -> Result<BodyParts, LinkFailure> {
        let bodies: Bodies<'_> = bodies.into_iter().filter(|part| !part.is_empty()).collect();
        if request_count(bodies.len(), parts_max) > FRAME_REQUESTS_MAX / 2 {
            return Ok(std::iter::once(self.stage(&bodies, staged)?).collect());
        }
        let mut parts = BodyParts::new();
        for body in bodies {
            parts.push(match self.registry.part(body)? {
                Some(part) => part,
                None => self.stage(&[body], staged)?,
            });
        }
        Ok(parts)
    }

    /// The parts of a body as the peer can read them.
    fn pieces(&mut self, bodies: Bodies<'_>, staged: &mut Staged) -> Result<Pieces, LinkFailure> {
        let bodies: Bodies<'_> = bodies.into_iter().filter(|part| !part.is_empty()).collect();
        if bodies.len() > PIECES_MAX {
            let whole = self.stage(&bodies, staged)?;
            return Ok(self.piece(whole.address as usize, whole.bytes as usize)?.into_iter().collect());
        }
        let mut pieces = Pieces::new();
        for body in bodies {
            let piece = match self.piece(body.as_ptr() as usize, body.len())? {
                Some(piece) => Some(piece),
                None => {
                    let copy = self.stage(&[body], staged)?;
                    self.piece(copy.address as usize, copy.bytes as usize)?
                }
            };
            pieces.extend(piece);
        }
        Ok(pieces)
    }

    fn piece(&mut self, address: usize, bytes: usize) -> Result<Option<Piece>, LinkFailure> {
        let key = self.registry.key_to_read(address, bytes)?;
        Ok(key.map(|key| Piece { address: address as u64, key, bytes: bytes as u32 }))
    }

    /// Copies parts to a block of the pool, whose slabs are registered.
    fn stage(&mut self, parts: &[&[u8]], staged: &mut Staged) -> Result<Part, LinkFailure> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.counts.staged_bytes += bytes as u64;
        let mut block = self.registry.pool().block(bytes);
        write_parts(&mut block, &[], parts);
        let part = self.registered(&block)?;
        staged.push(block);
        Ok(part)
    }

    fn registered(&mut self, bytes: &[u8]) -> Result<Part, LinkFailure> {
        // Invariant: every block of the pool lies in one of its slabs.
        self.registry.part(bytes)?.ok_or_else(|| LinkFailure::Post(std::io::ErrorKind::NotFound.into()))
    }
}

/// Copies a part of a body to the start of `room`, if it fits. Gives what is left of the room.
fn put<'a>(room: &'a mut [u8], part: &[u8]) -> Option<&'a mut [u8]> {
    let (place, rest) = room.split_at_mut_checked(part.len())?;
    copy_counted(place, part);
    Some(rest)
}

/// Writes heads, which are no payload, and bodies, which are, one behind the other.
fn write_parts(room: &mut [u8], heads: &[&[u8]], bodies: &[&[u8]]) {
    let mut rest = room;
    for head in heads {
        let (place, behind) = rest.split_at_mut(head.len());
        place.iter_mut().zip(*head).for_each(|(to, from)| *to = *from);
        rest = behind;
    }
    for body in bodies {
        let (place, behind) = rest.split_at_mut(body.len());
        copy_counted(place, body);
        rest = behind;
    }
}

fn kind_of(route: Route) -> EnvelopeKind {
    match route {
        Route::Inline | Route::Message => EnvelopeKind::Inline,
        Route::Slot | Route::Landed => EnvelopeKind::Slot,
        Route::Rendezvous => EnvelopeKind::Rendezvous,
    }
}

fn slot_of(ring: Remote, slot: u16, slot_bytes: usize) -> Remote {
    ring.after(usize::from(slot) * slot_bytes)
}

fn remote_of(offer: &Offer) -> Remote {
    Remote { address: offer.address, key: offer.key }
}

/// Bytes that an inline request takes along; they need no key.
fn inline_part(room: &[u8]) -> Part {
    Part { address: room.as_ptr() as u64, bytes: room.len() as u32, key: 0 }
}

fn one(part: Part) -> Parts {
    let mut parts = Parts::new();
    parts.push(part);
    parts
}
