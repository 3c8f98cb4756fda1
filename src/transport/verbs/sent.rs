//! What was posted and is not known to be done: it keeps the memory that the device reads or writes.
//!
//! Requests of a queue pair are numbered from zero and end in order. A signaled completion of one says
//! that all before it are done too.

use super::plan::SEND_DEPTH;
use super::receive::Reading;
use super::resource::MemoryRegion;
use crate::memory::Block;
use crate::wire::TxFrame;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Blocks into which parts of one frame were copied.
pub(super) type Staged = SmallVec<[Block; 2]>;

/// What a request keeps until it is done.
#[derive(Debug)]
pub(super) enum Held {
    /// The buffers of a frame, if they are not kept elsewhere, and what was copied of it.
    Buffers { _frame: Option<Box<TxFrame>>, _staged: Staged },
    /// The block that READs fill.
    Read(Box<Reading>),
    /// The region of a window that is closed.
    Region(Arc<MemoryRegion>),
}

#[derive(Debug)]
struct Entry {
    /// Number of its last request.
    last: u64,
    bytes: usize,
    held: Held,
}

#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Requests planned or posted so far: number of the next one.
    next: u64,
    /// Requests that are done.
    done: u64,
    entries: VecDeque<Entry>,
    /// Bytes of frames that are on their way.
    bytes: usize,
}

impl Sent {
    /// Number of the next request.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Requests that the queue pair still takes.
    pub(super) fn room(&self) -> usize {
        SEND_DEPTH.saturating_sub((self.next - self.done) as usize)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps `held` until the `count` requests that come next are done.
    pub(super) fn keep(&mut self, count: usize, bytes: usize, held: Held) {
        self.next += count as u64;
        self.bytes += bytes;
        self.entries.push_back(Entry { last: self.next.wrapping_sub(1), bytes, held });
    }

    /// Request `number` is done, and all before it. Gives the reads among them to `read`. Returns whether a
    /// region was deregistered, for which somebody may wait.
    pub(super) fn retire(&mut self, number: u64, mut read: impl FnMut(Box<Reading>)) -> bool {
        self.done = self.done.max((number + 1).min(self.next));
        let mut is_one_gone = false;
        while self.entries.front().is_some_and(|entry| entry.last <= number)
            && let Some(entry) = self.entries.pop_front()
        {
            self.bytes -= entry.bytes;
            match entry.held {
                Held::Read(reading) => read(reading),
                Held::Region(region) => is_one_gone |= Arc::into_inner(region).is_some(),
                Held::Buffers { .. } => {}
            }
        }
        is_one_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::wire::{Header, Kind};

    fn frame(sent: &mut Sent, count: usize) {
        let frame = TxFrame::bare(Header::new(Kind::Push, NodeId::worker(0)));
        sent.keep(count, 100, Held::Buffers { _frame: Some(Box::new(frame)), _staged: Staged::new() });
    }

    #[test]
    fn a_completion_frees_every_frame_up_to_it_and_makes_room() {
        let mut sent = Sent::default();
        (0..4).for_each(|_| frame(&mut sent, 3));
        assert_eq!((sent.next(), sent.room(), sent.bytes()), (12, SEND_DEPTH - 12, 400));
        // The last request of the second frame.
        let _ = sent.retire(5, |_| unreachable!("nothing is read"));
        assert_eq!((sent.room(), sent.bytes()), (SEND_DEPTH - 6, 200));
        // In the middle of the third: its memory is still read.
        let _ = sent.retire(7, |_| unreachable!("nothing is read"));
        assert_eq!((sent.room(), sent.bytes()), (SEND_DEPTH - 4, 200));
        let _ = sent.retire(11, |_| unreachable!("nothing is read"));
        assert_eq!((sent.room(), sent.bytes()), (SEND_DEPTH, 0));
    }

    #[test]
    fn a_number_that_was_not_posted_makes_no_room() {
        let mut sent = Sent::default();
        frame(&mut sent, 2);
        let _ = sent.retire(70, |_| unreachable!("nothing is read"));
        assert_eq!((sent.next(), sent.room()), (2, SEND_DEPTH));
    }
}
