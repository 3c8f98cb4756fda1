//! Half-open key ranges.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A half-open key range `[begin, end)`; the unit of push, pull, clock, ownership and transfer.
/// `u64::MAX` is no key, so `[0, u64::MAX)` is everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct KeyRange {
    /// First key inside.
    pub begin: u64,
    /// First key behind.
    pub end: u64,
}

impl KeyRange {
    /// Every key there is.
    pub const ALL: KeyRange = KeyRange { begin: 0, end: u64::MAX };

    /// `[begin, end)`; empty when `end <= begin`.
    #[must_use]
    pub const fn new(begin: u64, end: u64) -> KeyRange {
        KeyRange { begin, end }
    }

    /// Whether no key lies inside.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.begin >= self.end
    }

    /// Number of keys that could lie inside.
    #[must_use]
    pub const fn span(self) -> u64 {
        self.end.saturating_sub(self.begin)
    }

    /// Whether `key` lies inside.
    #[must_use]
    pub const fn contains(self, key: u64) -> bool {
        self.begin <= key && key < self.end
    }

    /// Whether every key of `other` lies inside; true for an empty `other`.
    #[must_use]
    pub fn covers(self, other: KeyRange) -> bool {
        other.is_empty() || self.begin <= other.begin && other.end <= self.end
    }

    /// The keys that lie in both.
    #[must_use]
    pub fn intersection(self, other: KeyRange) -> KeyRange {
        KeyRange { begin: self.begin.max(other.begin), end: self.end.min(other.end) }
    }

    /// Whether some key lies in both.
    #[must_use]
    pub fn overlaps(self, other: KeyRange) -> bool {
        !self.intersection(other).is_empty()
    }

    /// The indexes of an ordered key array that lie inside.
    #[must_use]
    pub fn slice_of(self, keys: &[u64]) -> Range<usize> {
        let begin = keys.partition_point(|&key| key < self.begin);
        let count = keys[begin..].partition_point(|&key| key < self.end);
        begin..begin + count
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.begin, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_selects_its_slice_of_an_ordered_key_array() {
        let keys = [2, 4, 4 + 5, 20];
        assert_eq!(KeyRange::new(4, 20).slice_of(&keys), 1..3);
        assert_eq!(KeyRange::new(0, 2).slice_of(&keys), 0..0);
        assert_eq!(KeyRange::ALL.slice_of(&keys), 0..4);
    }

    #[test]
    fn an_empty_intersection_does_not_overlap() {
        assert!(!KeyRange::new(0, 5).overlaps(KeyRange::new(5, 9)));
        assert!(KeyRange::new(0, 5).covers(KeyRange::new(3, 3)));
    }
}
