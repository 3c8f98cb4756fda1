//! What a clock does not record.

use crate::error::{Classify, ExitCode, Severity};
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;

/// A name that cannot be recorded; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Too far ahead of what the writer has settled.
    #[error(
        "{writer}: {timestamp} is more than {} ahead of the settled mark {settled}: wait for acknowledgements",
        limit::WINDOW_TIMESTAMPS
    )]
    Window {
        /// Who pushes.
        writer: WriterId,
        /// What it names.
        timestamp: Timestamp,
        /// Everything below is acknowledged everywhere.
        settled: u64,
    },
    /// Too many ranges with records of their own.
    #[error(
        "{writer}: {range} would be one of more than {} ranges cut out of the clock: wait for acknowledgements",
        limit::CLOCK_RANGES
    )]
    Ranges {
        /// Who pushes.
        writer: WriterId,
        /// What it claims.
        range: KeyRange,
    },
    /// Too many bytes of records.
    #[error(
        "{writer}: the record of {range} would take a table's clock past {bytes_max} bytes: wait for acknowledgements"
    )]
    Bytes {
        /// Who pushes.
        writer: WriterId,
        /// What it claims.
        range: KeyRange,
        /// The bound.
        bytes_max: usize,
    },
    /// A time too far ahead of the writer's open one.
    #[error(
        "{writer}: {time} is more than {} ahead of {open}, which it has not ended: wait for acknowledgements",
        limit::WINDOW_TIMESTAMPS
    )]
    Time {
        /// Who pushes, or ends the time.
        writer: WriterId,
        /// The time.
        time: Time,
        /// The first that the writer has not ended.
        open: Time,
    },
    /// The last number there is, which would leave the floor nowhere to go.
    #[error("{0}: timestamp {max} is reserved", max = u64::MAX)]
    Timestamp(WriterId),
}

impl Classify for ClockError {
    fn severity(&self) -> Severity {
        match self {
            ClockError::Window { .. }
            | ClockError::Ranges { .. }
            | ClockError::Bytes { .. }
            | ClockError::Time { .. } => Severity::Retryable,
            ClockError::Timestamp(_) => Severity::Fatal,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Limit
    }
}
