//! Dialling: attempts, pauses, refusals.

use super::handshaking::Handshaking;
use super::peer::Peer;
use super::timers::Timer;
use super::{Connection, FIRST_CONNECTION, TcpTransport, socket};
use crate::id::{Nanos, NodeId};
use crate::limit;
use crate::transport::Incoming;
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io;
use std::net::SocketAddr;

impl TcpTransport {
    /// Begins to keep a connection to `peer`.
    pub(super) fn dial_peer(&mut self, now: Nanos, peer: NodeId, address: &str) {
        let record = self.peers.entry(peer).or_insert_with(Peer::new);
        if record.address.as_deref() != Some(address) {
            record.address = Some(address.to_owned());
            record.settle();
        }
        if record.dial_at.is_none() {
            self.attempt(now, peer);
        }
    }

    /// Dials the next address of `peer`, unless it is connected or being dialled.
    pub(super) fn attempt(&mut self, now: Nanos, peer: NodeId) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        record.dial_at = None;
        if record.session.is_some() || record.attempt.is_some() {
            return;
        }
        let Some(address) = &record.address else { return };
        if record.candidates.is_empty() {
            match socket::resolve(address) {
                Ok(candidates) => record.candidates = candidates,
                Err(error) => return self.dial_failed(now, peer, &error.to_string()),
            }
        }
        let Some(remote) = record.candidates.pop_front() else {
            return self.dial_failed(now, peer, "the name has no address");
        };
        if let Err(error) = self.begin(now, peer, remote) {
            self.dial_failed(now, peer, &error.to_string());
        }
    }

    fn begin(&mut self, now: Nanos, peer: NodeId, remote: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(remote)?;
        let token = Token(self.connections.next() + FIRST_CONNECTION);
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let deadline = now.after(limit::HANDSHAKE_TIMEOUT);
        let handshaking = Handshaking::dialled(stream, remote, peer, deadline);
        let slot = self.connections.insert(Connection::Handshaking(Box::new(handshaking)));
        self.timers.set(deadline, Timer::Deadline(slot));
        if let Some(record) = self.peers.get_mut(&peer) {
            record.attempt = Some(slot);
        }
        Ok(())
    }

    /// The attempt came to nothing: the next address at once, or the first one after a pause.
    pub(super) fn dial_failed(&mut self, now: Nanos, peer: NodeId, reason: &str) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        record.attempt = None;
        let Some(address) = &record.address else { return };
        if record.candidates.is_empty() && !record.unreachable {
            tracing::info!("{peer} at {address} cannot be reached yet: {reason}; trying again");
            record.unreachable = true;
        }
        self.dial_later(now, peer);
    }

    /// Sets the timer of the next attempt.
    pub(super) fn dial_later(&mut self, now: Nanos, peer: NodeId) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        if record.address.is_none() || record.session.is_some() || record.dial_at.is_some() {
            return;
        }
        let at = if record.candidates.is_empty() { now.after(record.pause()) } else { now };
        record.dial_at = Some(at);
        self.timers.set(at, Timer::Dial(peer));
    }

    /// The peer does not want us: says so, and dials no more.
    pub(super) fn refused(&mut self, peer: NodeId, reason: String) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        record.attempt = None;
        let address = record.address.take().unwrap_or_default();
        tracing::info!("{peer} at {address} refused the connection: {reason}");
        self.pending.push(Incoming::Refused { peer, reason });
    }

    /// Ends attempts and timers for `peer`, as something better has come.
    pub(super) fn stop_dialling(&mut self, peer: NodeId) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        if let Some(at) = record.dial_at.take() {
            self.timers.cancel(at, Timer::Dial(peer));
        }
        if let Some(slot) = record.attempt.take() {
            self.remove(slot);
        }
    }
}
