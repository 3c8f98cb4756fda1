//! The ordered key space: ranges, maps over ranges, the hash ring of virtual servers, and the
//! partition table that says which shard owns which range in which epoch.

mod hash_ring;
mod key_range;
mod partition;
mod range_map;

pub use hash_ring::HashRing;
pub use key_range::KeyRange;
pub use partition::{Partition, PartitionEntry};
pub use range_map::RangeMap;
