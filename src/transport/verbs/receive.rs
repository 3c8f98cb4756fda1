//! The way in: from completions to frames.
//!
//! A completion is looked at once: its envelope is copied and checked, and its credits count from then
//! on. The frame itself is an [`Arrival`] until it is delivered, in its slot or receive buffer, which
//! the peer does not get back so long. Slots are read through raw pointers alone: the peer can write them.

use super::Shared;
use super::failure::LinkFailure;
use super::link::{Asked, Given, Link};
use super::plan::Part;
use super::progress::Kept;
use super::receives::RECEIVE_BYTES;
use crate::memory::{Block, Landing, RxBuf, SharedBytes};
use crate::transport::Incoming;
use crate::transport::origin::Origin;
use crate::transport::ring::{
    Credit, ENVELOPE_BYTES, Envelope, EnvelopeKind, Immediate, ImmediateKind, Offer, Pieces, RingError,
    SLOT_HEAD_BYTES, arrive, arrive_body, arrive_header, parse_pieces,
};
use crate::wire::{HEADER_BYTES, Header, Kind, RxFrame, Status, Target};
use std::ops::Range;

/// What an envelope says of its frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    kind: EnvelopeKind,
    slot: u16,
    offer: Option<Offer>,
    answers: Option<u32>,
    landed: bool,
    piece_count: u8,
}

impl Saying {
    fn of(envelope: &Envelope) -> Saying {
        let &Envelope { kind, slot, offer, answers, landed, piece_count, .. } = envelope;
        Saying { kind, slot, offer, answers, landed, piece_count }
    }
}

/// A frame that is here and not delivered.
#[derive(Debug)]
pub(super) enum Arrival {
    /// In a slot of the ring.
    Slot(Saying),
    /// In receive buffer `index`, behind its envelope.
    Message { saying: Saying, index: u32, place: Range<usize> },
    /// Fetched.
    Fetched(Box<Reading>),
}

/// A frame whose body is fetched by READs. Nobody but the device touches the block meanwhile.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) pieces: Pieces,
    /// The block, as the requests name it.
    pub(super) into: Part,
    saying: Saying,
    header: Header,
    block: Block,
}

impl Link {
    /// A message came into receive buffer `index`.
    pub(super) fn on_message(&mut self, shared: &mut Shared, index: u32, bytes: usize) -> Result<Kept, LinkFailure> {
        let Some(room) = shared.receives.room(index) else { return Ok(Kept::Nothing) };
        let bytes = bytes.min(RECEIVE_BYTES);
        let envelope = Envelope::parse(&room.read(0), bytes)?;
        if envelope.generation != self.generation {
            // A message of an earlier link between the same two; nothing of it concerns this one.
            tracing::debug!(peer = %self.peer, found = envelope.generation, expected = self.generation, "stale message");
            return Ok(Kept::Nothing);
        }
        self.on_envelope(shared, &envelope)?;
        match envelope.kind {
            EnvelopeKind::Credits => {
                if let Some(token) = envelope.answers {
                    self.answered(token)?;
                }
                Ok(Kept::Nothing)
            }
            EnvelopeKind::Inline | EnvelopeKind::Rendezvous => {
                shared.lender.arrive(self.peer, envelope.slot, envelope.generation)?;
                let place = envelope.bytes()..bytes;
                self.arrivals.push_back(Arrival::Message { saying: Saying::of(&envelope), index, place });
                Ok(Kept::Buffer)
            }
            EnvelopeKind::Slot => {
                Err(RingError::Field { field: "envelope kind", number: EnvelopeKind::Slot as u64 }.into())
            }
        }
    }

    /// A write into our ring ended, with this immediate.
    pub(super) fn on_write(&mut self, shared: &mut Shared, immediate: u32) -> Result<(), LinkFailure> {
        let immediate = Immediate::decode(immediate)?;
        if immediate.kind != ImmediateKind::Frame {
            return Err(RingError::Field { field: "immediate kind", number: immediate.kind as u64 }.into());
        }
        match shared.lender.arrive(self.peer, immediate.slot, immediate.generation) {
            Err(error @ RingError::Stale { .. }) => {
                tracing::debug!(peer = %self.peer, "{error}");
                return Ok(());
            }
            arrived => arrived?,
        }
        let envelope = Envelope::parse(&shared.slot(immediate.slot).read(0), ENVELOPE_BYTES)?;
        let is_its = envelope.slot == immediate.slot && envelope.generation == immediate.generation;
        if envelope.kind != EnvelopeKind::Slot || !is_its {
            return Err(RingError::Field { field: "envelope in a slot", number: envelope.kind as u64 }.into());
        }
        self.on_envelope(shared, &envelope)?;
        self.arrivals.push_back(Arrival::Slot(Saying::of(&envelope)));
        Ok(())
    }

