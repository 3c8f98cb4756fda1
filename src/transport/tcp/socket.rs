//! Sockets and names: what is asked of the system before the first byte flows.

use crate::transport::TransportError;
use mio::net::{TcpListener, TcpStream};
use socket2::SockRef;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Asked for in each direction: a few segments, so that neither side waits for the other's wake-up.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Listens on the first address of `address` that can be had.
pub(super) fn listen(address: &str) -> Result<TcpListener, TransportError> {
    let failed = |source| TransportError::Listen { address: address.to_owned(), source };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs().map_err(failed)? {
        match TcpListener::bind(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// All addresses of `address`. A host name may keep the caller waiting; numbers never do.
pub(super) fn resolve(address: &str) -> io::Result<VecDeque<SocketAddr>> {
    address.to_socket_addrs().map(Iterator::collect)
}

/// No delay for small frames, room for large ones. Both are wishes: a socket without works too.
pub(super) fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let wishes = [socket.set_tcp_nodelay(true), enlarge_send_buffer(&socket), enlarge_receive_buffer(&socket)];
    for error in wishes.into_iter().filter_map(Result::err) {
        tracing::debug!("a socket option was refused: {error}");
    }
}

/// A size set by hand ends the kernel's own growing of the buffer, so it is set only where the
/// kernel grants more than it would grow to by itself.
fn enlarge_send_buffer(socket: &SockRef<'_>) -> io::Result<()> {
    if granted_bytes("/proc/sys/net/core/wmem_max") < SOCKET_BUFFER_BYTES {
        return Ok(());
    }
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)
}

fn enlarge_receive_buffer(socket: &SockRef<'_>) -> io::Result<()> {
    if granted_bytes("/proc/sys/net/core/rmem_max") < SOCKET_BUFFER_BYTES {
        return Ok(());
    }
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)
}

fn granted_bytes(path: &str) -> usize {
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
