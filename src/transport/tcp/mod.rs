//! Frames over TCP: non-blocking sockets on one poller, no thread per connection.
//!
//! * One connection per pair of nodes, whoever dials; a new one of the same peer replaces the old.
//! * Set-up lives in `dial`, `accept` and `establish`; the data path in `session`,
//!   `receiver` and `sender`. `progress` is the loop that joins them.
//! * Who owns what: a [`TxFrame`]'s buffers belong to the sender's queues until the kernel has
//!   taken their last byte; a body under way belongs to the receiver, as a block of the pool that
//!   the kernel fills in place; an [`Incoming`] owns its frame.
//! * The poller reports edges: whoever may still have bytes is remembered in `readable`, and a
//!   wait does not sleep while anybody is.
//! * Before the secret is proved, a connection has a fixed buffer, a deadline, and a place among a
//!   bounded number.

mod accept;
mod dial;
mod establish;
mod handshaking;
mod peer;
mod progress;
mod receiver;
mod sender;
mod session;
mod slots;
mod socket;
mod spin;
#[cfg(test)]
mod tests;
mod timers;

use super::handshake::{Identity, Secret};
use super::{Incoming, Transport, TransportError, Waker};
use crate::id::{Generation, Incarnation, JobId, Nanos, NodeId};
use crate::memory::Pool;
use crate::wire::TxFrame;
use handshaking::Handshaking;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use peer::Peer;
use session::Session;
use slots::Slots;
use spin::Spin;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;
use timers::Timers;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
/// All descriptors that somebody else has asked to be watched.
const WATCHED: Token = Token(2);
/// Tokens of connections: their slot and this.
const FIRST_CONNECTION: usize = 3;
const EVENTS_PER_POLL: usize = 256;

/// What a [`TcpTransport`] must be told.
pub struct TcpConfig {
    /// The node it belongs to.
    pub node: NodeId,
    /// Which start of the node.
    pub incarnation: Incarnation,
    /// The job.
    pub job: JobId,
    /// The job's generation.
    pub generation: Generation,
    /// The job's secret.
    pub secret: Secret,
    /// `host:port` to listen on, port 0 for any; `None` for a node that nobody dials.
    pub listen: Option<String>,
    /// Where received bodies go.
    pub pool: Arc<Pool>,
    /// Gives 32 unpredictable bytes a call.
    pub random: Box<dyn FnMut() -> [u8; 32] + Send>,
    /// How long a wait polls before it sleeps, while messages come in quick succession.
    pub spin: Duration,
}

/// The TCP fabric of one node.
pub struct TcpTransport {
    identity: Identity,
    secret: Secret,
    pool: Arc<Pool>,
    random: Box<dyn FnMut() -> [u8; 32] + Send>,
    spin: Spin,
    poll: Poll,
    events: Events,
    waker: Arc<mio::Waker>,
    listener: Option<TcpListener>,
    /// Whether the listener may have connections to accept.
    acceptable: bool,
    connections: Slots<Connection>,
    /// Accepted connections that have not proved the secret.
    unauthenticated_count: usize,
    peers: BTreeMap<NodeId, Peer>,
    timers: Timers,
    /// Slots of handshakes that can go on.
    advancing: Vec<usize>,
    /// Slots of sessions that may have bytes to read, in turn.
    readable: VecDeque<usize>,
    /// Slot of the connection that spoke last.
    talker: usize,
    /// Slots of sessions with queued frames that the kernel may take.
    writable: Vec<usize>,
    /// Events that wait for the next `rx_burst`.
    pending: Vec<Incoming>,
    /// Whether the poller was asked since the last `rx_burst`.
    polled: bool,
    /// Whether the waker was used since the last wait.
    woken: bool,
    /// Whether a watched descriptor has become readable.
    signalled: bool,
}

#[derive(Debug)]
enum Connection {
    Handshaking(Box<Handshaking>),
    Standing(Box<Session>),
}

