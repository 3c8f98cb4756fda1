//! A connection whose both ends have proved who they are.

use super::receiver::{ReceiveError, Receiver, Turn};
use super::sender::{Sender, Written};
use crate::id::{Incarnation, Nanos, NodeId};
use crate::limit;
use crate::transport::Incoming;
use crate::transport::origin::Origin;
use crate::wire::TxFrame;
use mio::net::TcpStream;
use std::net::Shutdown;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) stream: TcpStream,
    pub(super) peer: NodeId,
    pub(super) incarnation: Incarnation,
    /// Whether our side dialled.
    pub(super) dialled: bool,
    /// Whether it stands in the queue of sessions to read from.
    pub(super) in_readable: bool,
    /// When it is closed at the latest, after a disconnect.
    pub(super) closing: Option<Nanos>,
    in_writable: bool,
    /// The kernel's buffer is full.
    blocked: bool,
    /// The end of the stream is announced; what came before it can still be read.
    hangup: bool,
    /// Nothing is to be read for now.
    paused: bool,
    /// There may be something to read once it is no longer paused.
    held_back: bool,
    /// Why writing failed.
    failure: Option<String>,
    sender: Sender,
    receiver: Receiver,
}

impl Session {
    pub(super) fn new(stream: TcpStream, peer: NodeId, incarnation: Incarnation, dialled: bool) -> Session {
        Session {
            stream,
            peer,
            incarnation,
            dialled,
            in_readable: false,
            closing: None,
            in_writable: false,
            blocked: false,
            hangup: false,
            paused: false,
            held_back: false,
            failure: None,
            sender: Sender::default(),
            receiver: Receiver::new(),
        }
    }

    /// Takes frames from the front as long as there is room. Returns whether the session must now
    /// be put among those to write to.
    pub(super) fn enqueue(&mut self, frames: &mut Vec<TxFrame>) -> bool {
        if self.failure.is_some() {
            frames.clear();
            return false;
        }
        let mut room = limit::SEND_QUEUE_BYTES.saturating_sub(self.sender.queued_bytes());
        let fitting = frames.iter().take_while(|frame| {
            let fits = room > 0;
            room = room.saturating_sub(frame.bytes());
            fits
        });
        let count = fitting.count();
        frames.drain(..count).for_each(|frame| self.sender.push(frame));
        self.wants_to_write()
    }

    /// Whether the session has something to write and is not yet among those to write to.
    pub(super) fn wants_to_write(&mut self) -> bool {
        let waiting = self.sender.queued_bytes() > 0 || self.closing.is_some();
        let wants = waiting && !self.blocked && !self.in_writable;
        self.in_writable |= wants;
        wants
    }

    /// The poller says that the kernel takes bytes again. Returns what `wants_to_write` does.
    pub(super) fn unblock(&mut self) -> bool {
        std::mem::take(&mut self.blocked) && self.wants_to_write()
    }

    /// The poller says that there is something to read, or the end. Returns whether the session
    /// must now be put among those to read from.
    pub(super) fn announce(&mut self, hangup: bool) -> bool {
        self.hangup |= hangup;
        !std::mem::replace(&mut self.in_readable, true)
    }

    /// Reads nothing for now, or goes on. Returns whether the session must now be put among those to
    /// read from.
    pub(super) fn pause(&mut self, paused: bool) -> bool {
        self.paused = paused;
        !paused && std::mem::take(&mut self.held_back) && self.announce(false)
    }

    /// Whether the session, whose turn it is to be read from, is paused; then it leaves those to read
    /// from. One that has ended is read to its end.
    pub(super) fn hold_back(&mut self) -> bool {
        let holds = self.paused && !self.hangup;
        if holds {
            self.in_readable = false;
            self.held_back = true;
        }
        holds
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    /// Writes what is queued. Returns whether the session is to be written to again, though the
    /// kernel is not full. A failure is kept: what the peer sent before it can still be read.
    pub(super) fn write(&mut self) -> bool {
        self.in_writable = false;
        match self.sender.write(&self.stream) {
            Ok(Written::All) if self.closing.is_some() => {
                // An error means that the other side was faster.
                let _ = self.stream.shutdown(Shutdown::Write);
            }
            Ok(Written::All) => {}
            Ok(Written::Blocked) => self.blocked = true,
            Ok(Written::Turn) => {
                self.in_writable = true;
                return true;
            }
            Err(error) => {
                self.sender.clear();
                self.failure = Some(error.to_string());
                self.hangup = true;
            }
        }
        false
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Reads frames. After a disconnect they are read and dropped, so that the peer's side closes in order.
    pub(super) fn read(
        &mut self,
        origin: &Origin<'_>,
        incoming: &mut Vec<Incoming>,
        frames_max: usize,
    ) -> Result<Turn, String> {
        let before = incoming.len();
        let result = self.receiver.receive(&self.stream, origin, self.hangup, incoming, frames_max);
        if self.closing.is_some() {
            incoming.truncate(before);
        }
        match (result, &self.failure) {
            (Ok(Turn::Drained), None) => {
                self.in_readable = false;
                Ok(Turn::Drained)
            }
            (Ok(Turn::Over), _) => Ok(Turn::Over),
            (Err(ReceiveError::Closed | ReceiveError::Network(_)) | Ok(Turn::Drained), Some(failure)) => {
                Err(failure.clone())
            }
            (Err(error), _) => Err(error.to_string()),
        }
    }

    /// Reads once without asking the poller. Returns whether the session must now be put among those
    /// to read from.
    pub(super) fn look(&mut self) -> bool {
        !self.in_readable && !self.paused && self.receiver.look(&self.stream) && self.announce(false)
    }

    /// Ends the connection as a failing network would.
    pub(super) fn cut(&self) {
        // An error means that it is cut already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
