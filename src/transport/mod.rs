//! Fabrics: one trait, and behind it tcp, sim, and the composite that nodes use: [`fabric`], which gives
//! each pair the fastest link it has, over `ring` in memory of one process or host, or by [`verbs`].
//!
//! A transport belongs to one thread and one node. It knows its peers by [`NodeId`] and moves whole
//! frames: a [`TxFrame`] goes in, and its buffers are let go by the transport when the fabric no
//! longer reads them; an [`RxFrame`] comes out with its body in memory of the receiver's pool.
//!
//! Invariants:
//! * A transport delivers a frame at most once per connection, whole and checked, or not at all.
//!   Whether a frame that was sent before a connection broke has arrived is not known; what must
//!   arrive is sent again by `protocol` under the same name.
//! * It never blocks but in [`Transport::wait`], never exits, and never drops a frame silently
//!   while the connection stands.
//! * It keeps a connection that was asked for: a lost one is dialled again, with a growing pause,
//!   until [`Transport::disconnect`]. Who is dead is decided elsewhere.
//! * Only authenticated peers produce events; see [`handshake`].

pub mod fabric;
pub mod handshake;
mod local;
mod origin;
pub mod ring;
mod shm;
pub mod sim;
pub mod tcp;
pub mod verbs;

use crate::error::{Classify, ExitCode, Severity};
use crate::id::{Incarnation, Nanos, NodeId, Timestamp};
use crate::wire::{RxFrame, TxFrame};
use std::time::Duration;

/// What a transport tells its node.
#[derive(Debug)]
pub enum Incoming {
    /// A frame from an authenticated peer.
    Frame {
        /// The peer that sent it, as authenticated; equal to the header's source.
        from: NodeId,
        /// The frame.
        frame: RxFrame,
    },
    /// The first connection with this incarnation of the peer stands.
    Up {
        /// The peer.
        peer: NodeId,
        /// Which start of the peer.
        incarnation: Incarnation,
    },
    /// A connection that stood is gone. The transport goes on dialling if it was the dialling side.
    Lost {
        /// The peer.
        peer: NodeId,
        /// One line for the log.
        reason: String,
    },
    /// A connection that was lost stands again. Frames sent before may or may not have arrived.
    Reconnected {
        /// The peer.
        peer: NodeId,
        /// Which start of the peer; another one than before means that the peer has forgotten everything.
        incarnation: Incarnation,
    },
    /// The peer refused the handshake: dialling again is of no use.
    Refused {
        /// The peer.
        peer: NodeId,
        /// The peer's words.
        reason: String,
    },
}

/// One fabric as one node sees it.
pub trait Transport {
    /// Starts to connect to `peer` at `address` and keeps at it. Does nothing when connected.
    fn connect(&mut self, now: Nanos, peer: NodeId, address: &str);

    /// Closes the connection to `peer` after what was queued is sent, and forgets the address.
    fn disconnect(&mut self, now: Nanos, peer: NodeId);

    /// Takes frames for `peer` from the front of `frames` as long as there is room. Frames to a peer
    /// without a connection are dropped: whoever needs them sends them again after `Reconnected`.
    fn tx_burst(&mut self, now: Nanos, peer: NodeId, frames: &mut Vec<TxFrame>);

    /// Bytes queued for `peer` that the fabric has not taken yet; zero without a connection.
    fn queued_bytes(&self, peer: NodeId) -> usize;

    /// Moves what has arrived to the end of `incoming`, at most about `frames_max` frames.
    /// Returns whether more may be there already.
    fn rx_burst(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) -> bool;

    /// Pushes queued frames into the fabric as far as it takes them.
    fn flush(&mut self, now: Nanos);

    /// Answers to this node's questions of this time are not wanted any more in the memory that was offered
    /// for them: a fabric lets go of it where nobody else may write there.
    fn withdraw(&mut self, _timestamp: Timestamp) {}

    /// When `rx_burst` should run next for the transport's own timers (dialling, handshakes).
    fn poll_timeout(&self) -> Option<Nanos>;

    /// Sleeps until something arrives, a [`Waker`] is used, or `timeout` has passed.
    ///
    /// # Errors
    /// When the system's poller fails.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), TransportError>;

    /// A handle by which another thread ends a `wait`.
    fn waker(&self) -> Waker;
}

/// Ends another thread's [`Transport::wait`].
#[derive(Clone)]
pub struct Waker(std::sync::Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`.
    #[must_use]
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Waker {
        Waker(std::sync::Arc::new(wake))
    }

    /// Ends the wait, or the next one if there is none now.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

/// A fabric that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or port, or stop what holds it")]
    Listen {
        /// The address.
        address: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// The system's poller fails.
    #[error("cannot wait for the network: {0}")]
    Poll(std::io::Error),
    /// Verbs were asked for and cannot be had on this node.
    #[error("--transport verbs cannot be met here: {0}")]
    Verbs(verbs::VerbsError),
    /// The transport that was asked for is not to be had between this node and a peer.
    #[error("--transport {choice} cannot be met with {peer}: {reason}; choose another, or auto")]
    Choice {
        /// What was asked for.
        choice: fabric::TransportChoice,
        /// With whom.
        peer: NodeId,
        /// What is missing.
        reason: String,
    },
}

impl Classify for TransportError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::CannotStart
    }
}
