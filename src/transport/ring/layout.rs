//! Where everything lies in the memory of one pair on one host.
//!
//! The memory has two halves, one for each direction: what the first end sends, and what the second
//! sends. A half has a page of counters, a queue of messages, and the receiver's slots. The counters
//! stand on lines of their own, two lines apart, because adapters and cores fetch lines in pairs.

use super::{SLOT_HEAD_BYTES, SLOTS_LENT_MAX};
use crate::limit;

/// Slots of one direction, all of them lent from the beginning.
pub(super) const SLOT_COUNT: u16 = SLOTS_LENT_MAX;
/// Messages of one direction: for each slot its frame, and for each slot of the other direction its credit.
pub(super) const MESSAGE_COUNT: u32 = 2 * SLOT_COUNT as u32;
/// Bytes of a message: envelope, header, and a small body.
pub(super) const MESSAGE_BYTES: usize = 1024;
/// A body of at most this many bytes travels in the message itself.
pub(super) const INLINE_BODY_BYTES: usize = MESSAGE_BYTES - SLOT_HEAD_BYTES;
/// Bytes of a slot: a whole segment, and what a filter or dependencies may add.
const SLOT_BYTES: usize = 260 << 10;
/// A larger body does not travel in the ring.
pub(in crate::transport) const SLOT_BODY_BYTES: usize = SLOT_BYTES - SLOT_HEAD_BYTES;

/// Sender's: how many messages it has put into the queue, counted on for ever.
const TAIL: usize = 0;
/// Receiver's: zero while it is awake; see `link`.
const SLEEP: usize = 128;
const QUEUE: usize = 4096;
const SLOTS: usize = QUEUE + MESSAGE_COUNT as usize * MESSAGE_BYTES;
const HALF_BYTES: usize = SLOTS + SLOT_COUNT as usize * SLOT_BYTES;
/// Bytes of the whole memory.
pub(in crate::transport) const MEMORY_BYTES: usize = 2 * HALF_BYTES;

const _: () = assert!(MESSAGE_COUNT.is_power_of_two() && HALF_BYTES.is_multiple_of(4096));
const _: () = assert!(SLOT_BODY_BYTES >= limit::SEGMENT_BYTES + limit::DEPENDENCIES * 32);

/// One direction, by the place of its half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    half: usize,
}

impl Direction {
    /// What the first end sends.
    pub(super) const FORTH: Direction = Direction { half: 0 };
    /// What the second end sends.
    pub(super) const BACK: Direction = Direction { half: HALF_BYTES };

    pub(super) fn tail(self) -> usize {
        self.half + TAIL
    }

    pub(super) fn sleep(self) -> usize {
        self.half + SLEEP
    }

    /// Place of the message of this number. Masked, so that no number leads outside.
    pub(super) fn message(self, number: u32) -> usize {
        self.half + QUEUE + (number & (MESSAGE_COUNT - 1)) as usize * MESSAGE_BYTES
    }

    /// Place of a slot, and its bytes.
    pub(super) fn slot(self, slot: u16) -> (usize, usize) {
        debug_assert!(slot < SLOT_COUNT);
        (self.half + SLOTS + usize::from(slot) * SLOT_BYTES, SLOT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_memory_do_not_overlap() {
        for direction in [Direction::FORTH, Direction::BACK] {
            let message = direction.message(MESSAGE_COUNT - 1);
            assert_eq!(direction.message(u32::MAX), message);
            assert!(direction.sleep() + 4 <= direction.message(0));
            let (first, _) = direction.slot(0);
            assert_eq!(message + MESSAGE_BYTES, first);
            let (last, bytes) = direction.slot(SLOT_COUNT - 1);
            assert_eq!(last + bytes, direction.half + HALF_BYTES);
        }
    }
}
