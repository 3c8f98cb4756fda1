//! The message in front of a header, little-endian, as long as what it says.
//!
//! A pull's envelope offers memory for its answer's values; the answer's envelope names the offer
//! by its token and says whether the values were written there. Any envelope can bring credits.
//! ```text
//! 0                      16                  32                       64
//! | what each one says,  | the memory that   | the third credit,      |
//! | and two credits      | is offered        | and all behind it      |
//! ```
//! With at most two credits it ends in front of the others, and without an offer in front of that, so that a small
//! push has 16 bytes before its header and a small pull 32. In slots and in shared memory the header keeps its
//! place behind all 64.

use super::credit::Credit;
use super::error::RingError;
use super::immediate::SLOT_COUNT_MAX;
use crate::limit;
use smallvec::SmallVec;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the longest envelope.
pub const ENVELOPE_BYTES: usize = 64;
/// Credits that one envelope can bring.
pub const CREDITS_MAX: usize = 16;
/// Pieces of one rendezvous.
pub const PIECES_MAX: usize = 4;

/// Bytes of an envelope that offers nothing and brings at most [`CREDITS_ALWAYS`] credits.
const SHORT_BYTES: usize = 16;
/// Bytes of one with an offer, and at most [`CREDITS_ALWAYS`] credits.
const OFFER_BYTES: usize = 32;
/// Credits that have a place in each envelope.
const CREDITS_ALWAYS: usize = 2;

const PIECE_BYTES: usize = 16;
const HAS_OFFER: u8 = 1;
const ANSWERS: u8 = 2;
const LANDED: u8 = 4;
/// In the number of a credit: the receiver keeps the slot.
const KEPT: u16 = 1 << 15;

/// What follows the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EnvelopeKind {
    /// Header and body in the slot of the credit. What has landed is not in the body.
    Slot = 1,
    /// Header and body in the message itself. It takes the credit of `slot` all the same.
    Inline = 2,
    /// Header, then the [`Piece`]s from which the receiver reads the body. The credit of `slot`,
    /// when it comes back, says that it has.
    Rendezvous = 3,
    /// Nothing: only credits, and perhaps the token of an offer that was answered another way.
    Credits = 4,
}

/// Memory into which the values of an answer may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Where, in the asker's address space.
    pub address: u64,
    /// The key of its region.
    pub key: u32,
    /// How many bytes at most.
    pub bytes: u32,
    /// Names the offer in the answer.
    pub token: u32,
}

/// An envelope, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What follows.
    pub kind: EnvelopeKind,
    /// Generation of the link, as the receiver counts them.
    pub generation: u16,
    /// The slot whose credit the frame takes; zero for credits alone.
    pub slot: u16,
    /// How many more slots the sender could use now; a peer never gets as many as this can say.
    pub wants: u8,
    /// Requests: where the answer's values may go.
    pub offer: Option<Offer>,
    /// Answers: token of the offer that is answered.
    pub answers: Option<u32>,
    /// Whether the values were written to the offer.
    pub landed: bool,
    /// Pieces of a rendezvous; zero otherwise.
    pub piece_count: u8,
    /// What the sender says of slots of its own ring.
    pub credits: SmallVec<[Credit; CREDITS_MAX]>,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawEnvelope {
    kind: u8,
    flags: u8,
    wants: u8,
    /// Credits in the lower five bits, pieces in the upper three.
    counts: u8,
    generation: U16,
    slot: U16,
    token: U32,
    credits: [U16; CREDITS_ALWAYS],
    address: U64,
    key: U32,
    bytes: U32,
    further_credits: [U16; CREDITS_MAX - CREDITS_ALWAYS],
    reserved: U32,
}

const CREDIT_COUNT_BITS: u32 = 5;

const _: () = assert!(size_of::<RawEnvelope>() == ENVELOPE_BYTES);
const _: () = assert!(std::mem::offset_of!(RawEnvelope, address) == SHORT_BYTES);
const _: () = assert!(std::mem::offset_of!(RawEnvelope, further_credits) == OFFER_BYTES);
const _: () = assert!(CREDITS_MAX < 1 << CREDIT_COUNT_BITS && PIECES_MAX < 1 << (8 - CREDIT_COUNT_BITS));

impl Envelope {
    /// An envelope of this kind without anything else.
    #[must_use]
    pub fn new(kind: EnvelopeKind, generation: u16, slot: u16) -> Envelope {
        let credits = SmallVec::new();
        Envelope {
            kind,
            generation,
            slot,
            wants: 0,
            offer: None,
            answers: None,
            landed: false,
            piece_count: 0,
            credits,
        }
    }

