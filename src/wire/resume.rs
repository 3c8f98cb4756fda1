//! Where the work of a writer goes on when another node takes it over.
//!
//! A writer's operations are named by their place in its work, so whoever does a unit again uses the same
//! names, and shards skip what they have. For that it must begin where the last finished unit ended.

use crate::id::{NodeId, Time, Timestamp};
use serde::{Deserialize, Serialize};

/// A writer's place behind its last finished unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Name of the next unit's first operation.
    pub timestamp: Timestamp,
    /// One a table, in the job's order; none before the first unit.
    pub tables: Vec<TableResume>,
    /// What the learning program must know; opaque here.
    pub notes: Vec<u8>,
}

/// A writer's place in one table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableResume {
    /// Its time.
    pub time: Time,
    /// Slices that the next mark counts, by shard.
    pub slices: Vec<(NodeId, u32)>,
    /// Whether it has said that it pushes no more.
    pub finished: bool,
}

impl Default for ResumePoint {
    /// The place of a writer that has finished nothing.
    fn default() -> ResumePoint {
        ResumePoint { timestamp: ResumePoint::FIRST, tables: Vec::new(), notes: Vec::new() }
    }
}

impl ResumePoint {
    /// Name of every writer's first operation.
    pub const FIRST: Timestamp = Timestamp(1);
}
