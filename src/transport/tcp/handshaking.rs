//! A connection on its way to being a session: connecting, or between hello and verdict.

use crate::id::{Nanos, NodeId};
use crate::transport::handshake::{
    ClientHandshake, HELLO_BYTES, HandshakeError, Identity, PROOF_BYTES, Peer, REPLY_BYTES, Reject, Secret,
    ServerHandshake, hello_prefix,
};
use mio::net::TcpStream;
use std::io::{self, Read, Write};
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) struct Handshaking {
    pub(super) stream: TcpStream,
    pub(super) remote: SocketAddr,
    pub(super) deadline: Nanos,
    /// Whether it stands among those that can go on.
    pub(super) in_advancing: bool,
    stage: Stage,
    /// The message that is being received; the largest one fits.
    buffer: [u8; REPLY_BYTES],
    filled: usize,
}

#[derive(Debug)]
enum Stage {
    Connecting { peer: NodeId },
    Dialled { peer: NodeId, client: ClientHandshake, proved: bool },
    Accepted,
    Challenged(ServerHandshake),
}

/// How far a handshake has come.
#[derive(Debug)]
pub(super) enum Advance {
    /// The other side has the word.
    Waiting,
    /// The listener has accepted us.
    Welcome(Peer),
    /// The dialler has proved who it is and waits for the verdict.
    Proved(Peer),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeFailure {
    #[error("{0}")]
    Network(#[from] io::Error),
    #[error("{0}")]
    Refused(#[from] HandshakeError),
    #[error("{}", .0.reason)]
    Refusing(Reject),
    #[error("it does not speak Parashard")]
    Stranger,
}

impl From<Reject> for HandshakeFailure {
    fn from(reject: Reject) -> HandshakeFailure {
        HandshakeFailure::Refusing(reject)
    }
}

impl Handshaking {
    pub(super) fn dialled(stream: TcpStream, remote: SocketAddr, peer: NodeId, deadline: Nanos) -> Handshaking {
        Handshaking::new(stream, remote, deadline, Stage::Connecting { peer })
    }

    pub(super) fn accepted(stream: TcpStream, remote: SocketAddr, deadline: Nanos) -> Handshaking {
        Handshaking::new(stream, remote, deadline, Stage::Accepted)
    }

    fn new(stream: TcpStream, remote: SocketAddr, deadline: Nanos, stage: Stage) -> Handshaking {
        Handshaking { stream, remote, deadline, in_advancing: false, stage, buffer: [0; REPLY_BYTES], filled: 0 }
    }

    /// Whom we dial; `None` on the accepting side.
    pub(super) fn dialled_peer(&self) -> Option<NodeId> {
        match self.stage {
            Stage::Connecting { peer } | Stage::Dialled { peer, .. } => Some(peer),
            Stage::Accepted | Stage::Challenged(_) => None,
        }
    }

    /// Whether our proof is on its way, so that the listener may accept us at any moment.
    pub(super) fn has_proved(&self) -> bool {
        matches!(self.stage, Stage::Dialled { proved: true, .. })
    }

    /// Goes on as far as bytes are there.
    pub(super) fn advance(
        &mut self,
        own: &Identity,
        secret: &Secret,
        random: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<Advance, HandshakeFailure> {
        loop {
            let goes_on = match self.stage {
                Stage::Connecting { peer } => self.say_hello(own, peer, random)?,
                Stage::Dialled { proved: false, .. } => self.prove(secret)?,
                Stage::Dialled { proved: true, ref client, .. } => {
                    let client = client.clone();
                    return Ok(match self.receive::<REPLY_BYTES>()? {
                        Some(verdict) => Advance::Welcome(client.on_verdict(&verdict)?),
                        None => Advance::Waiting,
                    });
                }
                Stage::Accepted => self.challenge(own, secret, random)?,
                Stage::Challenged(ref server) => {
                    let server = server.clone();
                    return Ok(match self.receive::<PROOF_BYTES>()? {
                        Some(proof) => Advance::Proved(server.on_proof(secret, &proof)?),
                        None => Advance::Waiting,
                    });
                }
            };
            if !goes_on {
                return Ok(Advance::Waiting);
            }
        }
    }

    fn say_hello(
        &mut self,
        own: &Identity,
        peer: NodeId,
        random: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<bool, HandshakeFailure> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error.into());
        }
        match self.stream.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        super::socket::tune(&self.stream);
        let (client, hello) = ClientHandshake::new(own, peer, random());
        self.send(&hello)?;
        self.stage = Stage::Dialled { peer, client, proved: false };
        Ok(true)
    }

    fn prove(&mut self, secret: &Secret) -> Result<bool, HandshakeFailure> {
        let Some(challenge) = self.receive::<REPLY_BYTES>()? else { return Ok(false) };
        let Stage::Dialled { client, proved, .. } = &mut self.stage else { return Ok(false) };
        let proof = client.on_challenge(secret, &challenge)?;
        *proved = true;
        self.send(&proof)?;
        Ok(true)
    }

    fn challenge(
        &mut self,
        own: &Identity,
        secret: &Secret,
        random: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<bool, HandshakeFailure> {
        let hello = self.receive::<HELLO_BYTES>();
        // The prefix is judged first: another version's hello may never reach this length.
        let known = if hello.as_ref().is_ok_and(Option::is_some) { HELLO_BYTES } else { self.filled };
        if let Some(prefix) = hello_prefix(&self.buffer[..known]) {
            ServerHandshake::check_prefix(prefix).ok_or(HandshakeFailure::Stranger)??;
        }
        let Some(hello) = hello? else { return Ok(false) };
        let (server, challenge) = ServerHandshake::on_hello(own, secret, &hello, random())?;
        self.send(&challenge)?;
        self.stage = Stage::Challenged(server);
        Ok(true)
    }

    /// Reads on until a message of `N` bytes is there, and not a byte further.
    fn receive<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        while self.filled < N {
            match self.stream.read(&mut self.buffer[self.filled..N]) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed in the handshake")),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.filled = 0;
        Ok(self.buffer.first_chunk().copied())
    }

    /// Sends a message. It fits into the empty buffer of a new socket, or something is wrong.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let bytes = self.stream.write(message)?;
        if bytes == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Tells the dialler why not. What it sent meanwhile is read away, because closing with
    /// unread bytes would take the reason from the wire.
    pub(super) fn refuse(&mut self, reject: &Reject) {
        let _ = self.stream.read(&mut self.buffer);
        if let Err(error) = self.send(&reject.reply()) {
            tracing::debug!("{} does not hear why it was refused: {error}", self.remote);
        }
    }
}
