//! What is called when operations are done.

use crate::id::Timestamp;

/// A callback with its outcome still to be taken.
pub(super) type Call = Box<dyn FnOnce() + Send>;

/// The callbacks of a worker: those that wait, and those whose operations are done.
#[derive(Default)]
pub(super) struct Callbacks {
    waiting: Vec<(Timestamp, Call)>,
    ready: Vec<Call>,
}

impl Callbacks {
    pub(super) fn watch(&mut self, timestamp: Timestamp, call: Call) {
        self.waiting.push((timestamp, call));
    }

    /// Makes those ready whose operation is done, in the order in which they were given.
    pub(super) fn find_ready(&mut self, mut is_done: impl FnMut(Timestamp) -> bool) {
        let ready = self.waiting.extract_if(.., |(timestamp, _)| is_done(*timestamp));
        self.ready.extend(ready.map(|(_, call)| call));
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Those to be called now, outside of the lock.
    pub(super) fn take_ready(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.ready)
    }
}
