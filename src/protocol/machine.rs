//! The driving surface that all state machines share.

use crate::id::{Incarnation, Nanos, NodeId, Timestamp};
use crate::wire::{RxFrame, TxFrame};

/// What happens to a node from outside.
#[derive(Debug)]
pub enum Input {
    /// A frame from a peer that proved who it is.
    Frame {
        /// The peer.
        from: NodeId,
        /// The frame.
        frame: RxFrame,
    },
    /// A connection stands, for the first time or again.
    Connected {
        /// The peer.
        peer: NodeId,
        /// Which start of the peer.
        incarnation: Incarnation,
    },
    /// A connection is gone. Whether it comes back is not known.
    Lost {
        /// The peer.
        peer: NodeId,
        /// One line.
        reason: String,
    },
    /// The peer does not want us; dialling again is of no use.
    Refused {
        /// The peer.
        peer: NodeId,
        /// The peer's words.
        reason: String,
    },
}

/// What a node wants done.
// A frame in a box would be an allocation for each, and nearly every output is a frame.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Output<E> {
    /// Send a frame over a connection that stands.
    Send {
        /// The peer.
        to: NodeId,
        /// The frame.
        frame: TxFrame,
    },
    /// Connect, and connect again whenever the connection is lost.
    Connect {
        /// The peer.
        peer: NodeId,
        /// Where it listens.
        address: String,
    },
    /// Let a peer go after what was sent.
    Disconnect {
        /// The peer.
        peer: NodeId,
    },
    /// Questions of this time offered memory for answers that nobody waits for any more.
    Withdraw {
        /// The time.
        timestamp: Timestamp,
    },
    /// Something for the program that runs the node.
    Event(E),
}

/// A state machine that is driven with inputs and the time.
pub trait Machine {
    /// What the program that runs the node is told.
    type Event;

    /// Takes an input.
    fn handle(&mut self, now: Nanos, input: Input);

    /// Does what is due at `now`; harmless when nothing is.
    fn handle_timeout(&mut self, now: Nanos);

    /// When `handle_timeout` wants to be called next.
    fn poll_timeout(&self) -> Option<Nanos>;

    /// Takes the next output; call until `None`.
    fn poll_output(&mut self) -> Option<Output<Self::Event>>;
}
