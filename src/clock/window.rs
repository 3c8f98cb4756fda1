//! The timestamps of one writer that one key range has seen.

use smallvec::SmallVec;

/// Timestamps that a window holds in place: more operations under way than most writers have.
const ABOVE_COUNT: usize = 8;

/// All timestamps below `floor`, and those in `above`. The same set has one form only: the floor is
/// raised as far as the set has no hole, so equal sets compare equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Window {
    floor: u64,
    /// Ascending, all greater than `floor`. Ranges split and merge with every push, so this must
    /// be cloned without an allocation.
    above: SmallVec<[u64; ABOVE_COUNT]>,
}

impl Window {
    /// Whether the timestamp was recorded.
    pub(super) fn has(&self, timestamp: u64) -> bool {
        timestamp < self.floor || self.above.binary_search(&timestamp).is_ok()
    }

    /// Records the timestamp; false when it was recorded before.
    pub(super) fn record(&mut self, timestamp: u64) -> bool {
        if timestamp < self.floor {
            return false;
        }
        match self.above.binary_search(&timestamp) {
            Ok(_) => return false,
            Err(_) if timestamp == self.floor => self.floor += 1,
            Err(place) => self.above.insert(place, timestamp),
        }
        self.close_holes();
        true
    }

    /// Records everything below `settled`.
    pub(super) fn settle(&mut self, settled: u64) {
        if settled > self.floor {
            self.floor = settled;
            let below = self.above.partition_point(|&timestamp| timestamp < settled);
            self.above.drain(..below);
            self.close_holes();
        }
    }

    /// Bytes that the window holds elsewhere.
    pub(super) fn heap_bytes(&self) -> usize {
        if self.above.spilled() { self.above.capacity() * size_of::<u64>() } else { 0 }
    }

    fn close_holes(&mut self) {
        let joined = self.above.iter().zip(self.floor..).take_while(|(timestamp, next)| *timestamp == next).count();
        self.floor += joined as u64;
        self.above.drain(..joined);
    }
}
