//! The side that calls: brings the nonce and its bell, and waits for the memory.

use super::{ShmError, ShmTicket, cannot, sealed, socket};
use crate::transport::ring::{Doorbell, RingMemory};
use rustix::io::Errno;
use rustix::net::connect;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A call that is not answered yet.
#[derive(Debug)]
pub(in crate::transport) struct Guest {
    socket: OwnedFd,
    nonce: [u8; 32],
}

impl Guest {
    /// Calls at the socket of a ticket. The answer makes the descriptor readable.
    pub(in crate::transport) fn call(ticket: &ShmTicket, own: &Doorbell) -> Result<Guest, ShmError> {
        let caller = socket::open()?;
        match connect(&caller, &socket::address(&ticket.socket)?) {
            Ok(()) => {}
            Err(Errno::CONNREFUSED) => return Err(ShmError::Elsewhere),
            Err(error) => return Err(cannot("connect to a unix socket")(error)),
        }
        socket::check_user(&caller)?;
        socket::send(&caller, &ticket.nonce, &[own.as_fd()])?;
        Ok(Guest { socket: caller, nonce: ticket.nonce })
    }

    /// The memory and the host's bell, when they are there.
    pub(in crate::transport) fn hear(&self) -> Result<Option<(RingMemory, Doorbell)>, ShmError> {
        let Some(packet) = socket::receive(&self.socket)? else { return Ok(None) };
        if packet.nonce == self.nonce && packet.descriptors.is_empty() {
            return Err(ShmError::Refused);
        }
        let mut descriptors = packet.descriptors.into_iter();
        let (Some(file), Some(bell)) = (descriptors.next(), descriptors.next()) else {
            return Err(ShmError::Stranger);
        };
        if packet.nonce != self.nonce {
            return Err(ShmError::Stranger);
        }
        let memory = sealed::accept(&file)?;
        let bell = Doorbell::of_peer(bell).map_err(cannot("use the peer's bell"))?;
        Ok(Some((memory, bell)))
    }
}

impl AsRawFd for Guest {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Host;
    use super::*;
    use crate::id::Nanos;

    fn host(number: u8) -> Host {
        let mut name = [number; 16];
        name[..4].copy_from_slice(&std::process::id().to_le_bytes());
        Host::open(name).expect("a socket")
    }

    #[test]
    fn a_guest_with_a_ticket_gets_the_memory_and_the_bell() {
        let mut host = host(1);
        let (hosts_bell, guests_bell) = (Doorbell::new().expect("a bell"), Doorbell::new().expect("a bell"));
        let guest = Guest::call(&host.ticket([5; 32]), &guests_bell).expect("it listens");
        assert!(guest.hear().expect("no error").is_none());
        let visits = host.poll(Nanos(0), |_| Ok(()));
        let [visit] = <[_; 1]>::try_from(visits).expect("one visit");
        assert_eq!(visit.nonce, [5; 32]);
        let (memory, bell) = visit.welcome(&hosts_bell).expect("handed over");
        let (same, back) = guest.hear().expect("no error").expect("the memory");
        memory.shared().copy_in_counted(77, b"ring");
        assert_eq!(&same.shared().read::<[u8; 4]>(77), b"ring");
        let is_rung = |bell: &Doorbell| rustix::io::read(bell, &mut [0; 8]).is_ok();
        bell.ring().expect("rings");
        assert!(is_rung(&guests_bell) && !is_rung(&hosts_bell));
        back.ring().expect("rings");
        assert!(is_rung(&hosts_bell));
    }

    #[test]
    fn a_ticket_of_another_host_leads_nowhere() {
        let ticket = ShmTicket { socket: [250; 16], nonce: [1; 32] };
        let error = Guest::call(&ticket, &Doorbell::new().expect("a bell")).expect_err("nobody listens");
        assert!(matches!(error, ShmError::Elsewhere), "{error}");
    }

    #[test]
    fn a_guest_that_says_nothing_or_garbage_is_let_go() {
        let mut host = host(2);
        let address = socket::address(&host.ticket([0; 32]).socket).expect("an address");
        let (silent, noisy, bare) = (socket::open().unwrap(), socket::open().unwrap(), socket::open().unwrap());
        for guest in [&silent, &noisy, &bare] {
            connect(guest, &address).expect("it listens");
        }
        rustix::io::write(&noisy, b"hello").expect("sends");
        socket::send(&bare, &[1; 32], &[]).expect("sends");
        assert!(host.poll(Nanos(0), |_| Ok(())).is_empty());
        let deadline = host.poll_timeout().expect("the silent one");
        assert!(host.poll(deadline, |_| Ok(())).is_empty());
        assert_eq!(host.poll_timeout(), None);
    }
}
