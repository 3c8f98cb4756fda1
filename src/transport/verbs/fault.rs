//! Faults on demand, for tests of what happens then: what a failing device or a mad peer does.

use super::Verbs;
use super::link::Link;
use super::plan::{Operation, Part, Remote, Request};
use super::post::post;
use super::sent::{Held, Staged};
use crate::id::NodeId;
use crate::transport::ring::{Immediate, ImmediateKind};
use crate::wire::Target;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The queue pair goes to error.
    QueuePair,
    /// These bytes, at most 64, are sent as a message.
    Message(Vec<u8>),
    /// These bytes, at most 64, are written into a slot whose credit is held, and announced.
    Slot(Vec<u8>),
    /// A frame is announced with this generation, in a slot whose credit is held.
    Generation(u16),
    /// A byte is written behind the end of the peer's ring.
    Outside,
    /// A byte is written to this place of the peer, by this key.
    At {
        /// Address in the peer's memory.
        address: u64,
        /// Key of a region or window.
        key: u32,
    },
}

impl Verbs {
    /// Does what goes wrong on the link to `peer`. Nothing without a link that is connected.
    ///
    /// # Errors
    /// When the device refuses even that.
    pub fn inject(&mut self, peer: NodeId, fault: &Fault) -> std::io::Result<()> {
        let Some(link) = self.by_peer.get(&peer).and_then(|&index| self.links[index].as_mut()) else { return Ok(()) };
        if *fault == Fault::QueuePair {
            return link.pair.halt().map_err(std::io::Error::other);
        }
        let Some((operation, bytes)) = link.faulty(fault) else { return Ok(()) };
        let part = Part { address: bytes.as_ptr() as u64, bytes: bytes.len().min(64) as u32, key: 0 };
        let request = Request { operation, parts: [part].into_iter().collect(), is_inline: true, is_signaled: true };
        let first = link.sent.next();
        link.sent.keep(1, 0, Held::Buffers { _frame: None, _staged: Staged::new() });
        // SAFETY: the request is inline, and its bytes live to the end of the call.
        unsafe { post(&link.pair, first, &[request], &mut self.shared.counts) }
    }
}

impl Verbs {
    /// Address and key of the memory that `peer` offered for the answer that names this target.
    #[must_use]
    pub fn offered(&self, peer: NodeId, target: &Target) -> Option<(u64, u32)> {
        let link = self.by_peer.get(&peer).and_then(|&index| self.links[index].as_ref())?;
        link.asked_of(target).map(|asked| (asked.offer.address, asked.offer.key))
    }
}

impl Link {
    fn faulty<'a>(&mut self, fault: &'a Fault) -> Option<(Operation, &'a [u8])> {
        let remote = self.remote.as_mut()?;
        let end = usize::from(remote.slot_count) * remote.limits.slot_bytes;
        Some(match fault {
            Fault::QueuePair => return None,
            Fault::Message(bytes) => (Operation::Send, bytes),
            &Fault::At { address, key } => (Operation::Write(Remote { address, key }), &[0xa5]),
            Fault::Outside => (Operation::Write(remote.ring.after(end)), &[0]),
            Fault::Slot(bytes) => {
                let slot = remote.credits.take()?;
                let generation = remote.credits.generation();
                (announced(remote.ring, slot, generation, remote.limits.slot_bytes), bytes)
            }
            Fault::Generation(generation) => {
                let slot = remote.credits.take()?;
                (announced(remote.ring, slot, *generation, remote.limits.slot_bytes), &[])
            }
        })
    }
}

fn announced(ring: Remote, slot: u16, generation: u16, slot_bytes: usize) -> Operation {
    let immediate = Immediate { kind: ImmediateKind::Frame, slot, generation };
    Operation::WriteWithImmediate(ring.after(usize::from(slot) * slot_bytes), immediate.encode())
}
