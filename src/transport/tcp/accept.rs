//! Accepting: a bounded number of strangers, each with a deadline, and the verdict on their proof.

use super::handshaking::Handshaking;
use super::timers::Timer;
use super::{Connection, FIRST_CONNECTION, TcpTransport, socket};
use crate::id::Nanos;
use crate::limit;
use crate::transport::handshake::{Peer, Reject, RejectCode};
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Pause after the system had no descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl TcpTransport {
    /// Whether a connection can be accepted now. At the limit, diallers wait in the kernel's queue.
    pub(super) fn can_accept(&self) -> bool {
        self.acceptable && self.unauthenticated_count < limit::UNAUTHENTICATED_CONNECTIONS
    }

    pub(super) fn accept(&mut self, now: Nanos) {
        while self.can_accept()
            && let Some(listener) = &self.listener
        {
            match listener.accept() {
                Ok((stream, remote)) => self.admit(now, stream, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.acceptable = false,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!("cannot accept connections for now: {error}");
                    self.acceptable = false;
                    self.timers.set(now.after(ACCEPT_PAUSE), Timer::Accept);
                }
            }
        }
    }

    fn admit(&mut self, now: Nanos, mut stream: TcpStream, remote: SocketAddr) {
        socket::tune(&stream);
        let token = Token(self.connections.next() + FIRST_CONNECTION);
        let interests = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, token, interests) {
            tracing::warn!("cannot watch the connection from {remote}: {error}");
            return;
        }
        let deadline = now.after(limit::HANDSHAKE_TIMEOUT);
        let handshaking = Handshaking::accepted(stream, remote, deadline);
        let slot = self.connections.insert(Connection::Handshaking(Box::new(handshaking)));
        self.timers.set(deadline, Timer::Deadline(slot));
        self.unauthenticated_count += 1;
    }

    /// Whether a dialler that has proved who it is may have the connection.
    ///
    /// Where both sides dial each other, the connection that the lower node dialled stands. The
    /// lower node refuses the other one only once its own proof is sent: before that it can still
    /// give up its attempt without the higher node ever counting it.
    pub(super) fn judge(&mut self, dialler: Peer) -> Result<(), Reject> {
        let Some(record) = self.peers.get(&dialler.node) else { return Ok(()) };
        if record.is_superseded(dialler.incarnation) {
            let reason = format!("a later start of {} has taken its place", dialler.node);
            return Err(Reject::new(RejectCode::Superseded, reason));
        }
        if self.identity.node > dialler.node {
            return Ok(());
        }
        let ours_stands = record.session.is_some_and(|slot| {
            matches!(self.connections.at_mut(slot), Some(Connection::Standing(session))
                if session.dialled && session.incarnation == dialler.incarnation && !session.has_failed())
        });
        let ours_comes = record.attempt.is_some_and(|slot| {
            matches!(self.connections.at_mut(slot), Some(Connection::Handshaking(handshaking))
                if handshaking.has_proved())
        });
        if ours_stands || ours_comes {
            return Err(Reject::new(RejectCode::Duplicate, "connected the other way round"));
        }
        Ok(())
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