    /// How many bytes of [`encode`](Self::encode) say something: 16, 32 or 64.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        Envelope::bytes_with(self.offer.is_some(), self.credits.len())
    }

    /// Bytes of an envelope with so many credits.
    #[must_use]
    #[inline]
    pub fn bytes_with(has_offer: bool, credit_count: usize) -> usize {
        match (credit_count <= CREDITS_ALWAYS, has_offer) {
            (true, false) => SHORT_BYTES,
            (true, true) => OFFER_BYTES,
            (false, _) => ENVELOPE_BYTES,
        }
    }

    /// As it travels, with zeros behind its last byte. Offer and answer exclude each other.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> [u8; ENVELOPE_BYTES] {
        debug_assert!(self.offer.is_none() || self.answers.is_none(), "a frame asks or answers");
        let offer = self.offer.unwrap_or(Offer { address: 0, key: 0, bytes: 0, token: self.answers.unwrap_or(0) });
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let (mut credits, mut further_credits) =
            ([U16::ZERO; CREDITS_ALWAYS], [U16::ZERO; CREDITS_MAX - CREDITS_ALWAYS]);
        let places = credits.iter_mut().chain(&mut further_credits);
        places.zip(&self.credits).for_each(|(to, credit)| to.set(encode_credit(credit)));
        let raw = RawEnvelope {
            kind: self.kind as u8,
            flags: flag(self.offer.is_some(), HAS_OFFER)
                | flag(self.answers.is_some(), ANSWERS)
                | flag(self.landed, LANDED),
            wants: self.wants,
            // The list holds no more than the limit, and that fits five bits.
            counts: self.piece_count << CREDIT_COUNT_BITS | self.credits.len().min(CREDITS_MAX) as u8,
            generation: U16::new(self.generation),
            slot: U16::new(self.slot),
            token: U32::new(offer.token),
            credits,
            address: U64::new(offer.address),
            key: U32::new(offer.key),
            bytes: U32::new(offer.bytes),
            further_credits,
            reserved: U32::ZERO,
        };
        zerocopy::transmute!(raw)
    }

    /// Reads an envelope from the start of `message`, of whose `message_bytes` bytes `message` has at most
    /// the first; what it has beyond them is not looked at.
    ///
    /// # Errors
    /// When bytes are missing, or a field holds what it cannot.
    #[inline]
    pub fn parse(message: &[u8; ENVELOPE_BYTES], message_bytes: usize) -> Result<Envelope, RingError> {
        let raw: &RawEnvelope = zerocopy::transmute_ref!(message);
        if message_bytes < SHORT_BYTES {
            return Err(too_short("envelope", message_bytes, SHORT_BYTES));
        }
        let unknown = |field, number: u64| Err(RingError::Field { field, number });
        let kind = match raw.kind {
            1 => EnvelopeKind::Slot,
            2 => EnvelopeKind::Inline,
            3 => EnvelopeKind::Rendezvous,
            4 => EnvelopeKind::Credits,
            number => return unknown("envelope kind", u64::from(number)),
        };
        let has = |flag: u8| raw.flags & flag != 0;
        let lands_unasked = has(LANDED) && !(has(ANSWERS) && matches!(kind, EnvelopeKind::Slot));
        let asks_and_answers = has(HAS_OFFER) && has(ANSWERS);
        if raw.flags & !(HAS_OFFER | ANSWERS | LANDED) != 0 || lands_unasked || asks_and_answers {
            return unknown("envelope flags", u64::from(raw.flags));
        }
        let (credit_count, piece_count) =
            (raw.counts & ((1 << CREDIT_COUNT_BITS) - 1), raw.counts >> CREDIT_COUNT_BITS);
        if usize::from(credit_count) > CREDITS_MAX {
            return unknown("credit count", u64::from(credit_count));
        }
        let pieces = if matches!(kind, EnvelopeKind::Rendezvous) { 1..=PIECES_MAX } else { 0..=0 };
        if !pieces.contains(&usize::from(piece_count)) {
            return unknown("piece count", u64::from(piece_count));
        }
        let bytes = Envelope::bytes_with(has(HAS_OFFER), usize::from(credit_count));
        if message_bytes < bytes {
            return Err(too_short("envelope", message_bytes, bytes));
        }
        let offer = has(HAS_OFFER).then(|| parse_offer(raw)).transpose()?;
        let mut credits = SmallVec::new();
        for number in raw.credits.iter().chain(&raw.further_credits).take(usize::from(credit_count)) {
            credits.push(parse_credit(number.get())?);
        }
        Ok(Envelope {
            kind,
            generation: raw.generation.get(),
            slot: raw.slot.get(),
            wants: raw.wants,
            offer,
            answers: has(ANSWERS).then_some(raw.token.get()),
            landed: has(LANDED),
            piece_count,
            credits,
        })
    }
}

