//! The side that listens: a bounded number of visitors, each with a deadline, until one brings a nonce.

use super::{ShmError, ShmTicket, cannot, sealed, socket};
use crate::id::Nanos;
use crate::limit;
use crate::transport::ring::{Doorbell, RingMemory};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, bind, listen};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Guests that the kernel keeps waiting for us.
const BACKLOG: i32 = 1024;

/// A socket that peers of this host find by the name in their ticket.
#[derive(Debug)]
pub(in crate::transport) struct Host {
    socket: OwnedFd,
    name: [u8; 16],
    /// Accepted, and silent so far.
    silent: Vec<(OwnedFd, Nanos)>,
}

/// A guest with a nonce that the caller has to know.
#[derive(Debug)]
pub(in crate::transport) struct Visit {
    pub(in crate::transport) nonce: [u8; 32],
    socket: OwnedFd,
    bell: Doorbell,
}

impl Host {
    /// Listens under a name that nobody can guess.
    pub(in crate::transport) fn open(name: [u8; 16]) -> Result<Host, ShmError> {
        let listener = socket::open()?;
        bind(&listener, &socket::address(&name)?).map_err(cannot("bind a unix socket"))?;
        listen(&listener, BACKLOG).map_err(cannot("listen on a unix socket"))?;
        Ok(Host { socket: listener, name, silent: Vec::new() })
    }

    /// The ticket for a guest that is to bring `nonce`.
    pub(in crate::transport) fn ticket(&self, nonce: [u8; 32]) -> ShmTicket {
        ShmTicket { socket: self.name, nonce }
    }

    /// Lets guests in and hears them. `watch` is called for each descriptor whose next packet must
    /// lead to another call.
    pub(in crate::transport) fn poll(
        &mut self,
        now: Nanos,
        mut watch: impl FnMut(RawFd) -> io::Result<()>,
    ) -> Vec<Visit> {
        let mut visits = Vec::new();
        loop {
            self.hear(now, &mut visits);
            if self.silent.len() >= limit::UNAUTHENTICATED_CONNECTIONS {
                return visits;
            }
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(guest) => {
                    let welcome = socket::check_user(&guest)
                        .and_then(|()| watch(guest.as_raw_fd()).map_err(cannot("watch a unix socket")));
                    match welcome {
                        Ok(()) => self.silent.push((guest, now.after(limit::HANDSHAKE_TIMEOUT))),
                        Err(error) => tracing::warn!("closed a unix connection: {error}"),
                    }
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return visits,
                Err(error) => {
                    tracing::warn!("cannot accept unix connections for now: {error}");
                    return visits;
                }
            }
        }
    }

    fn hear(&mut self, now: Nanos, visits: &mut Vec<Visit>) {
        let mut place = 0;
        while let Some((guest, deadline)) = self.silent.get(place) {
            let heard = match socket::receive(guest) {
                Ok(None) if *deadline > now => {
                    place += 1;
                    continue;
                }
                Ok(heard) => heard,
                Err(error) => {
                    tracing::warn!("closed a unix connection: {error}");
                    None
                }
            };
            let (guest, _) = self.silent.swap_remove(place);
            visits.extend(heard.and_then(|packet| Visit::of(guest, packet)));
        }
    }

    /// When `poll` must be called next even if nobody comes.
    pub(in crate::transport) fn poll_timeout(&self) -> Option<Nanos> {
        self.silent.iter().map(|&(_, deadline)| deadline).min()
    }
}

impl AsRawFd for Host {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Visit {
    fn of(socket: OwnedFd, packet: socket::Packet) -> Option<Visit> {
        let mut descriptors = packet.descriptors.into_iter();
        let bell = Doorbell::of_peer(descriptors.next()?).ok()?;
        Some(Visit { nonce: packet.nonce, socket, bell })
    }

    /// Makes the memory and hands it over together with our bell. Gives our mapping and the guest's bell.
    /// A guest gets its nonce without memory when there is none.
    pub(in crate::transport) fn welcome(self, own: &Doorbell) -> Result<(RingMemory, Doorbell), ShmError> {
        match sealed::create() {
            Ok((file, memory)) => {
                socket::send(&self.socket, &self.nonce, &[file.as_fd(), own.as_fd()])?;
                Ok((memory, self.bell))
            }
            Err(error) => {
                socket::send(&self.socket, &self.nonce, &[])?;
                Err(error)
            }
        }
    }
}
