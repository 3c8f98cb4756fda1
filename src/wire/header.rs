//! What a frame says of itself: kind, names, range, lengths. How it lies on the wire is in `raw_header`.

use super::dependency::Dependency;
use super::dtype::DType;
use super::error::WireError;
use super::filter_flags::FilterFlags;
use crate::id::{Epoch, Generation, Incarnation, JobId, NodeId, TableId, Term, Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Values to aggregate.
    Push = 1,
    /// Question for values.
    Pull = 2,
    /// A writer has finished a time.
    EndOfTime = 3,
    /// Answer to a push.
    PushReply = 4,
    /// Answer to a pull.
    PullReply = 5,
    /// Answer to an end of time.
    EndOfTimeReply = 6,
    /// A [`super::ControlMessage`] in the value block.
    Control = 7,
    /// Between two fabrics, about a faster way for the pair's frames; no node sees it.
    Setup = 8,
    /// A function of the server to run on the rows of a range; a [`super::CallBody`] in the value block.
    Call = 9,
    /// Answer to a call, in the value block.
    CallReply = 10,
}

/// How a request ended; `Ok` in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Status {
    /// Done.
    #[default]
    Ok = 0,
    /// The range belongs to somebody else; `epoch` names the partition that says to whom.
    Moved = 1,
    /// The key list named by the digest is not known; send the keys.
    NeedKeys = 2,
    /// A limit is reached; try again later. Nothing was done.
    Busy = 3,
    /// Refused for good; the value block holds one line of text that says why.
    Error = 4,
}

/// Single-bit properties of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// The values belong to every key of the range in order; there is no key block.
    pub const DENSE: Flags = Flags(1);
    /// The writer will push no more (with [`Kind::EndOfTime`]).
    pub const FINISHED: Flags = Flags(2);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The header, decoded. Field by field as on the wire; see [`super::RawHeader`] for the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// How a request ended.
    pub status: Status,
    /// Single-bit properties.
    pub flags: Flags,
    /// Type of the numbers in the value block.
    pub dtype: DType,
    /// Numbers per key.
    pub width: u16,
    /// The job; frames of another job are refused.
    pub job: JobId,
    /// The job's generation.
    pub generation: Generation,
    /// Who sends.
    pub source: NodeId,
    /// Which start of the sender.
    pub incarnation: Incarnation,
    /// The scheduler's term as the sender knows it.
    pub term: Term,
    /// The partition's epoch as the sender knows it.
    pub epoch: Epoch,
    /// The table.
    pub table: TableId,
    /// Whose operation this is.
    pub writer: WriterId,
    /// Which operation of the writer.
    pub timestamp: Timestamp,
    /// Every operation of the writer below this one is acknowledged everywhere.
    pub settled: Timestamp,
    /// Push: the writer's time. Pull, call: the committed time that the answer must have reached. End of time: the time.
    pub time: Time,
    /// The key range that the frame claims or asks for.
    pub range: KeyRange,
    /// Number of keys (of the range, when dense).
    pub key_count: u32,
    /// End of time: number of slices of this time that were sent to this shard. Pull: the lower half of the number
    /// of the answer that the worker has of the key list, zero without one.
    pub slice_count: u32,
    /// Bytes of the key block, a multiple of eight.
    pub key_bytes: u32,
    /// Bytes of the value block.
    pub value_bytes: u32,
    /// Number of [`Dependency`] records in front of the key block.
    pub dependency_count: u16,
    /// Which filters were applied, one bit each.
    pub filter_flags: FilterFlags,
    /// Digest of the key list (key_cache), zero without one. Pull reply: see [`AnswerNumbers`].
    pub digest: u128,
}

/// How a shard that remembers its answers to pulls calls one of them. A shard numbers them anew at each start;
/// zero is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerNumbers {
    /// The answer's own number; zero when the shard does not remember it.
    pub own: u64,
    /// The answer with which the values have to be combined by exclusive or, bit by bit, so that zeros are what has
    /// not changed since. Zero when they are whole.
    pub base: u64,
}

impl Header {
    /// Of a pull reply.
    #[must_use]
    pub fn answer_numbers(&self) -> AnswerNumbers {
        AnswerNumbers { own: self.digest as u64, base: (self.digest >> 64) as u64 }
    }

    /// As [`answer_numbers`](Self::answer_numbers) reads them.
    pub fn set_answer_numbers(&mut self, numbers: AnswerNumbers) {
        self.digest = u128::from(numbers.base) << 64 | u128::from(numbers.own);
    }

    /// A header of this kind from this node, everything else zero.
    #[must_use]
    pub fn new(kind: Kind, source: NodeId) -> Header {
        Header {
            kind,
            status: Status::Ok,
            flags: Flags::default(),
            dtype: DType::F32,
            width: 1,
            job: JobId(0),
            generation: Generation(0),
            source,
            incarnation: Incarnation(0),
            term: Term(0),
            epoch: Epoch(0),
            table: TableId(0),
            writer: WriterId(0),
            timestamp: Timestamp(0),
            settled: Timestamp(0),
            time: Time(0),
            range: KeyRange::new(0, 0),
            key_count: 0,
            slice_count: 0,
            key_bytes: 0,
            value_bytes: 0,
            dependency_count: 0,
            filter_flags: FilterFlags::NONE,
            digest: 0,
        }
    }

    /// Bytes of one key's value.
    #[must_use]
    pub fn value_size(&self) -> usize {
        self.dtype.bytes() * usize::from(self.width)
    }

    /// Bytes of the body behind the header.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        usize::from(self.dependency_count) * std::mem::size_of::<Dependency>()
            + self.key_bytes as usize
            + self.value_bytes as usize
    }

    pub(super) fn check_lengths(&self) -> Result<(), WireError> {
        let length = |what, bytes: usize, limit: usize| {
            let (bytes, limit) = (bytes as u64, limit as u64);
            Err(WireError::Length { what, bytes, limit })
        };
        if usize::from(self.dependency_count) > limit::DEPENDENCIES {
            return length("dependency count", usize::from(self.dependency_count), limit::DEPENDENCIES);
        }
        if self.width == 0 || usize::from(self.width) > limit::WIDTH {
            return length("width", usize::from(self.width), limit::WIDTH);
        }
        if !self.key_bytes.is_multiple_of(8) {
            return length("key block", self.key_bytes as usize, self.key_bytes as usize / 8 * 8);
        }
        if self.body_bytes() > limit::FRAME_BODY_BYTES {
            return length("body", self.body_bytes(), limit::FRAME_BODY_BYTES);
        }
        Ok(())
    }
}
