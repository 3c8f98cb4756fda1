//! Frames on their way into a ring: small ones overtake bulk, and bulk still moves.

use crate::id::Timestamp;
use crate::limit;
use crate::wire::TxFrame;
use std::collections::VecDeque;

/// Frames with a body of at most this many bytes overtake larger ones.
const SMALL_BODY_BYTES: usize = 4096;
/// Of so many frames in a row one is bulk, if there is any.
const SMALL_IN_A_ROW_MAX: u32 = 7;

#[derive(Debug, Default)]
pub(in crate::transport) struct Outbox {
    small: VecDeque<TxFrame>,
    bulk: VecDeque<TxFrame>,
    queued_bytes: usize,
    small_in_a_row: u32,
}

impl Outbox {
    /// Takes frames from the front as long as there is room.
    pub(in crate::transport) fn take(&mut self, frames: &mut Vec<TxFrame>) {
        let mut room = limit::SEND_QUEUE_BYTES.saturating_sub(self.queued_bytes);
        let fitting = frames.iter().take_while(|frame| {
            let fits = room > 0;
            room = room.saturating_sub(frame.bytes());
            fits
        });
        let count = fitting.count();
        frames.drain(..count).for_each(|frame| self.push(frame));
    }

    /// Whether there is room for another frame.
    pub(in crate::transport) fn has_room(&self) -> bool {
        self.queued_bytes < limit::SEND_QUEUE_BYTES
    }

    /// Takes one frame.
    pub(in crate::transport) fn push(&mut self, frame: TxFrame) {
        self.queued_bytes += frame.bytes();
        let is_small = frame.header.body_bytes() <= SMALL_BODY_BYTES;
        if is_small { self.small.push_back(frame) } else { self.bulk.push_back(frame) }
    }

    /// Takes the landings of questions of this time back.
    pub(in crate::transport) fn withdraw(&mut self, timestamp: Timestamp) {
        let all = self.small.iter_mut().chain(&mut self.bulk);
        all.filter(|frame| frame.header.timestamp == timestamp).for_each(|frame| frame.landing = None);
    }

    pub(in crate::transport) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// How many frames wait.
    pub(in crate::transport) fn count(&self) -> usize {
        self.small.len() + self.bulk.len()
    }

    /// The frame that goes next.
    pub(in crate::transport) fn next(&mut self) -> Option<TxFrame> {
        let bulk_is_due = self.small_in_a_row >= SMALL_IN_A_ROW_MAX && !self.bulk.is_empty();
        let small = if bulk_is_due { None } else { self.small.pop_front() };
        self.small_in_a_row = if small.is_some() { self.small_in_a_row + 1 } else { 0 };
        let frame = small.or_else(|| self.bulk.pop_front())?;
        self.queued_bytes -= frame.bytes();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::wire::{Header, Kind};

    fn frame(number: u64, bytes: u32) -> TxFrame {
        let header =
            Header { value_bytes: bytes, timestamp: Timestamp(number), ..Header::new(Kind::Push, NodeId::worker(0)) };
        TxFrame::bare(header)
    }

    #[test]
    fn small_frames_overtake_bulk_and_bulk_still_moves() {
        let mut outbox = Outbox::default();
        let mut frames: Vec<TxFrame> = (0..3).map(|number| frame(number, 100_000)).collect();
        frames.extend((3..20).map(|number| frame(number, 10)));
        outbox.take(&mut frames);
        let order: Vec<u64> = std::iter::from_fn(|| outbox.next()).map(|frame| frame.header.timestamp.0).collect();
        assert_eq!(order[..9], [3, 4, 5, 6, 7, 8, 9, 0, 10]);
        assert_eq!((order.len(), outbox.queued_bytes()), (20, 0));
    }

    #[test]
    fn a_full_outbox_takes_no_more() {
        let mut outbox = Outbox::default();
        let mut frames: Vec<TxFrame> = (0..70).map(|number| frame(number, 1 << 20)).collect();
        outbox.take(&mut frames);
        assert!((1..10).contains(&frames.len()), "{} left", frames.len());
        assert_eq!(frames[frames.len() - 1].header.timestamp.0, 69);
    }
}
