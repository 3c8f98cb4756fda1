//! Abstract unix sockets of packets, and what travels over them: a nonce and a few descriptors.

use super::{ShmError, cannot};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, recvmsg, sendmsg, socket_with,
};
use smallvec::SmallVec;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Descriptors of one message.
const DESCRIPTORS_MAX: usize = 2;

/// A nonce and the descriptors that came with it.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) nonce: [u8; 32],
    pub(super) descriptors: SmallVec<[OwnedFd; DESCRIPTORS_MAX]>,
}

/// A socket that never blocks.
pub(super) fn open() -> Result<OwnedFd, ShmError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(cannot("open a unix socket"))
}

/// The address behind a name; it is in no file system.
pub(super) fn address(name: &[u8; 16]) -> Result<SocketAddrUnix, ShmError> {
    let name = format!("parashard-{:032x}", u128::from_le_bytes(*name));
    SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(cannot("name a unix socket"))
}

/// Checks that the process at the other end runs as our user.
pub(super) fn check_user(socket: &OwnedFd) -> Result<(), ShmError> {
    let theirs = socket_peercred(socket).map_err(cannot("ask whose a unix socket is"))?.uid;
    if theirs == rustix::process::geteuid() { Ok(()) } else { Err(ShmError::User(theirs.as_raw())) }
}

/// Sends one packet. It fits into the empty buffer of a new socket, or something is wrong.
pub(super) fn send(socket: &OwnedFd, nonce: &[u8; 32], descriptors: &[BorrowedFd<'_>]) -> Result<(), ShmError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(ShmError::Stranger);
    }
    let sent = sendmsg(socket, &[IoSlice::new(nonce)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
        .map_err(cannot("send over a unix socket"))?;
    if sent == nonce.len() { Ok(()) } else { Err(ShmError::Stranger) }
}

/// The packet that waits, if one does. Descriptors beyond the limit are closed by the kernel.
pub(super) fn receive(socket: &OwnedFd) -> Result<Option<Packet>, ShmError> {
    let mut bytes = [0; 33];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
        Ok(received) => received,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
        Err(error) => return Err(cannot("receive from a unix socket")(error)),
    };
    let mut descriptors = SmallVec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            descriptors.extend(sent);
        }
    }
    let is_cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    match bytes.first_chunk().filter(|_| received.bytes == 32 && !is_cut) {
        Some(&nonce) => Ok(Some(Packet { nonce, descriptors })),
        None => Err(ShmError::Stranger),
    }
}