impl TcpTransport {
    /// Opens the fabric: poller, waker and, where asked for, the listener.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the system gives no poller.
    pub fn open(config: TcpConfig) -> Result<TcpTransport, TransportError> {
        let poll = Poll::new().map_err(TransportError::Poll)?;
        let waker = mio::Waker::new(poll.registry(), WAKER).map_err(TransportError::Poll)?;
        let mut listener = config.listen.as_deref().map(socket::listen).transpose()?;
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, LISTENER, Interest::READABLE).map_err(TransportError::Poll)?;
        }
        let TcpConfig { node, incarnation, job, generation, .. } = config;
        Ok(TcpTransport {
            identity: Identity { node, incarnation, job, generation },
            secret: config.secret,
            pool: config.pool,
            random: config.random,
            spin: Spin::new(config.spin),
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            waker: Arc::new(waker),
            listener,
            acceptable: false,
            connections: Slots::new(),
            unauthenticated_count: 0,
            peers: BTreeMap::new(),
            timers: Timers::default(),
            advancing: Vec::new(),
            readable: VecDeque::new(),
            talker: 0,
            writable: Vec::new(),
            pending: Vec::new(),
            polled: false,
            woken: false,
            signalled: false,
        })
    }

    /// Where the listener listens, with the port that the system chose.
    #[must_use]
    pub fn local_address(&self) -> Option<String> {
        Some(self.listener.as_ref()?.local_addr().ok()?.to_string())
    }

    /// Cuts the connection to `peer` as a failing network would; for tests of what happens then.
    /// Does nothing without a connection.
    pub fn break_connection(&mut self, peer: NodeId) {
        if let Some(session) = self.session_mut(peer) {
            session.cut();
        }
    }

    /// 32 unpredictable bytes.
    pub(super) fn draw(&mut self) -> [u8; 32] {
        (self.random)()
    }

    /// Watches one more descriptor: when it becomes readable, a wait ends and
    /// [`take_signalled`](Self::take_signalled) says so. Closing the descriptor ends the watch.
    pub(super) fn watch(&self, descriptor: RawFd) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&descriptor), WATCHED, Interest::READABLE)
    }

    /// Whether a watched descriptor has become readable since this was asked last.
    pub(super) fn take_signalled(&mut self) -> bool {
        std::mem::take(&mut self.signalled)
    }

    /// Reads nothing more from `peer` for now, or goes on. The end of its connection is seen all the same.
    pub(super) fn pause(&mut self, peer: NodeId, paused: bool) {
        let Some(slot) = self.peers.get(&peer).and_then(|peer| peer.session) else { return };
        if let Some(Connection::Standing(session)) = self.connections.at_mut(slot)
            && session.pause(paused)
        {
            self.readable.push_back(slot);
        }
    }

    /// As [`Transport::wait`]. `look` is called at each turn of the polling and says whether there is
    /// something elsewhere; `arm` is called once before the real sleep, asks for a signal at a watched
    /// descriptor, and says whether there is something already.
    pub(super) fn sleep_with(
        &mut self,
        timeout: Option<Duration>,
        look: &mut dyn FnMut() -> bool,
        arm: &mut dyn FnMut() -> bool,
    ) -> Result<(), TransportError> {
        self.sleep(timeout, look, arm).map_err(TransportError::Poll)
    }

    fn session_mut(&mut self, peer: NodeId) -> Option<&mut Session> {
        let slot = self.peers.get(&peer)?.session?;
        match self.connections.at_mut(slot) {
            Some(Connection::Standing(session)) => Some(session),
            _ => None,
        }
    }
}

impl Transport for TcpTransport {
    fn connect(&mut self, now: Nanos, peer: NodeId, address: &str) {
        self.dial_peer(now, peer, address);
    }

    fn disconnect(&mut self, now: Nanos, peer: NodeId) {
        self.leave_peer(now, peer);
    }

    fn tx_burst(&mut self, _now: Nanos, peer: NodeId, frames: &mut Vec<TxFrame>) {
        let Some(slot) = self.peers.get(&peer).and_then(|peer| peer.session) else {
            return frames.clear();
        };
        let Some(Connection::Standing(session)) = self.connections.at_mut(slot) else {
            return frames.clear();
        };
        if session.enqueue(frames) {
            self.writable.push(slot);
        }
    }

    fn queued_bytes(&self, peer: NodeId) -> usize {
        if let Some(slot) = self.peers.get(&peer).and_then(|peer| peer.session) {
            return match self.connections.at(slot) {
                Some(Connection::Standing(session)) => session.queued_bytes(),
                _ => 0,
            };
        }
        // A connection that is being closed belongs to no peer's record any more.
        let sessions = self.connections.iter().filter_map(|connection| match connection {
            Connection::Standing(session) if session.peer == peer => Some(session.queued_bytes()),
            _ => None,
        });
        sessions.sum()
    }

    fn rx_burst(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) -> bool {
        self.set_up(now);
        self.write_queued();
        incoming.append(&mut self.pending);
        self.read_ready(now, incoming, frames_max);
        incoming.append(&mut self.pending);
        !self.readable.is_empty()
    }

    fn flush(&mut self, _now: Nanos) {
        self.write_queued();
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        self.timers.next()
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), TransportError> {
        self.sleep_with(timeout, &mut || false, &mut || false)
    }

    fn waker(&self) -> Waker {
        let waker = Arc::clone(&self.waker);
        Waker::new(move || {
            if let Err(error) = waker.wake() {
                tracing::warn!("cannot wake the network thread: {error}");
            }
        })
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpTransport({}, {} connections)", self.identity.node, self.connections.iter().count())
    }
}
