//! Where connections become sessions, and where both end.

use super::handshaking::{Advance, HandshakeFailure, Handshaking};
use super::peer::Peer;
use super::session::Session;
use super::timers::Timer;
use super::{Connection, TcpTransport};
use crate::error::{Classify, Severity};
use crate::id::{Nanos, NodeId};
use crate::transport::Incoming;
use crate::transport::handshake::{self, ServerHandshake};
use std::time::Duration;

/// How long a disconnected session may take to send its last bytes.
const LINGER: Duration = Duration::from_secs(2);

impl TcpTransport {
    /// Moves one handshake on.
    pub(super) fn advance(&mut self, now: Nanos, slot: usize) {
        let Some(Connection::Handshaking(handshaking)) = self.connections.at_mut(slot) else { return };
        handshaking.in_advancing = false;
        match handshaking.advance(&self.identity, &self.secret, &mut *self.random) {
            Ok(Advance::Waiting) => {}
            Ok(Advance::Welcome(listener)) => self.establish(slot, listener, true),
            Ok(Advance::Proved(dialler)) => match self.welcome(slot, dialler) {
                Ok(()) => self.establish(slot, dialler, false),
                Err(failure) => self.give_up(now, slot, failure),
            },
            Err(failure) => self.give_up(now, slot, failure),
        }
    }

    fn welcome(&mut self, slot: usize, dialler: handshake::Peer) -> Result<(), HandshakeFailure> {
        self.judge(dialler)?;
        self.stop_dialling(dialler.node);
        if let Some(Connection::Handshaking(handshaking)) = self.connections.at_mut(slot) {
            handshaking.send(&ServerHandshake::accept())?;
        }
        Ok(())
    }

    /// The handshake in `slot` is done: its connection carries frames from now on.
    fn establish(&mut self, slot: usize, peer: handshake::Peer, dialled: bool) {
        let Some(Connection::Handshaking(handshaking)) = self.connections.remove(slot) else { return };
        self.forget_handshake(slot, &handshaking);
        let mut session = Session::new(handshaking.stream, peer.node, peer.incarnation, dialled);
        session.announce(false);
        let same = self.connections.insert(Connection::Standing(Box::new(session)));
        assert_eq!(same, slot, "a session keeps the slot of its handshake, which is the poller's token");
        self.readable.push_back(slot);
        let record = self.peers.entry(peer.node).or_insert_with(Peer::new);
        record.attempt = record.attempt.filter(|&attempt| attempt != slot);
        record.settle();
        let known = record.remember(peer.incarnation);
        let replaced = record.session.replace(slot);
        self.stop_dialling(peer.node);
        if let Some(old) = replaced {
            self.remove(old);
            self.pending.push(Incoming::Lost { peer: peer.node, reason: "replaced by a new connection".to_owned() });
        }
        let (peer, incarnation) = (peer.node, peer.incarnation);
        tracing::debug!("connected with {peer}, {incarnation}");
        self.pending.push(match known {
            true => Incoming::Reconnected { peer, incarnation },
            false => Incoming::Up { peer, incarnation },
        });
    }

    /// The handshake in `slot` came to nothing.
    pub(super) fn give_up(&mut self, now: Nanos, slot: usize, failure: HandshakeFailure) {
        let Some(Connection::Handshaking(mut handshaking)) = self.remove(slot) else { return };
        let remote = handshaking.remote;
        if let Some(peer) = handshaking.dialled_peer() {
            match failure {
                HandshakeFailure::Refused(error) if error.severity() == Severity::Fatal => {
                    self.refused(peer, error.to_string());
                }
                failure => self.dial_failed(now, peer, &failure.to_string()),
            }
            return;
        }
        match failure {
            HandshakeFailure::Refusing(reject) => {
                tracing::warn!("refused the connection from {remote}: {}", reject.reason);
                handshaking.refuse(&reject);
            }
            HandshakeFailure::Stranger => tracing::warn!("closed the connection from {remote}: {failure}"),
            failure => tracing::debug!("the connection from {remote} ended in the handshake: {failure}"),
        }
    }

    /// The session in `slot` cannot go on.
    pub(super) fn lose(&mut self, now: Nanos, slot: usize, reason: String) {
        let Some(Connection::Standing(session)) = self.remove(slot) else { return };
        if session.closing.is_some() {
            return;
        }
        let peer = session.peer;
        tracing::debug!("lost the connection with {peer}: {reason}");
        if let Some(record) = self.peers.get_mut(&peer) {
            record.session = None;
        }
        self.pending.push(Incoming::Lost { peer, reason });
        self.dial_later(now, peer);
    }

    /// Closes what there is of `peer` in order and dials it no more.
    pub(super) fn leave_peer(&mut self, now: Nanos, peer: NodeId) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        record.address = None;
        let session = record.session.take();
        self.stop_dialling(peer);
        let Some(slot) = session else { return };
        let Some(Connection::Standing(session)) = self.connections.at_mut(slot) else { return };
        let deadline = now.after(LINGER);
        session.closing = Some(deadline);
        self.timers.set(deadline, Timer::Deadline(slot));
        if session.wants_to_write() {
            self.writable.push(slot);
        }
    }

    /// The connection in `slot` has had its time.
    pub(super) fn expire(&mut self, now: Nanos, slot: usize) {
        match self.connections.at_mut(slot) {
            Some(Connection::Handshaking(handshaking)) => {
                if handshaking.dialled_peer().is_none() {
                    tracing::warn!("{} did not prove the job's secret in time", handshaking.remote);
                }
                let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
                self.give_up(now, slot, late.into());
            }
            Some(Connection::Standing(_)) => {
                self.remove(slot);
            }
            None => {}
        }
    }

    /// Takes a connection out of every list. Its socket closes when the caller lets it go.
    pub(super) fn remove(&mut self, slot: usize) -> Option<Connection> {
        let mut connection = self.connections.remove(slot)?;
        self.advancing.retain(|&other| other != slot);
        self.readable.retain(|&other| other != slot);
        self.writable.retain(|&other| other != slot);
        let stream = match &mut connection {
            Connection::Handshaking(handshaking) => {
                self.forget_handshake(slot, handshaking);
                &mut handshaking.stream
            }
            Connection::Standing(session) => {
                if let Some(deadline) = session.closing {
                    self.timers.cancel(deadline, Timer::Deadline(slot));
                }
                &mut session.stream
            }
        };
        if let Err(error) = self.poll.registry().deregister(stream) {
            tracing::debug!("the poller does not know a connection: {error}");
        }
        Some(connection)
    }

    fn forget_handshake(&mut self, slot: usize, handshaking: &Handshaking) {
        self.timers.cancel(handshaking.deadline, Timer::Deadline(slot));
        if handshaking.dialled_peer().is_none() {
            self.unauthenticated_count -= 1;
        }
    }
}
