//! Who a node is; every header carries it.

use crate::id::{Epoch, Generation, Incarnation, JobId, NodeId, Term};
use crate::wire::{Header, Kind};

/// The fields of a header that are the same for all frames of a node, until an epoch or term changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// This node.
    pub node: NodeId,
    /// The job.
    pub job: JobId,
    /// The job's generation.
    pub generation: Generation,
    /// Which start of this node.
    pub incarnation: Incarnation,
    /// The scheduler's term as last heard.
    pub term: Term,
    /// The partition's epoch as last heard.
    pub epoch: Epoch,
}

impl Identity {
    /// An identity in the first generation, before any term or epoch was heard.
    #[must_use]
    pub fn new(node: NodeId, job: JobId, incarnation: Incarnation) -> Identity {
        Identity { node, job, generation: Generation(0), incarnation, term: Term(0), epoch: Epoch(0) }
    }

    /// A header of this kind, stamped.
    #[must_use]
    pub fn header(&self, kind: Kind) -> Header {
        self.stamp(Header::new(kind, self.node))
    }

    /// The header with this node's fields.
    #[must_use]
    pub fn stamp(&self, mut header: Header) -> Header {
        header.source = self.node;
        header.job = self.job;
        header.generation = self.generation;
        header.incarnation = self.incarnation;
        header.term = self.term;
        header.epoch = self.epoch;
        header
    }

    /// Whether a control frame comes from the scheduler that rules this job; its term is adopted.
    pub(super) fn is_ruled_by(&mut self, header: &Header) -> bool {
        let rules = self.shares_job_with(header) && header.term >= self.term;
        self.term = if rules { header.term } else { self.term };
        rules
    }

    /// Whether a frame belongs to this job and generation.
    #[must_use]
    pub fn shares_job_with(&self, header: &Header) -> bool {
        header.job == self.job && header.generation == self.generation
    }
}
