//! Whose frames a connection or link carries, and where their bodies go.

use crate::id::{JobId, NodeId};
use crate::memory::Pool;
use crate::wire::Header;
use std::sync::Arc;

/// Who may send on the connection, and where bodies go.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) job: JobId,
    pub(super) peer: NodeId,
    pub(super) pool: &'a Arc<Pool>,
}

/// A frame that does not belong where it came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum OriginError {
    #[error("a frame in the name of {0}")]
    Source(NodeId),
    #[error("a frame of {0}")]
    Job(JobId),
}

impl Origin<'_> {
    /// Checks that the peer speaks for itself, and for this job.
    pub(super) fn check(&self, header: &Header) -> Result<(), OriginError> {
        if header.source != self.peer {
            return Err(OriginError::Source(header.source));
        }
        if header.job != self.job {
            return Err(OriginError::Job(header.job));
        }
        Ok(())
    }
}
