//! The ring through shared memory: two processes of one host.
//!
//! * `sealed`  a memfd that can neither shrink nor grow, made by one side and checked by the other.
//! * `socket`  an abstract unix socket, and messages with descriptors over it.
//! * `host`    the side that listens, makes the memory and hands it over.
//! * `guest`   the side that calls.
//!
//! That both run on one host, for one user, is proved and not believed: the host's name for its socket
//! and a nonce travel over the authenticated connection; whoever brings that nonce to that socket
//! gets the memory. What the kernel says of the other's user must be our own. Nothing of it is in a
//! file system, so a killed process leaves nothing behind.

mod guest;
mod host;
mod sealed;
mod socket;

pub(super) use guest::Guest;
pub(super) use host::{Host, Visit};

use serde::{Deserialize, Serialize};
use std::io;

/// Where a guest is to call, and what it must bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShmTicket {
    /// Names the host's socket.
    pub(super) socket: [u8; 16],
    /// Never used before.
    pub(super) nonce: [u8; 32],
}

/// Why shared memory is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShmError {
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("it is not on this host and in this network namespace")]
    Elsewhere,
    #[error("it runs as user {0}, this is another")]
    User(u32),
    #[error("it cannot make shared memory; its log says why")]
    Refused,
    #[error("it speaks otherwise at its socket")]
    Stranger,
    #[error("its memory {0}")]
    Memory(&'static str),
}

/// For `map_err`: what was tried.
fn cannot<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> ShmError {
    move |error| ShmError::System { what, source: error.into() }
}
