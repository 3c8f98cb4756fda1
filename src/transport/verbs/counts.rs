//! How many work requests of each kind were posted: what proves that frames went the way they should.

use super::plan::{Operation, Request};
use std::fmt;

/// Work requests posted by one transport so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpcodeCounts {
    /// SENDs.
    pub sends: u64,
    /// RDMA WRITEs.
    pub writes: u64,
    /// RDMA WRITEs with an immediate.
    pub writes_with_immediate: u64,
    /// RDMA READs.
    pub reads: u64,
    /// Requests whose bytes were given to the device in the request.
    pub inline: u64,
    /// Requests that gave a completion.
    pub signaled: u64,
    /// Calls that posted them.
    pub doorbells: u64,
    /// Bytes of frames that were first copied to registered memory, or into an inline request.
    pub staged_bytes: u64,
    /// SENDs that carried nothing but credits.
    pub credit_messages: u64,
    /// Windows that were opened.
    pub bindings: u64,
    /// Windows that were closed.
    pub invalidations: u64,
}

impl OpcodeCounts {
    pub(super) fn add(&mut self, request: &Request) {
        let count = match request.operation {
            Operation::Send => &mut self.sends,
            Operation::Write(_) => &mut self.writes,
            Operation::WriteWithImmediate(..) => &mut self.writes_with_immediate,
            Operation::Read(_) => &mut self.reads,
            Operation::Bind(_) => &mut self.bindings,
            Operation::Invalidate(_) => &mut self.invalidations,
        };
        *count += 1;
        self.inline += u64::from(request.is_inline);
        self.signaled += u64::from(request.is_signaled);
    }
}

impl fmt::Display for OpcodeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "send={} write={} write_imm={} read={} inline={} signaled={} doorbells={} staged_bytes={} credits={} bind={} invalidate={}",
            self.sends,
            self.writes,
            self.writes_with_immediate,
            self.reads,
            self.inline,
            self.signaled,
            self.doorbells,
            self.staged_bytes,
            self.credit_messages,
            self.bindings,
            self.invalidations
        )
    }
}
