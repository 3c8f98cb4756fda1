//! Who may speak: a mutual challenge with the job's secret, without any input or output of its own.
//!
//! ```text
//! dialler                                        listener
//!   hello {version, job, generation, from, to, incarnation, channel, nonce} ->
//!   <- reply: challenge {incarnation, nonce, mac}   or reject {code, one line}
//!   proof {mac}                                  ->
//!   <- reply: accept                                or reject {code, one line}
//! ```
//!
//! All messages have a fixed size, so that nothing the peer says decides what is allocated. Both
//! macs are HMAC-SHA-256 over a label, the whole hello, and the listener's incarnation and nonce;
//! the label differs by direction, so that a mac sent back proves nothing. Afterwards each side
//! knows the other's [`NodeId`] and [`Incarnation`]. Nonces come from outside. What follows on the
//! connection is not encrypted: the handshake keeps strangers and earlier jobs out, not wiretaps.
//! The first eight bytes of a hello and the form of a reject never change between versions.

mod message;
mod secret;
#[cfg(test)]
mod tests;

pub use message::{HELLO_BYTES, HELLO_PREFIX_BYTES, PROOF_BYTES, REPLY_BYTES, RejectCode};
pub use secret::{Secret, SecretError};

use crate::error::{Classify, ExitCode, Severity};
use crate::id::{Generation, Incarnation, JobId, NodeId};
use crate::wire::PROTOCOL_VERSION;
use message::{HELLO_MAGIC, Hello, REPLY_MAGIC, Reply, ReplyCode};
use secret::Direction;
use zerocopy::{FromBytes, IntoBytes};

/// One side as it presents itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub node: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// The job it belongs to.
    pub job: JobId,
    /// The job's generation.
    pub generation: Generation,
}

/// What a connection is for; number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    /// All frames between two nodes.
    Whole = 0,
}

/// The other side, once it has proved that it knows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub node: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
}

/// A handshake that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The other side speaks something else.
    #[error("not a Parashard node: it answers with {0:#010x}; check address and port")]
    Stranger(u32),
    /// The listener speaks another version and did not say so itself.
    #[error("protocol version {theirs} answered, this is version {ours}: run the same release on every node")]
    Version {
        /// The listener's version.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// The listener does not know the secret.
    #[error("wrong job secret: {0} could not prove that it knows this job's; give every node the same secret")]
    Secret(NodeId),
    /// A reply that does not belong here.
    #[error("reply {0} out of turn in the handshake")]
    OutOfTurn(u8),
    /// The listener refused.
    #[error("{reason}")]
    Rejected {
        /// Why, for programs.
        code: RejectCode,
        /// Why, for people: the listener's words.
        reason: String,
    },
}

impl Classify for HandshakeError {
    fn severity(&self) -> Severity {
        match self {
            HandshakeError::Rejected { code: RejectCode::Duplicate, .. } => Severity::Retryable,
            _ => Severity::Fatal,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::CannotStart
    }
}

/// Why a listener refuses; goes to the dialler as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Why, for programs.
    pub code: RejectCode,
    /// Why, for people: one line, cut to what the message holds.
    pub reason: String,
}

impl Reject {
    /// A refusal.
    #[must_use]
    pub fn new(code: RejectCode, reason: impl Into<String>) -> Reject {
        Reject { code, reason: reason.into() }
    }

    /// The refusal as it travels.
    #[must_use]
    pub fn reply(&self) -> [u8; REPLY_BYTES] {
        zerocopy::transmute!(Reply::reject(self.code, &self.reason))
    }
}

/// The dialling side between hello and verdict.
#[derive(Debug, Clone)]
pub struct ClientHandshake {
    hello: Hello,
    /// Known from the challenge on.
    listener: Option<Peer>,
}

impl ClientHandshake {
    /// Begins: the handshake and the hello to send. `nonce` must never have been used before.
    #[must_use]
    pub fn new(own: &Identity, peer: NodeId, nonce: [u8; 32]) -> (ClientHandshake, [u8; HELLO_BYTES]) {
        let hello = Hello {
            magic: HELLO_MAGIC.into(),
            version: PROTOCOL_VERSION.into(),
            channel: Channel::Whole as u8,
            reserved: 0,
            job: own.job.0.into(),
            generation: own.generation.0.into(),
            from: own.node.0.into(),
            to: peer.0.into(),
            padding: 0.into(),
            incarnation: own.incarnation.0.into(),
            nonce,
        };
        (ClientHandshake { hello, listener: None }, zerocopy::transmute!(hello))
    }

    /// Checks the listener's challenge and gives the proof to send.
    ///
    /// # Errors
    /// When the listener refuses, is no node of ours, or does not know the secret.
    pub fn on_challenge(
        &mut self,
        secret: &Secret,
        bytes: &[u8; REPLY_BYTES],
    ) -> Result<[u8; PROOF_BYTES], HandshakeError> {
        let reply = expect_reply(bytes, ReplyCode::Challenge)?;
        let listener = Peer { node: NodeId(self.hello.to.get()), incarnation: Incarnation(reply.incarnation.get()) };
        let parts = [self.hello.as_bytes(), reply.incarnation.as_bytes(), &reply.nonce];
        if !secret.verify(Direction::Challenge, &parts, &reply.mac) {
            return Err(HandshakeError::Secret(listener.node));
        }
        self.listener = Some(listener);
        Ok(secret.mac(Direction::Proof, &parts))
    }

