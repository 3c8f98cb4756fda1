//! From a frame to work requests: which way it goes, and what is posted for it. Pure functions.
//!
//! | route | when | what is posted |
//! |---|---|---|
//! | inline | envelope, header and body fit the queue pair's inline data | one inline SEND |
//! | message | they fit the peer's receive buffers | one SEND from registered memory |
//! | landed | an answer whose request offered memory for its values | WRITEs of the values there, WRITEs of the rest into the slot, WRITE_WITH_IMM of the head |
//! | slot | the body fits a slot | WRITEs of the body, WRITE_WITH_IMM of the head |
//! | rendezvous | larger, from memory that the peer may read | one SEND of head and pieces; the peer posts READs |
//!
//! In front of a question that offers memory, where the device has windows, stands the request that opens one.
//! A *head* is the longest envelope and a header. Only the last request of a frame, or of a batch before the link
//! idles, is signaled: see [`Signals`].

use crate::transport::ring::{Piece, SLOT_HEAD_BYTES};
use crate::wire::HEADER_BYTES;
use smallvec::SmallVec;

/// Every so many requests one is signaled.
pub(super) const SIGNAL_PERIOD: usize = 64;
/// Requests that one post hands to the adapter.
pub(super) const DOORBELL_REQUESTS: usize = 16;
/// Requests that a queue pair holds: while one period is under way the next can be posted.
pub(super) const SEND_DEPTH: usize = 128;
/// Requests of one frame: one post can carry it.
pub(super) const FRAME_REQUESTS_MAX: usize = DOORBELL_REQUESTS;

const _: () = assert!(SEND_DEPTH >= 2 * SIGNAL_PERIOD, "a full queue always has a signaled request in it");
const _: () = assert!(DOORBELL_REQUESTS <= SIGNAL_PERIOD, "a batch is no longer than a signal period");
const _: () = assert!(FRAME_REQUESTS_MAX <= SEND_DEPTH - SIGNAL_PERIOD, "room for a frame comes with one completion");

/// What a queue pair and its peer allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of one inline request.
    pub(super) inline_bytes: usize,
    /// Parts of one request.
    pub(super) parts_max: usize,
    /// Bytes of one request.
    pub(super) request_bytes_max: usize,
    /// Bytes of the peer's receive buffers.
    pub(super) receive_bytes: usize,
    /// Bytes of the peer's slots.
    pub(super) slot_bytes: usize,
    /// Whether the peer may read our pool.
    pub(super) is_readable: bool,
}

/// What decides a frame's route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes of the envelope that goes before it in a message.
    pub(super) envelope_bytes: usize,
    /// Bytes of the body.
    pub(super) body_bytes: usize,
    /// Bytes of its value block.
    pub(super) value_bytes: usize,
    /// Bytes that the request offered for the values, when they may land at all.
    pub(super) offered_bytes: usize,
}

impl Shape {
    /// Bytes of envelope, header and body.
    fn message_bytes(&self) -> usize {
        self.envelope_bytes + HEADER_BYTES + self.body_bytes
    }
}

/// Which way a frame goes; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Inline,
    Message,
    Landed,
    Slot,
    Rendezvous,
}

impl Limits {
    /// Bytes of the body that a slot holds.
    pub(super) fn slot_body_bytes(&self) -> usize {
        self.slot_bytes.saturating_sub(SLOT_HEAD_BYTES)
    }

    /// Whether a message of this shape goes inline.
    pub(super) fn is_inline(&self, shape: &Shape) -> bool {
        shape.message_bytes() <= self.inline_bytes
    }

    /// The way of a frame; nothing when it is too large for this link.
    pub(super) fn route(&self, shape: &Shape) -> Option<Route> {
        let lands = shape.value_bytes > 0 && shape.value_bytes <= shape.offered_bytes;
        if self.is_inline(shape) {
            Some(Route::Inline)
        } else if lands && shape.body_bytes - shape.value_bytes <= self.slot_body_bytes() {
            Some(Route::Landed)
        } else if shape.message_bytes() <= self.receive_bytes {
            Some(Route::Message)
        } else if shape.body_bytes <= self.slot_body_bytes() {
            Some(Route::Slot)
        } else {
            self.is_readable.then_some(Route::Rendezvous)
        }
    }
}

/// Bytes of ours, with the key of their region; an inline request needs no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) address: u64,
    pub(super) bytes: u32,
    pub(super) key: u32,
}

/// A place in the peer's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Remote {
    pub(super) address: u64,
    pub(super) key: u32,
}

