//! What can be wrong with a filtered block, or with values that are to be filtered.

use crate::error::{Classify, ExitCode, Severity};
use crate::keyspace::KeyRange;
use crate::wire::FilterFlags;

/// A block that does not decode, or values that cannot be rounded. Nothing was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Bits without meaning, or that exclude each other.
    #[error("filter bits {:#x} have no meaning here", .0.0)]
    Flags(FilterFlags),
    /// A block of another length than its content says.
    #[error("{filter}: {found} bytes, expected {expected}")]
    Length {
        /// Which filter's block.
        filter: &'static str,
        /// Bytes that are there, or that the block claims.
        found: usize,
        /// Bytes that would be right, or the most that may be.
        expected: usize,
    },
    /// More keys or values than a frame may stand for.
    #[error("{what} of {bytes} bytes stands for more than a frame may hold: limit {limit}")]
    TooLarge {
        /// Key block or value block.
        what: &'static str,
        /// Bytes without filters.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Bytes that the filter would never write.
    #[error("{filter}: {reason}")]
    Damaged {
        /// Which filter's block.
        filter: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A key outside the frame's range.
    #[error("pack_keys: key {key} lies outside the frame's range {range}")]
    Keys {
        /// The key.
        key: u64,
        /// The frame's range.
        range: KeyRange,
    },
    /// A NaN or infinity among the values to push, or a sum with what was kept back that is one.
    #[error(
        "number {index} of the values is NaN or infinite, alone or with what rounding kept back: nothing was changed"
    )]
    NotFinite {
        /// Index of the first such number.
        index: usize,
    },
}

impl Classify for FilterError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            FilterError::TooLarge { .. } => ExitCode::Limit,
            _ => ExitCode::BadInput,
        }
    }
}
