//! What a peer can do wrong on a ring.

use crate::error::{Classify, ExitCode, Severity};
use crate::id::NodeId;

/// A message that breaks the rules of the ring. The link it came by is of no further use, but for
/// [`RingError::Stale`], which is dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The message belongs to an earlier link.
    #[error("message of link generation {found}, this is {expected}")]
    Stale {
        /// As received.
        found: u16,
        /// Of the link that stands.
        expected: u16,
    },
    /// A number without meaning.
    #[error("message with unknown {field} {number}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        number: u64,
    },
    /// A length beyond its limit.
    #[error("message with a bad length: {what} is {bytes} bytes, limit {limit}")]
    Length {
        /// Which length.
        what: &'static str,
        /// As received.
        bytes: u64,
        /// What would be right.
        limit: u64,
    },
    /// A slot that the ring does not have.
    #[error("slot {slot} of a ring of {count}")]
    NoSlot {
        /// As received.
        slot: u16,
        /// Slots of the ring.
        count: u16,
    },
    /// A slot was used by somebody who does not hold its credit.
    #[error("slot {slot} used by {peer} without its credit")]
    NotLent {
        /// The slot.
        slot: u16,
        /// Who used it.
        peer: NodeId,
    },
    /// A credit that this side holds, or that says of an unused slot that it was read.
    #[error("credit for slot {slot}, which was not used")]
    WrongCredit {
        /// The slot.
        slot: u16,
    },
    /// More credits than the rules allow.
    #[error("more than {limit} credits of one peer")]
    TooManyCredits {
        /// The limit.
        limit: u16,
    },
    /// No slot is left to lend to a new peer.
    #[error(
        "no slot is free for {peer}: {lent} of {count} are lent; give the ring more slots or use fewer peers a shard"
    )]
    Exhausted {
        /// Who asked.
        peer: NodeId,
        /// Slots that are lent.
        lent: u16,
        /// Slots of the ring.
        count: u16,
    },
}

impl Classify for RingError {
    fn severity(&self) -> Severity {
        match self {
            RingError::Stale { .. } | RingError::Exhausted { .. } => Severity::Retryable,
            _ => Severity::Fatal,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            RingError::Exhausted { .. } => ExitCode::Limit,
            _ => ExitCode::BadInput,
        }
    }
}
