//! Which ways the frames of a pair may take, and which one they take.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which ways are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportChoice {
    /// The fastest that both ends have: memory on one host, verbs where both have a device, else TCP.
    #[default]
    Auto,
    /// Verbs, or an error.
    Verbs,
    /// Shared memory between processes of one host, or an error.
    Shm,
    /// TCP alone.
    Tcp,
}

/// The way that the data frames of a pair take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinkKind {
    /// The connection itself.
    Tcp,
    /// Private memory of one process.
    Local,
    /// Shared memory of one host.
    Shm,
    /// RDMA verbs.
    Verbs,
}

/// How many pairs of a node take which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkCounts([u32; LinkKind::ALL.len()]);

impl LinkCounts {
    /// Counts one pair more.
    pub(super) fn add(&mut self, kind: LinkKind) {
        self.0[kind as usize] += 1;
    }

    /// Kinds that are taken, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (LinkKind, u32)> {
        LinkKind::ALL.into_iter().zip(self.0).filter(|&(_, count)| count > 0)
    }

    /// These and others.
    #[must_use]
    pub fn plus(self, others: LinkCounts) -> LinkCounts {
        LinkCounts(std::array::from_fn(|kind| self.0[kind] + others.0[kind]))
    }
}

impl TransportChoice {
    /// Whether a link of this kind may be made.
    #[must_use]
    pub fn allows(self, kind: LinkKind) -> bool {
        self == TransportChoice::Auto || self.demands() == kind || kind == LinkKind::Tcp
    }

    /// The kind that the choice stands for; [`LinkKind::Tcp`] where it demands nothing.
    fn demands(self) -> LinkKind {
        match self {
            TransportChoice::Auto | TransportChoice::Tcp => LinkKind::Tcp,
            TransportChoice::Verbs => LinkKind::Verbs,
            TransportChoice::Shm => LinkKind::Shm,
        }
    }

    /// Whether a pair may go on with this kind.
    #[must_use]
    pub fn is_met_by(self, kind: LinkKind) -> bool {
        self == TransportChoice::Auto || self.demands() == kind
    }
}

impl fmt::Display for TransportChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransportChoice::Auto => "auto",
            TransportChoice::Verbs => "verbs",
            TransportChoice::Shm => "shm",
            TransportChoice::Tcp => "tcp",
        })
    }
}

impl LinkKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [LinkKind; 4] = [LinkKind::Tcp, LinkKind::Local, LinkKind::Shm, LinkKind::Verbs];

    /// Its name, as in logs and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LinkKind::Tcp => "tcp",
            LinkKind::Local => "local",
            LinkKind::Shm => "shm",
            LinkKind::Verbs => "verbs",
        }
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_choice_allows_its_kind_alone_and_is_not_met_by_tcp() {
        use {LinkKind as Kind, TransportChoice as Choice};
        assert!(Kind::ALL.into_iter().all(|kind| Choice::Auto.allows(kind) && Choice::Auto.is_met_by(kind)));
        for (choice, wanted) in [(Choice::Verbs, Kind::Verbs), (Choice::Shm, Kind::Shm), (Choice::Tcp, Kind::Tcp)] {
            for kind in Kind::ALL {
                assert_eq!(choice.is_met_by(kind), kind == wanted, "{choice} {kind}");
                assert_eq!(choice.allows(kind), kind == wanted || kind == Kind::Tcp, "{choice} {kind}");
            }
        }
    }
}
