//! What a worker keeps of an operation until it is answered.

use super::Request;
use super::depend::HeldFor;
use super::keys::Keys;
use super::operations::Outcome;
use super::pulled::PulledAnswer;
use super::target::Target;
use crate::error::{Classify, ExitCode, Severity};
use crate::id::{Nanos, NodeId, TableId, Timestamp};
use crate::keyspace::KeyRange;
use crate::memory::{Block, Landing, Pool, TxBuf};
use crate::store;
use crate::wire::{Dependencies, Dependency, Header, Layout, TableSpec};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

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

impl Request<'_> {
    /// Checks shape and range against the table; returns the number of keys.
    pub(super) fn check(&self, spec: &TableSpec, values: Option<&TxBuf>) -> Result<usize, OperationError> {
        let refuse = |reason: String| Err(OperationError::Request { table: spec.name.clone(), reason });
        if self.range.is_empty() || self.range.end > spec.key_end {
            return refuse(format!("range {} is empty or exceeds the keys [0, {})", self.range, spec.key_end));
        }
        let key_count = match &self.keys {
            Some(keys) => self.check_keys(keys).or_else(refuse)?,
            None if spec.layout == Layout::Sparse => return refuse("the table is sparse: name the keys".to_owned()),
            None => usize::try_from(self.range.span()).unwrap_or(usize::MAX),
        };
        let value_bytes = key_count.saturating_mul(spec.value_size());
        match values {
            Some(values) if values.len() != value_bytes => {
                refuse(format!("{} value bytes for {key_count} keys, expected {value_bytes}", values.len()))
            }
            // Checked here and not only by the shards, so that no slice of a bad push is applied.
            Some(values) => match store::first_beyond(spec, values) {
                Some(index) => refuse(format!(
                    "number {index} of the values is NaN, infinite or beyond {:e}: nothing was sent",
                    spec.push_max()
                )),
                None => Ok(key_count),
            },
            None => Ok(key_count),
        }
    }

    fn check_keys(&self, keys: &Keys) -> Result<usize, String> {
        if !keys.buffer().len().is_multiple_of(8) {
            return Err("a key block of broken keys".to_owned());
        }
        let is_checked = keys.is_checked();
        let keys = keys.buffer().typed::<u64>();
        if !is_checked && !store::strictly_ascending(keys) {
            return Err("keys must be strictly ascending".to_owned());
        }
        if self.range.slice_of(keys) != (0..keys.len()) {
            return Err(format!("a key lies outside the range {}", self.range));
        }
        Ok(keys.len())
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
    /// How often it went out.
    pub(super) sendings: u32,
    /// Whether it went out last with the digest of its keys alone.
    pub(super) keys_omitted: bool,
    /// Pull: the answer that it named when it went out first.
    pub(super) before: Option<PulledAnswer>,
}

impl Segment {
    /// A segment that is a header alone.
    pub(super) fn new(to: NodeId, header: Header) -> Segment {
        let state = SegmentState::Unsent;
        Segment {
            to,
            header,
            keys: None,
            values: None,
            target_offset: 0,
            state,
            sendings: 0,
            keys_omitted: false,
            before: None,
        }
    }
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

/// Operations to be applied first, with the ranges that they claim; as many as most have are held in place.
pub(super) type After = SmallVec<[(Timestamp, KeyRange); 2]>;

/// A push, pull, call or end of time that is under way.
#[derive(Debug, Default)]
pub(super) struct Operation {
    pub(super) request_range: KeyRange,
    pub(super) segments: Vec<Segment>,
    pub(super) open_count: usize,
    /// The segment whose answer is looked for first.
    pub(super) next_answer: usize,
    /// Whether it is a push, call or mark that some shard has not acknowledged.
    pub(super) unacknowledged: bool,
    pub(super) after: After,
    /// As long as there is one, nothing is sent.
    pub(super) held_for: HeldFor,
    /// Pull: bytes of all values, and where they are, once some have come.
    pub(super) target_bytes: usize,
    pub(super) target: Target,
    /// Whether the target is memory of the program, which wants it back.
    pub(super) is_given: bool,
    /// Pull: whether it may see no push of its own time.
    pub(super) is_exact: bool,
    /// Whether the answers come as they are, so that they may land.
    pub(super) lands: bool,
    /// Call: what each shard has answered, by its range.
    pub(super) answers: BTreeMap<KeyRange, Vec<u8>>,
    pub(super) source_bytes: usize,
    pub(super) error: Option<OperationError>,
    pub(super) abandoned: bool,
}

impl Operation {
    /// The operation, of these parts. `acknowledged`: no pull.
    pub(super) fn of(self, request_range: KeyRange, segments: Vec<Segment>, acknowledged: bool) -> Operation {
        let bytes = |part: &Option<TxBuf>| part.as_ref().map_or(0, |part| part.len());
        let source = segments.iter().map(|segment| bytes(&segment.keys) + bytes(&segment.values));
        let (source_bytes, open_count) = (if acknowledged { source.sum() } else { 0 }, segments.len());
        let unacknowledged = acknowledged && open_count > 0;
        Operation { request_range, segments, open_count, source_bytes, unacknowledged, ..self }
    }

    pub(super) fn is_done(&self) -> bool {
        self.open_count == 0
    }

    /// Whether the program may have the outcome: memory that it gave only when nobody writes there any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_done() && !(self.is_given && self.target.is_given_away())
    }

    /// Where the answer to one segment may land: only at its first sending. Of one that goes out again
    /// two answers may come, and the later one must not land in what was read.
    pub(super) fn landing_of(&self, index: usize) -> Option<Landing> {
        let segment = &self.segments[index];
        let bytes = segment.header.key_count as usize * segment.header.value_size();
        let part = segment.target_offset..segment.target_offset + bytes;
        if !self.lands || part.is_empty() || segment.sendings > 1 { None } else { self.target.landing(part) }
    }

    /// The dependencies that concern the range of one segment.
    pub(super) fn dependencies_of(&self, index: usize) -> Dependencies {
        let own = self.segments[index].header.range;
        let parts = self.after.iter().map(|&(timestamp, range)| (timestamp, range.intersection(own)));
        let parts = parts.filter(|(_, range)| !range.is_empty());
        parts.map(|(timestamp, range)| Dependency::new(timestamp, range)).collect()
    }
}

impl Outcome {
    /// Whether somebody may still write the memory of its values.
    pub(super) fn is_given_away(&self) -> bool {
        self.target.is_given_away()
    }

    pub(super) fn pushed(self) -> Result<(), OperationError> {
        self.error.map_or(Ok(()), Err)
    }

    /// The answers to a call, in the order of keys.
    pub(super) fn called(self) -> Result<Vec<Vec<u8>>, OperationError> {
        let answers = self.answers;
        self.error.map_or_else(|| Ok(answers.into_values().collect()), Err)
    }

    /// The values; a pull of no bytes has got none.
    pub(super) fn pulled(self, pool: &Arc<Pool>) -> Result<Block, OperationError> {
        match self.error {
            Some(error) => Err(error),
            None => {
                let values = if self.is_given { self.target.into_given() } else { self.target.into_block() };
                Ok(values.unwrap_or_else(|| pool.block(0)))
            }
        }
    }
}
