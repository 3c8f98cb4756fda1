//! What wakes a sleeping node of the same host: an eventfd of its own, which its peers may ring.
//!
//! The owner never reads it: its poller reports each ringing as an edge. Only a bell that is full,
//! which takes 2^64 ringings or a peer that means harm, is emptied by whoever finds it so.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One end's hold on a bell.
#[derive(Debug)]
pub(in crate::transport) struct Doorbell(OwnedFd);

impl Doorbell {
    /// A bell of our own.
    pub(in crate::transport) fn new() -> io::Result<Doorbell> {
        Ok(Doorbell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// A peer's bell. Ringing it must never block, whatever the peer has passed for one.
    pub(in crate::transport) fn of_peer(bell: OwnedFd) -> io::Result<Doorbell> {
        fcntl_setfl(&bell, fcntl_getfl(&bell)? | OFlags::NONBLOCK)?;
        Ok(Doorbell(bell))
    }

    /// Another hold on the same bell.
    pub(in crate::transport) fn try_clone(&self) -> io::Result<Doorbell> {
        Ok(Doorbell(self.0.try_clone()?))
    }

    /// Wakes the owner, if it sleeps in its poller, or lets its next sleep end at once.
    pub(in crate::transport) fn ring(&self) -> io::Result<()> {
        let one = 1u64.to_ne_bytes();
        match rustix::io::write(&self.0, &one) {
            Err(rustix::io::Errno::AGAIN) => {
                rustix::io::read(&self.0, &mut [0; 8])?;
                rustix::io::write(&self.0, &one)?;
            }
            written => drop(written?),
        }
        Ok(())
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bell_can_be_rung() {
        let bell = Doorbell::new().expect("a descriptor");
        rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes()).expect("room");
        bell.ring().expect("emptied first");
        let mut count = [0; 8];
        rustix::io::read(&bell, &mut count).expect("rung");
        assert_eq!(u64::from_ne_bytes(count), 1);
    }
}
