//! What must be applied before a frame.

use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use smallvec::SmallVec;
use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a frame depends on; as many as most have are held in place.
pub type Dependencies = SmallVec<[Dependency; 2]>;

/// An operation of the same writer that must be applied first, on the keys of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Dependency {
    timestamp: U64,
    range_begin: U64,
    range_end: U64,
}

impl Dependency {
    /// `timestamp` must be applied on `range`.
    #[must_use]
    pub fn new(timestamp: Timestamp, range: KeyRange) -> Dependency {
        Dependency {
            timestamp: U64::new(timestamp.0),
            range_begin: U64::new(range.begin),
            range_end: U64::new(range.end),
        }
    }

    /// The operation.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.timestamp.get())
    }

    /// Where it must be applied.
    #[must_use]
    pub fn range(&self) -> KeyRange {
        KeyRange::new(self.range_begin.get(), self.range_end.get())
    }
}