    fn on_envelope(&mut self, shared: &mut Shared, envelope: &Envelope) -> Result<(), LinkFailure> {
        for credit in &envelope.credits {
            self.accept_credit(*credit)?;
        }
        if envelope.wants > 0 {
            shared.grants.clear();
            shared.lender.want(self.peer, envelope.wants.into(), &mut shared.grants);
            self.returns_are_due |= !shared.grants.is_empty();
            self.returning.extend(shared.grants.drain(..).map(|slot| Credit { slot, kept: false }));
        }
        Ok(())
    }

    /// Everything up to request `number` is done. Returns whether somebody may wait for what is let go of.
    pub(super) fn on_sent(&mut self, number: u64) -> bool {
        let (arrivals, under_way) = (&mut self.arrivals, &mut self.reads_under_way);
        self.sent.retire(number, |reading| {
            *under_way -= reading.pieces.len();
            arrivals.push_back(Arrival::Fetched(reading));
        })
    }

    /// Delivers the next arrival. Nothing comes of one that must be fetched first.
    pub(super) fn deliver(&mut self, shared: &mut Shared, incoming: &mut Vec<Incoming>) -> Result<(), LinkFailure> {
        let Some(arrival) = self.arrivals.pop_front() else { return Ok(()) };
        // A frame is put where it belongs at once, for it is a few hundred bytes to move, and taken away again
        // when its link fails.
        let (from, before) = (self.peer, incoming.len());
        let mut deliver = |frame| incoming.push(Incoming::Frame { from, frame });
        let saying = match arrival {
            Arrival::Slot(saying) => {
                deliver(self.frame_in_slot(shared, &saying)?);
                saying
            }
            Arrival::Message { saying, index, place } => {
                let delivered = match saying.kind {
                    EnvelopeKind::Rendezvous => self.begin_reading(shared, &saying, index, place),
                    _ => self.frame_in_message(shared, &saying, index, place).map(deliver),
                };
                // The buffer is posted again even if the frame was none.
                if let Err(error) = shared.receives.give_back(index) {
                    incoming.truncate(before);
                    return Err(LinkFailure::Post(error));
                }
                delivered?;
                saying
            }
            Arrival::Fetched(reading) => {
                let Reading { saying, header, block, .. } = *reading;
                let frame = RxFrame::linked(header, RxBuf::new(block));
                self.returns_are_due = true;
                deliver(frame.map_err(|error| LinkFailure::Frame(error.to_string()))?);
                saying
            }
        };
        // None yet of a frame that is fetched first.
        let Some(Incoming::Frame { frame, .. }) = incoming.get_mut(before) else { return Ok(()) };
        self.returning.extend(shared.lender.finish(self.peer, saying.slot));
        let addressed = self.address(frame, &saying);
        if addressed.is_err() {
            incoming.truncate(before);
        }
        addressed
    }

    /// Says in the frame where its answer may go, or where its values went.
    fn address(&mut self, frame: &mut RxFrame, saying: &Saying) -> Result<(), LinkFailure> {
        if let Some(offer) = saying.offer {
            let (address, bytes) = (offer.address, offer.bytes);
            // With too many offers open the answer comes as if none had been made.
            let token = self.asked.insert(Asked::new(offer)).ok();
            frame.target = token.map(|key| Target { address, key, bytes });
        }
        if let Some(token) = saying.answers {
            let landing = self.answered(token)?;
            let (landed, offered) = (u64::from(frame.header.value_bytes), landing.bytes() as u64);
            if frame.landed && landed > offered {
                return Err(LinkFailure::Landed { landed, offered });
            }
            let (address, bytes) = (landing.address() as u64, landing.bytes() as u32);
            frame.target = frame.landed.then_some(Target { address, key: 0, bytes });
        }
        Ok(())
    }

    /// The landing of an offer that is answered. From now on the peer has no business there.
    fn answered(&mut self, token: u32) -> Result<Landing, LinkFailure> {
        let Given { landing, opened } = self.given.remove(token).ok_or(LinkFailure::Answer { token })?;
        if let (Some(windows), Some(opened)) = (&mut self.windows, opened) {
            windows.close(opened);
        }
        Ok(landing)
    }