    /// Reads the verdict on the proof.
    ///
    /// # Errors
    /// When the listener refuses.
    pub fn on_verdict(&self, bytes: &[u8; REPLY_BYTES]) -> Result<Peer, HandshakeError> {
        expect_reply(bytes, ReplyCode::Accept)?;
        self.listener.ok_or(HandshakeError::OutOfTurn(ReplyCode::Accept as u8))
    }
}

fn expect_reply(bytes: &[u8; REPLY_BYTES], expected: ReplyCode) -> Result<Reply, HandshakeError> {
    let reply: Reply = zerocopy::transmute!(*bytes);
    if reply.magic.get() != REPLY_MAGIC {
        return Err(HandshakeError::Stranger(reply.magic.get()));
    }
    if let Some(code) = RejectCode::from_wire(reply.code) {
        return Err(HandshakeError::Rejected { code, reason: reply.text() });
    }
    if reply.version.get() != PROTOCOL_VERSION {
        return Err(HandshakeError::Version { theirs: reply.version.get(), ours: PROTOCOL_VERSION });
    }
    if reply.code != expected as u8 {
        return Err(HandshakeError::OutOfTurn(reply.code));
    }
    Ok(reply)
}

/// The listening side between challenge and verdict.
#[derive(Debug, Clone)]
pub struct ServerHandshake {
    hello: Hello,
    challenge: Reply,
}

impl ServerHandshake {
    /// Checks the first bytes of a hello, which are the same in every version. `None` means that
    /// a stranger is talking, who deserves no answer.
    ///
    /// # Errors
    /// When the dialler speaks another version, whose hello may be longer or shorter.
    pub fn check_prefix(bytes: &[u8; HELLO_PREFIX_BYTES]) -> Option<Result<(), Reject>> {
        let [m0, m1, m2, m3, v0, v1, ..] = *bytes;
        if u32::from_le_bytes([m0, m1, m2, m3]) != HELLO_MAGIC {
            return None;
        }
        let theirs = u16::from_le_bytes([v0, v1]);
        if theirs == PROTOCOL_VERSION {
            return Some(Ok(()));
        }
        let reason = format!(
            "protocol version {theirs} offered, this is version {PROTOCOL_VERSION}: run the same release on every node"
        );
        Some(Err(Reject::new(RejectCode::Version, reason)))
    }

    /// Checks a whole hello, whose prefix is right, and gives the challenge to send. `nonce` must
    /// never have been used before.
    ///
    /// # Errors
    /// When the dialler looks for another job, generation, node or channel.
    pub fn on_hello(
        own: &Identity,
        secret: &Secret,
        bytes: &[u8; HELLO_BYTES],
        nonce: [u8; 32],
    ) -> Result<(ServerHandshake, [u8; REPLY_BYTES]), Reject> {
        let hello: Hello = zerocopy::transmute!(*bytes);
        check_hello(own, &hello)?;
        let mut challenge = Reply::bare(ReplyCode::Challenge);
        challenge.incarnation = own.incarnation.0.into();
        challenge.nonce = nonce;
        let parts = [hello.as_bytes(), challenge.incarnation.as_bytes(), &challenge.nonce];
        challenge.mac = secret.mac(Direction::Challenge, &parts);
        Ok((ServerHandshake { hello, challenge }, zerocopy::transmute!(challenge)))
    }

    /// Checks the dialler's proof: from here on it is who it said it is.
    ///
    /// # Errors
    /// When it does not know the secret.
    pub fn on_proof(&self, secret: &Secret, bytes: &[u8; PROOF_BYTES]) -> Result<Peer, Reject> {
        let parts = [self.hello.as_bytes(), self.challenge.incarnation.as_bytes(), &self.challenge.nonce];
        if !secret.verify(Direction::Proof, &parts, bytes) {
            return Err(Reject::new(RejectCode::Secret, "wrong job secret: give every node the same secret"));
        }
        Ok(Peer { node: NodeId(self.hello.from.get()), incarnation: Incarnation(self.hello.incarnation.get()) })
    }

    /// The verdict that ends a good handshake.
    #[must_use]
    pub fn accept() -> [u8; REPLY_BYTES] {
        zerocopy::transmute!(Reply::bare(ReplyCode::Accept))
    }
}

fn check_hello(own: &Identity, hello: &Hello) -> Result<(), Reject> {
    let reject = |code, reason: String| Err(Reject::new(code, reason));
    if hello.job.get() != own.job.0 {
        return reject(RejectCode::Job, format!("this is {}, not {}", own.job, JobId(hello.job.get())));
    }
    if hello.generation.get() != own.generation.0 {
        let theirs = Generation(hello.generation.get());
        return reject(RejectCode::Generation, format!("the job is at {}, not {theirs}", own.generation));
    }
    if hello.to.get() != own.node.0 {
        return reject(RejectCode::Node, format!("this is {}, not {}", own.node, NodeId(hello.to.get())));
    }
    let from = NodeId(hello.from.get());
    if from.role().is_none() || from == own.node {
        return reject(RejectCode::Node, format!("{from} cannot be a peer of {}", own.node));
    }
    if hello.channel != Channel::Whole as u8 {
        return reject(RejectCode::Channel, format!("channel {} is not known here", hello.channel));
    }
    Ok(())
}

/// The first bytes of a hello, for whoever reads one piece by piece.
#[must_use]
pub fn hello_prefix(bytes: &[u8]) -> Option<&[u8; HELLO_PREFIX_BYTES]> {
    <[u8; HELLO_PREFIX_BYTES]>::ref_from_prefix(bytes).ok().map(|(prefix, _)| prefix)
}
