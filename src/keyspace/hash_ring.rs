//! The hash ring of virtual servers (OSDI 2014, section 4.3).
//!
//! A virtual server is a point on the ring; it owns the positions from its point to the next one.
//! Points are drawn by the server manager and journaled, not recomputed, so that the first shards
//! can stand at even distances: with hashed keys each then holds the same share of the model.

use super::key_range::KeyRange;
use super::partition::{Partition, PartitionEntry};
use crate::id::{Epoch, NodeId};

/// Virtual servers by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashRing {
    points: Vec<(u64, NodeId)>,
}

impl HashRing {
    /// A ring with one virtual server per shard, at even distances, in the shards' order.
    #[must_use]
    pub fn even(shards: &[NodeId]) -> HashRing {
        let count = shards.len() as u128;
        let point = |index: usize| {
            let position = index as u128 * u128::from(u64::MAX) / count;
            u64::try_from(position).unwrap_or(u64::MAX)
        };
        HashRing { points: shards.iter().enumerate().map(|(index, &shard)| (point(index), shard)).collect() }
    }

    /// The partition that this ring means: each virtual server's positions, with the next
    /// `replicas` different shards along the ring as its chain.
    #[must_use]
    pub fn partition(&self, epoch: Epoch, replicas: usize) -> Partition {
        let ends = self.points.iter().skip(1).map(|&(point, _)| point).chain(std::iter::once(u64::MAX));
        let entry = |(index, (&(begin, owner), end))| PartitionEntry {
            positions: KeyRange::new(begin, end),
            owner,
            replicas: self.successors(index, replicas),
        };
        Partition { epoch, entries: self.points.iter().zip(ends).enumerate().map(entry).collect() }
    }

    /// The next `count` shards behind the point at `index` that are not its own, each once.
    fn successors(&self, index: usize, count: usize) -> Vec<NodeId> {
        let owner = self.points[index].1;
        let mut found = Vec::with_capacity(count);
        for offset in 1..self.points.len() {
            let shard = self.points[(index + offset) % self.points.len()].1;
            if found.len() < count && shard != owner && !found.contains(&shard) {
                found.push(shard);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_shards_own_even_shares() {
        let shards: Vec<_> = (0..7).map(|rank| NodeId::server(rank, 0)).collect();
        let partition = HashRing::even(&shards).partition(Epoch(1), 2);
        let spans: Vec<_> = partition.entries.iter().map(|entry| entry.positions.span()).collect();
        let largest = *spans.iter().max().expect("seven shards");
        assert!(largest - spans.iter().min().expect("seven shards") <= 1, "{spans:?}");
        assert_eq!(partition.entries[6].replicas, vec![shards[0], shards[1]]);
    }
}
