//! The partition table: which shard owns which key range, in one epoch.

use super::key_range::KeyRange;
use crate::id::{Epoch, NodeId};
use serde::{Deserialize, Serialize};

/// One entry: a range of ring positions, its owner and its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionEntry {
    /// Ring positions `[begin, end)`, to be scaled to a table's key space.
    pub positions: KeyRange,
    /// The shard that applies pushes and answers pulls.
    pub owner: NodeId,
    /// The rest of the chain, nearest first; empty with `--replicas 0`.
    pub replicas: Vec<NodeId>,
}

/// The partition of all tables in one epoch: entries ordered by position, without gaps, from 0 to
/// `u64::MAX`. A table's key space `[0, key_end)` is mapped onto the positions in proportion, so
/// that hashed features of 2^20 spread over all shards as well as 2^64 do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Version; every decision about ownership carries it.
    pub epoch: Epoch,
    /// The entries.
    pub entries: Vec<PartitionEntry>,
}

impl Partition {
    /// Whether the entries are in order, without gap, and cover everything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let begins = self.entries.iter().map(|entry| entry.positions.begin);
        let ends = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.positions.end));
        !self.entries.is_empty()
            && begins.eq(ends.take(self.entries.len()))
            && self.entries.iter().all(|entry| !entry.positions.is_empty())
            && self.entries.last().is_some_and(|entry| entry.positions.end == u64::MAX)
    }

    /// The entry's keys in a table with keys `[0, key_end)`; may be empty when there are more entries than keys.
    #[must_use]
    pub fn keys_of(&self, index: usize, key_end: u64) -> KeyRange {
        let positions = self.entries[index].positions;
        KeyRange::new(scale(positions.begin, key_end), scale(positions.end, key_end))
    }

    /// All entries with their keys in a table with keys `[0, key_end)`, in order.
    pub fn ranges(&self, key_end: u64) -> impl Iterator<Item = (KeyRange, &PartitionEntry)> {
        (0..self.entries.len()).map(move |index| (self.keys_of(index, key_end), &self.entries[index]))
    }

    /// The keys that `node` owns, in order.
    #[must_use]
    pub fn owned_by(&self, node: NodeId, key_end: u64) -> Vec<KeyRange> {
        let own = self.ranges(key_end).filter(|(range, entry)| entry.owner == node && !range.is_empty());
        own.map(|(range, _)| range).collect()
    }

    /// Whether `node` owns every key of `range`.
    #[must_use]
    pub fn owns(&self, node: NodeId, range: KeyRange, key_end: u64) -> bool {
        let foreign = |(keys, entry): (KeyRange, &PartitionEntry)| keys.overlaps(range) && entry.owner != node;
        range.end <= key_end && !self.ranges(key_end).any(foreign)
    }
}

/// `position / u64::MAX * key_end` in whole numbers.
fn scale(position: u64, key_end: u64) -> u64 {
    if key_end == u64::MAX {
        return position;
    }
    let product = u128::from(position) * u128::from(key_end) / u128::from(u64::MAX);
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::hash_ring::HashRing;
    use super::*;

    #[test]
    fn every_key_has_exactly_one_owner_whatever_the_key_space() {
        let shards: Vec<_> = (0..5).map(|rank| NodeId::server(rank, 0)).collect();
        let partition = HashRing::even(&shards).partition(Epoch(1), 0);
        assert!(partition.is_whole());
        for key_end in [1, 3, 1000, 1 << 20, u64::MAX] {
            let ranges: Vec<_> = partition.ranges(key_end).map(|(range, _)| range).collect();
            assert_eq!(ranges[0].begin, 0);
            assert_eq!(ranges[4].end, key_end);
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].begin));
        }
    }

    #[test]
    fn a_gap_is_noticed() {
        let shards = [NodeId::server(0, 0), NodeId::server(1, 0)];
        let mut partition = HashRing::even(&shards).partition(Epoch(1), 0);
        partition.entries[1].positions.begin += 1;
        assert!(!partition.is_whole());
    }
}