fn encode_credit(credit: &Credit) -> u16 {
    debug_assert!(credit.slot < SLOT_COUNT_MAX);
    if credit.kept { credit.slot | KEPT } else { credit.slot }
}

fn parse_credit(number: u16) -> Result<Credit, RingError> {
    let credit = Credit { slot: number & !KEPT, kept: number & KEPT != 0 };
    if credit.slot < SLOT_COUNT_MAX {
        Ok(credit)
    } else {
        Err(RingError::NoSlot { slot: credit.slot, count: SLOT_COUNT_MAX })
    }
}

fn parse_offer(raw: &RawEnvelope) -> Result<Offer, RingError> {
    let bytes = raw.bytes.get();
    if bytes == 0 || raw.address.get().checked_add(u64::from(bytes)).is_none() {
        return Err(RingError::Length { what: "offer", bytes: u64::from(bytes), limit: u64::MAX - raw.address.get() });
    }
    Ok(Offer { address: raw.address.get(), key: raw.key.get(), bytes, token: raw.token.get() })
}

/// A part of a large frame's body in the sender's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where, in the sender's address space.
    pub address: u64,
    /// The key of its region.
    pub key: u32,
    /// Its length.
    pub bytes: u32,
}

/// The pieces of one body, in order.
pub type Pieces = SmallVec<[Piece; PIECES_MAX]>;

