//! From applied to acknowledged. An update that was applied here is committed when every member of
//! the range's chain has it; only then is the push acknowledged. Without replicas the chain is this
//! shard alone, and what is applied is committed.

use crate::id::NodeId;
use crate::wire::Header;
use std::collections::VecDeque;

/// Applied updates on their way to being committed, with the push that each one acknowledges.
#[derive(Debug, Default)]
pub(super) struct Chain {
    committed: VecDeque<(NodeId, Header)>,
}

impl Chain {
    /// Takes an update that was applied here, by the name of its push.
    pub(super) fn applied(&mut self, from: NodeId, push: Header) {
        self.committed.push_back((from, push));
    }

    /// The next push that may be acknowledged.
    pub(super) fn poll_committed(&mut self) -> Option<(NodeId, Header)> {
        self.committed.pop_front()
    }
}
