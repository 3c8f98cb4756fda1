//! Why a link that stood cannot go on. Whoever hears of it closes the link; the next one is another.

use super::error::VerbsError;
use crate::transport::ring::{ArrivalError, RingError};
use rdma_sys::ibv_wc_status;
use std::io;

/// What ended a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailure {
    /// The peer broke the rules of the ring.
    #[error("{0}")]
    Ring(#[from] RingError),
    /// What came is no frame of the peer.
    #[error("{0}")]
    Frame(String),
    /// An answer to something that was not asked, or was answered before.
    #[error("an answer to offer {token:#x}, which is not open")]
    Answer {
        /// The token of the offer.
        token: u32,
    },
    /// More landed than was offered.
    #[error("{landed} bytes landed where {offered} were offered")]
    Landed {
        /// As the answer's header says.
        landed: u64,
        /// As the request said.
        offered: u64,
    },
    /// A work request ended badly.
    #[error("a work request ended with {status} (vendor code {vendor:#x}); the peer died, or the network lost it")]
    Completion {
        /// The library's word for it.
        status: String,
        /// The device's code.
        vendor: u32,
    },
    /// The queue pair is in error.
    #[error("its queue pair is in error: {0}")]
    QueuePair(String),
    /// The port went down.
    #[error("port {0} of the device is down")]
    Port(i32),
    /// The device is gone or broken.
    #[error("the device is gone: {0}")]
    Device(String),
    /// A work request could not be posted.
    #[error("cannot post work requests: {0}")]
    Post(io::Error),
    /// Memory that the link needs cannot be registered.
    #[error("{0}")]
    Registration(Box<VerbsError>),
}

impl LinkFailure {
    pub(super) fn completion(status: ibv_wc_status, vendor: u32) -> LinkFailure {
        LinkFailure::Completion { status: format!("{status:?}"), vendor }
    }
}

impl From<ArrivalError> for LinkFailure {
    fn from(error: ArrivalError) -> LinkFailure {
        LinkFailure::Frame(error.to_string())
    }
}

impl From<VerbsError> for LinkFailure {
    fn from(error: VerbsError) -> LinkFailure {
        LinkFailure::Registration(Box::new(error))
    }
}
