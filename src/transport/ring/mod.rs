//! The ring: how frames travel over a link. One implementation for shm, local and verbs.
//!
//! Each direction of a link has *slots* in memory of the receiver, a region of its own. A slot is
//! [`SLOT_HEAD_BYTES`] of room for envelope and header, then the frame's body:
//! ```text
//! 0          64            192                          slot bytes
//! | envelope | header      | body: dependencies, keys, values |
//! ```
//! * `credit`: a sender writes a slot only while it holds its credit. [`Credits`] is the sender's
//!   side, [`Lender`] the receiver's. Slots do not wrap and return in any order.
//! * `immediate`: the 32 bits that come with a completion or lie in a descriptor queue.
//! * `envelope`: the message before a header. It brings credits back, says where the answer's
//!   values may be written, and where the pieces of a large frame can be read.
//!
//! Invariant: every message takes something that the receiver has set aside for it: a frame takes
//! the credit of a slot, and a message of credits alone carries at least one credit that the other
//! side does not hold. So the messages on their way to a receiver are never more than the slots it
//! lent and the slots it borrowed. These three are plain data: no memory is touched, no call made.
//!
//! Of the carriers verbs has its own data path. Nodes of one host share memory:
//! * `link`: one end, over `memory` that is laid out as `layout` says. Messages go through a queue of
//!   one writer and one reader; `doorbell` wakes a reader that sleeps; `outbox` keeps what waits for credits.
//! * `arrival`: from bytes that a peer can write to a checked frame that it cannot.
//! * `landings`: where the values of answers go at once.

mod arrival;
mod credit;
mod doorbell;
mod envelope;
mod error;
mod immediate;
mod landings;
mod layout;
mod link;
mod memory;
mod outbox;

pub use credit::{Credit, Credits, Granted, Lender};
pub use envelope::{
    CREDITS_MAX, ENVELOPE_BYTES, Envelope, EnvelopeKind, Offer, PIECES_MAX, Piece, Pieces, parse_pieces,
};
pub use error::RingError;
pub use immediate::{Immediate, ImmediateKind, SLOT_COUNT_MAX};

pub(super) use arrival::{ArrivalError, arrive, arrive_body, arrive_header};
pub(super) use doorbell::Doorbell;
pub(super) use layout::MEMORY_BYTES;
pub(super) use link::{RingLink, Side};
pub(super) use memory::RingMemory;
pub(super) use outbox::Outbox;

use crate::wire::HEADER_BYTES;

/// Bytes of a slot in front of the body: envelope and header.
pub const SLOT_HEAD_BYTES: usize = ENVELOPE_BYTES + HEADER_BYTES;

/// Slots that a receiver sets aside for every peer.
pub const SLOTS_RESERVED: u16 = 2;

/// Slots that a receiver lends to one peer at most.
pub const SLOTS_LENT_MAX: u16 = 16;

const _: () = assert!(SLOT_HEAD_BYTES.is_multiple_of(crate::memory::ALIGNMENT), "a body starts on a cache line");
const _: () = assert!(SLOTS_LENT_MAX as usize <= CREDITS_MAX, "one message returns all that a peer can hold");
