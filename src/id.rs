//! Typed ids: every number that names something has its own type, so that a writer is never
//! passed where a table is meant.
//!
//! The wire carries them as fixed-width little-endian integers; see [`crate::wire`].

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty), $label:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($label, " {}"), self.0)
            }
        }
    };
}

/// One job; drawn at random by whoever launches it, so that nodes of an earlier job are refused.
/// Written in hexadecimal, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {:x}", self.0)
    }
}

id!(
    /// Counts the job's restores from a checkpoint.
    Generation(u32), "generation"
);
id!(
    /// Counts the schedulers that ruled the job.
    Term(u32), "term"
);
id!(
    /// Version of the partition table.
    Epoch(u32), "epoch"
);
id!(
    /// One start of one process or thread; drawn at random, so that a restarted node is told from a reconnected one.
    Incarnation(u64), "incarnation"
);
id!(
    /// One table of the model.
    TableId(u16), "table"
);
id!(
    /// A logical slot of the job that pushes; not a process.
    WriterId(u32), "writer"
);
id!(
    /// Names one operation of one writer. Never used to measure staleness.
    Timestamp(u64), "timestamp"
);
id!(
    /// A writer's iteration, advanced by `tick`; staleness is counted in it.
    Time(u32), "time"
);

impl Time {
    /// The time of a writer that will push no more: it holds nobody back.
    pub const FINISHED: Time = Time(u32::MAX);
}

/// Nanoseconds since an arbitrary start. The sans-io core gets it as an argument and never reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The moment `duration` after this one; saturates.
    #[must_use]
    pub fn after(self, duration: std::time::Duration) -> Nanos {
        Nanos(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Nanos) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// What a node does in the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Membership, partition and workloads.
    Scheduler,
    /// Owns key ranges.
    Server,
    /// Pushes and pulls.
    Worker,
}

/// One protocol state machine of the job: the scheduler, one shard of one server, or one worker.
///
/// Packed into 32 bits: role in the top two, rank in the next 22, shard in the low eight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The only scheduler.
    pub const SCHEDULER: NodeId = NodeId(0);

    /// Shard `shard` of server `rank`. Ranks beyond 22 bits are cut.
    #[must_use]
    pub const fn server(rank: u32, shard: u8) -> NodeId {
        NodeId(1 << 30 | (rank & 0x3f_ffff) << 8 | shard as u32)
    }

    /// Worker `rank`. Ranks beyond 22 bits are cut.
    #[must_use]
    pub const fn worker(rank: u32) -> NodeId {
        NodeId(2 << 30 | (rank & 0x3f_ffff) << 8)
    }

    /// The role, or `None` for an id that nobody can have.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self.0 >> 30 {
            0 if self.0 == 0 => Some(Role::Scheduler),
            1 => Some(Role::Server),
            2 if self.shard() == 0 => Some(Role::Worker),
            _ => None,
        }
    }

    /// The rank among the nodes of the same role.
    #[must_use]
    pub const fn rank(self) -> u32 {
        self.0 >> 8 & 0x3f_ffff
    }

    /// The shard inside a server; zero for other roles.
    #[must_use]
    pub const fn shard(self) -> u8 {
        (self.0 & 0xff) as u8
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role() {
            Some(Role::Scheduler) => f.write_str("scheduler"),
            Some(Role::Server) => write!(f, "server {} shard {}", self.rank(), self.shard()),
            Some(Role::Worker) => write!(f, "worker {}", self.rank()),
            None => write!(f, "node {:#x}", self.0),
        }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_names_role_rank_and_shard() {
        let shard = NodeId::server(7, 3);
        assert_eq!((shard.role(), shard.rank(), shard.shard()), (Some(Role::Server), 7, 3));
        assert_eq!(shard.to_string(), "server 7 shard 3");
        assert_eq!(NodeId::worker(2).to_string(), "worker 2");
        assert_eq!(NodeId::SCHEDULER.role(), Some(Role::Scheduler));
        assert_eq!(NodeId(5).role(), None);
    }
}