impl Remote {
    pub(super) fn after(self, bytes: usize) -> Remote {
        Remote { address: self.address.wrapping_add(bytes as u64), ..self }
    }
}

/// How a window is opened. Window and region are named by the addresses of their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) window: usize,
    pub(super) region: usize,
    /// The window's new key.
    pub(super) key: u32,
    pub(super) address: u64,
    pub(super) bytes: u64,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send,
    Write(Remote),
    WriteWithImmediate(Remote, u32),
    Read(Remote),
    /// Opens a window.
    Bind(Binding),
    /// Closes the window of this key.
    Invalidate(u32),
}

/// One work request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) parts: Parts,
    pub(super) is_inline: bool,
    pub(super) is_signaled: bool,
}

/// The local side of one request, in order.
pub(super) type Parts = SmallVec<[Part; 4]>;

/// Plans requests for one queue pair, at the end of a list.
pub(super) struct Planner<'a> {
    pub(super) limits: &'a Limits,
    pub(super) requests: &'a mut Vec<Request>,
}

impl Planner<'_> {
    /// One SEND of everything.
    pub(super) fn send(&mut self, parts: Parts) {
        self.push(Operation::Send, parts);
    }

    /// WRITEs of `body` behind the head of the slot, then the head with its immediate.
    pub(super) fn slot(&mut self, head: Part, body: &[Part], slot: Remote, immediate: u32) {
        self.write(body, slot.after(SLOT_HEAD_BYTES));
        self.push(Operation::WriteWithImmediate(slot, immediate), [head].into_iter().collect());
    }

    /// WRITEs of `parts`, one after the other in the peer's memory.
    pub(super) fn write(&mut self, parts: &[Part], to: Remote) {
        let (mut to, mut group, mut group_bytes) = (to, Parts::new(), 0usize);
        for &part in parts.iter().filter(|part| part.bytes > 0) {
            let bytes = part.bytes as usize;
            if group.len() == self.limits.parts_max || group_bytes + bytes > self.limits.request_bytes_max {
                self.push(Operation::Write(to), std::mem::take(&mut group));
                (to, group_bytes) = (to.after(group_bytes), 0);
            }
            group.push(part);
            group_bytes += bytes;
        }
        if !group.is_empty() {
            self.push(Operation::Write(to), group);
        }
    }

    /// READs of `pieces`, one after the other into `into`.
    pub(super) fn read(&mut self, pieces: &[Piece], into: Part) {
        let mut address = into.address;
        for piece in pieces {
            let part = Part { address, bytes: piece.bytes, key: into.key };
            let remote = Remote { address: piece.address, key: piece.key };
            self.push(Operation::Read(remote), [part].into_iter().collect());
            address += u64::from(piece.bytes);
        }
    }

    /// Opens a window for what follows.
    pub(super) fn bind(&mut self, binding: Binding) {
        self.push(Operation::Bind(binding), Parts::new());
    }

    /// Closes a window.
    pub(super) fn invalidate(&mut self, key: u32) {
        self.push(Operation::Invalidate(key), Parts::new());
    }

    fn push(&mut self, operation: Operation, parts: Parts) {
        let bytes: usize = parts.iter().map(|part| part.bytes as usize).sum();
        // WRITEs of a body come from registered memory: the adapter fetches it while the head is copied.
        let may_inline = matches!(operation, Operation::Send | Operation::WriteWithImmediate(..));
        let is_inline = may_inline && bytes <= self.limits.inline_bytes;
        self.requests.push(Request { operation, parts, is_inline, is_signaled: false });
    }
}

/// Upper bound of the requests for a body in `part_count` parts, head included.
pub(super) fn request_count(part_count: usize, parts_max: usize) -> usize {
    part_count.div_ceil(parts_max.max(1)) + 1
}

/// Decides which requests are signaled.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Requests since the last signaled one.
    unsignaled: usize,
}

impl Signals {
    /// Signals one request in every period, and the last one if nothing is known to follow it.
    pub(super) fn mark(&mut self, requests: &mut [Request], idle_follows: bool) {
        let last = requests.len().wrapping_sub(1);
        for (index, request) in requests.iter_mut().enumerate() {
            self.unsignaled += 1;
            // The end of a read is news: its frame can be delivered.
            let is_read = matches!(request.operation, Operation::Read(_));
            if self.unsignaled >= SIGNAL_PERIOD || is_read || (idle_follows && index == last) {
                request.is_signaled = true;
                self.unsignaled = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