    fn frame_in_slot(&self, shared: &Shared, saying: &Saying) -> Result<RxFrame, LinkFailure> {
        let slot = shared.slot(saying.slot);
        let message = slot.part(ENVELOPE_BYTES, slot.len() - ENVELOPE_BYTES);
        let origin = Origin { job: shared.job, peer: self.peer, pool: shared.registry.pool() };
        if !saying.landed {
            return Ok(arrive(message, &origin)?);
        }
        let header = arrive_header(message, &origin)?;
        let bytes = header.body_bytes() - header.value_bytes as usize;
        if bytes > slot.len() - SLOT_HEAD_BYTES {
            let (bytes, limit) = (bytes as u64, (slot.len() - SLOT_HEAD_BYTES) as u64);
            return Err(RingError::Length { what: "body", bytes, limit }.into());
        }
        let body = match bytes {
            0 => RxBuf::empty(),
            bytes => {
                let mut block = shared.registry.pool().block(bytes);
                message.copy_out_counted(HEADER_BYTES, &mut block);
                RxBuf::new(block)
            }
        };
        RxFrame::linked_landed(header, body).map_err(|error| LinkFailure::Frame(error.to_string()))
    }

    /// Header of the message in buffer `index`, of which `place` is behind the envelope, and what is behind it.
    #[inline]
    fn header_in_message<'a>(
        &self,
        shared: &'a Shared,
        index: u32,
        place: Range<usize>,
    ) -> Result<(Header, SharedBytes<'a>), LinkFailure> {
        let room = shared.receives.room(index);
        let room = room.ok_or_else(|| LinkFailure::Device(format!("it names receive {index}, which is none")))?;
        let message = room.part(place.start, place.len());
        let origin = Origin { job: shared.job, peer: self.peer, pool: shared.registry.pool() };
        Ok((arrive_header(message, &origin)?, message.behind(HEADER_BYTES)))
    }

    #[inline]
    fn frame_in_message(
        &self,
        shared: &Shared,
        saying: &Saying,
        index: u32,
        place: Range<usize>,
    ) -> Result<RxFrame, LinkFailure> {
        let (header, body) = self.header_in_message(shared, index, place)?;
        let given = saying.answers.and_then(|token| self.given.named(token));
        match given.filter(|given| fits_landing(&header, body, &given.landing)) {
            Some(given) => landed_by_copy(header, body, &given.landing),
            None => Ok(arrive_body(body, header, shared.registry.pool())?),
        }
    }

    /// The message says where the body of its frame is to be fetched.
    fn begin_reading(
        &mut self,
        shared: &mut Shared,
        saying: &Saying,
        index: u32,
        place: Range<usize>,
    ) -> Result<(), LinkFailure> {
        let (header, body) = self.header_in_message(shared, index, place)?;
        let mut list = [0; super::LIST_BYTES];
        let listed = body.len().min(list.len());
        body.copy_out_counted(0, &mut list[..listed]);
        let pieces = parse_pieces(&list[..listed], saying.piece_count, header.body_bytes())?;
        let block = shared.registry.pool().block(header.body_bytes());
        let into =
            shared.registry.part(&block)?.ok_or_else(|| LinkFailure::Post(std::io::ErrorKind::NotFound.into()))?;
        self.readings.push_back(Box::new(Reading { pieces, into, saying: *saying, header, block }));
        Ok(())
    }
}

/// Whether an answer is few values that came with it, though memory was offered for them.
fn fits_landing(header: &Header, body: SharedBytes<'_>, landing: &Landing) -> bool {
    let bytes = header.value_bytes as usize;
    let is_for_it =
        header.kind == Kind::PullReply && header.status == Status::Ok && (1..=landing.bytes()).contains(&bytes);
    is_for_it && header.body_bytes() == bytes && bytes <= body.len().min(RECEIVE_BYTES)
}

/// Puts such values there, so that whoever asked finds the values of all its answers in one place.
fn landed_by_copy(header: Header, body: SharedBytes<'_>, landing: &Landing) -> Result<RxFrame, LinkFailure> {
    let bytes = header.value_bytes as usize;
    let mut values = [0; RECEIVE_BYTES];
    body.copy_out_counted(0, &mut values[..bytes]);
    landing.as_shared().copy_in_counted(0, &values[..bytes]);
    let frame = RxFrame::linked_landed(header, RxBuf::empty());
    frame.map_err(|error| LinkFailure::Frame(error.to_string()))
}
