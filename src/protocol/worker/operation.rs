//! What a worker keeps of an operation until it is answered.

use super::Request;
use crate::error::{Classify, ExitCode, Severity};
use crate::id::{Nanos, NodeId, TableId};
use crate::keyspace::KeyRange;
use crate::memory::{Block, TxBuf};
use crate::wire::{Header, Layout, TableSpec, TxFrame};

/// An operation that did not go through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The job has no such table.
    #[error("{0} is not a table of this job")]
    UnknownTable(TableId),
    /// The request's parts do not fit together or the table.
    #[error("table '{table}': {reason}")]
    Request {
        /// The table's name.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// A server refused it for good.
    #[error("{server}: {reason}")]
    Refused {
        /// Who.
        server: NodeId,
        /// The server's words.
        reason: String,
    },
}

impl Classify for OperationError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::BadInput
    }
}

impl Request {
    /// Checks shape and range against the table; returns the number of keys.
    pub(super) fn check(&self, spec: &TableSpec, values: Option<&TxBuf>) -> Result<usize, OperationError> {
        let refuse = |reason: String| Err(OperationError::Request { table: spec.name.clone(), reason });
        if self.range.is_empty() || self.range.end > spec.key_end {
            return refuse(format!("range {} is empty or exceeds the keys [0, {})", self.range, spec.key_end));
        }
        let key_count = match &self.keys {
            Some(keys) if !keys.len().is_multiple_of(8) => return refuse("a key block of broken keys".to_owned()),
            Some(keys) => {
                let keys = keys.typed::<u64>();
                if !keys.windows(2).all(|pair| pair[0] < pair[1]) {
                    return refuse("keys must be strictly ascending".to_owned());
                }
                if self.range.slice_of(keys) != (0..keys.len()) {
                    return refuse(format!("a key lies outside the range {}", self.range));
                }
                keys.len()
            }
            None if spec.layout == Layout::Sparse => return refuse("the table is sparse: name the keys".to_owned()),
            None => usize::try_from(self.range.span()).unwrap_or(usize::MAX),
        };
        let value_bytes = key_count.saturating_mul(spec.value_size());
        match values {
            Some(values) if values.len() != value_bytes => {
                refuse(format!("{} value bytes for {key_count} keys, expected {value_bytes}", values.len()))
            }
            // Checked here and not only by the shards, so that no slice of a bad push is applied.
            Some(values) => match spec.dtype.first_beyond(spec.push_max(), values) {
                Some(index) => refuse(format!(
                    "number {index} of the values is NaN, infinite or beyond {:e}: nothing was sent",
                    spec.push_max()
                )),
                None => Ok(key_count),
            },
            None => Ok(key_count),
        }
    }
}

/// One part of an operation, for one shard.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) to: NodeId,
    pub(super) header: Header,
    pub(super) keys: Option<TxBuf>,
    pub(super) values: Option<TxBuf>,
    /// Pull: where the answer's first byte goes in the target.
    pub(super) target_offset: usize,
    pub(super) state: SegmentState,
}

/// How far a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentState {
    /// Waits for a connection.
    Unsent,
    /// On its way since then.
    Sent(Nanos),
    /// Refused for now; goes out again at that time.
    Backoff(Nanos),
    /// The range has moved; waits for the partition of a later epoch.
    Moved,
    /// Answered.
    Done,
}

/// A push, pull or end of time that is under way.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) request_range: KeyRange,
    pub(super) segments: Vec<Segment>,
    pub(super) open_count: usize,
    pub(super) after: Vec<(crate::id::Timestamp, KeyRange)>,
    pub(super) target: Option<Block>,
    pub(super) source_bytes: usize,
    pub(super) error: Option<OperationError>,
    pub(super) abandoned: bool,
}

impl Operation {
    pub(super) fn is_done(&self) -> bool {
        self.open_count == 0
    }

    pub(super) fn outcome(self) -> Result<(), OperationError> {
        self.error.map_or(Ok(()), Err)
    }

    pub(super) fn into_pulled(self) -> Result<Block, OperationError> {
        match (self.error, self.target) {
            (Some(error), _) => Err(error),
            (None, Some(target)) => Ok(target),
            // Invariant: only a pull hands out a name to take values by, and a pull has a target.
            (None, None) => panic!("only a pull has values to take"),
        }
    }

    /// The frame of one segment, with the dependencies that concern its range.
    pub(super) fn frame(&self, index: usize) -> TxFrame {
        let segment = &self.segments[index];
        let dependencies: Vec<_> = self
            .after
            .iter()
            .map(|&(timestamp, range)| (timestamp, range.intersection(segment.header.range)))
            .filter(|(_, range)| !range.is_empty())
            .map(|(timestamp, range)| crate::wire::Dependency::new(timestamp, range))
            .collect();
        let mut header = segment.header;
        header.dependency_count = u16::try_from(dependencies.len()).unwrap_or(u16::MAX);
        TxFrame { header, dependencies, keys: segment.keys.clone(), values: segment.values.clone() }
    }
}