impl Piece {
    /// As it travels.
    #[must_use]
    pub fn encode(self) -> [u8; PIECE_BYTES] {
        let raw = RawPiece { address: U64::new(self.address), key: U32::new(self.key), bytes: U32::new(self.bytes) };
        zerocopy::transmute!(raw)
    }
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawPiece {
    address: U64,
    key: U32,
    bytes: U32,
}

const _: () = assert!(size_of::<RawPiece>() == PIECE_BYTES);

/// Reads `count` pieces from the start of `bytes`. Together they are a body of `body_bytes`.
///
/// # Errors
/// When bytes are missing, a piece is empty or beyond all addresses, or the sum is another one.
pub fn parse_pieces(bytes: &[u8], count: u8, body_bytes: usize) -> Result<Pieces, RingError> {
    let count = usize::from(count).min(PIECES_MAX);
    let (raw, _) = <[RawPiece]>::ref_from_prefix_with_elems(bytes, count)
        .map_err(|_| too_short("pieces", bytes.len(), count * PIECE_BYTES))?;
    let mut sum = 0usize;
    for piece in raw {
        let bytes = piece.bytes.get();
        if bytes == 0
            || bytes as usize > limit::FRAME_BODY_BYTES
            || piece.address.get().checked_add(bytes.into()).is_none()
        {
            return Err(RingError::Length {
                what: "piece",
                bytes: bytes.into(),
                limit: limit::FRAME_BODY_BYTES as u64,
            });
        }
        sum += bytes as usize;
    }
    if sum != body_bytes {
        return Err(RingError::Length { what: "sum of pieces", bytes: sum as u64, limit: body_bytes as u64 });
    }
    Ok(raw.iter().map(|raw| Piece { address: raw.address.get(), key: raw.key.get(), bytes: raw.bytes.get() }).collect())
}

fn too_short(what: &'static str, bytes: usize, limit: usize) -> RingError {
    RingError::Length { what, bytes: bytes as u64, limit: limit as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope() -> impl Strategy<Value = Envelope> {
        let parts = (1..=4u8, any::<(u16, u16, u8)>(), any::<(u32, u32, u32)>(), 0..3u8, any::<bool>());
        (parts, proptest::collection::vec((0..SLOT_COUNT_MAX, any::<bool>()), 0..=CREDITS_MAX)).prop_map(
            |(parts, credits)| {
                let (kind, (generation, slot, wants), (address, key, token), role, landed) = parts;
                let kind = [EnvelopeKind::Slot, EnvelopeKind::Inline, EnvelopeKind::Rendezvous, EnvelopeKind::Credits]
                    [usize::from(kind) - 1];
                Envelope {
                    wants,
                    offer: (role == 1).then_some(Offer { address: address.into(), key, bytes: key | 1, token }),
                    answers: (role == 2).then_some(token),
                    landed: landed && role == 2 && kind == EnvelopeKind::Slot,
                    piece_count: if kind == EnvelopeKind::Rendezvous { 3 } else { 0 },
                    credits: credits.into_iter().map(|(slot, kept)| Credit { slot, kept }).collect(),
                    ..Envelope::new(kind, generation, slot)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn an_envelope_survives_the_wire(envelope in envelope()) {
            prop_assert_eq!(Envelope::parse(&envelope.encode(), envelope.bytes()), Ok(envelope));
        }

        #[test]
        fn any_bytes_are_an_envelope_or_an_error(
            bytes in any::<[u8; ENVELOPE_BYTES]>(),
            message_bytes in 0..200usize,
            (kind, flags, counts) in (0..6u8, 0..9u8, any::<u8>()),
        ) {
            let mut bytes = bytes;
            (bytes[0], bytes[1], bytes[3]) = (kind, flags, counts);
            if let Ok(envelope) = Envelope::parse(&bytes, message_bytes) {
                prop_assert!(envelope.credits.len() <= CREDITS_MAX && envelope.bytes() <= message_bytes);
                prop_assert_eq!(Envelope::parse(&envelope.encode(), envelope.bytes()), Ok(envelope));
            }
            let _ = parse_pieces(&bytes, kind, 100);
        }

        #[test]
        fn what_lies_behind_an_envelope_is_not_looked_at(envelope in envelope(), behind in any::<u8>()) {
            let mut bytes = envelope.encode();
            prop_assert!(bytes[envelope.bytes()..].iter().all(|&byte| byte == 0));
            bytes[envelope.bytes()..].fill(behind);
            prop_assert_eq!(Envelope::parse(&bytes, envelope.bytes()), Ok(envelope));
        }

        #[test]
        fn an_envelope_that_is_cut_short_is_refused(envelope in envelope(), missing in 1..=ENVELOPE_BYTES) {
            let message_bytes = envelope.bytes().saturating_sub(missing);
            let limit = if message_bytes < SHORT_BYTES { SHORT_BYTES } else { envelope.bytes() };
            let too_short = RingError::Length { what: "envelope", bytes: message_bytes as u64, limit: limit as u64 };
            prop_assert_eq!(Envelope::parse(&envelope.encode(), message_bytes), Err(too_short));
        }
    }

    #[test]
    fn an_envelope_is_as_long_as_what_it_says() {
        let mut envelope = Envelope::new(EnvelopeKind::Inline, 3, 4);
        envelope.credits.extend([5, 6].map(|slot| Credit { slot, kept: false }));
        assert_eq!(envelope.bytes(), 16);
        envelope.offer = Some(Offer { address: 4096, key: 7, bytes: 8, token: 9 });
        assert_eq!(envelope.bytes(), 32);
        envelope.credits.push(Credit { slot: 7, kept: true });
        assert_eq!(envelope.bytes(), 64);
        envelope.offer = None;
        assert_eq!(envelope.bytes(), 64);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good = Envelope::new(EnvelopeKind::Inline, 3, 4).encode();
        for (place, value, field) in [
            (0, 9, "envelope kind"),
            (1, 8, "envelope flags"),
            (1, LANDED, "envelope flags"),
            (3, 1 << CREDIT_COUNT_BITS, "piece count"),
            (3, 17, "credit count"),
        ] {
            let mut bad = good;
            bad[place] = value;
            let error = Envelope::parse(&bad, ENVELOPE_BYTES).expect_err("a field without meaning");
            assert!(error.to_string().contains(field), "{error}");
        }
        let mut empty_offer = good;
        empty_offer[1] = HAS_OFFER;
        assert!(matches!(Envelope::parse(&empty_offer, ENVELOPE_BYTES), Err(RingError::Length { what: "offer", .. })));
    }

    #[test]
    fn pieces_must_be_the_body_and_lie_below_the_last_address() {
        let piece = |address, bytes| Piece { address, key: 7, bytes };
        let encode = |pieces: &[Piece]| pieces.iter().flat_map(|piece| piece.encode()).collect::<Vec<u8>>();
        let two = [piece(4096, 100), piece(8192, 28)];
        assert_eq!(parse_pieces(&encode(&two), 2, 128).as_deref(), Ok(&two[..]));
        assert!(parse_pieces(&encode(&two), 2, 127).is_err());
        assert!(parse_pieces(&encode(&two)[..31], 2, 128).is_err());
        assert!(parse_pieces(&encode(&[piece(1, 0)]), 1, 0).is_err());
        assert!(parse_pieces(&encode(&[piece(u64::MAX - 5, 100)]), 1, 100).is_err());
    }
}
