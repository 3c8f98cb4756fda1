//! Control messages: small, rare, encoded with postcard in the value block of a control frame.
//!
//! Everything here may be lost with a connection and is sent again: requests and tasks carry a
//! sequence number, and whoever answers remembers its last answer per peer, so that a repeated
//! question gets the same answer and does nothing twice.

use super::error::WireError;
use super::frame::{RxFrame, TxFrame};
use super::header::{Header, Kind};
use super::resume::ResumePoint;
use super::table_spec::TableSpec;
use crate::id::{NodeId, TableId, Time, WriterId};
use crate::keyspace::{KeyRange, Partition};
use crate::memory::TxBuf;
use serde::{Deserialize, Serialize};

/// A node as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Who.
    pub node: NodeId,
    /// Where it listens; empty for workers, which nobody calls.
    pub address: String,
    /// Its host, as `--host-id` or the machine names it.
    pub host: String,
}

/// What every node of the job must know; the same for all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobConfig {
    /// The tables of the model.
    pub tables: Vec<TableSpec>,
    /// Number of writers, that is of worker slots.
    pub writers: u32,
    /// What the learning program wants its workers to know; opaque here.
    pub program: Vec<u8>,
    /// Whether the work of a worker that is lost is done by others, and the job goes on.
    pub survives_worker_loss: bool,
}

/// A piece of work for one worker; what is in it is the learning program's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Names the unit within the job.
    pub id: u64,
    /// Opaque here.
    pub payload: Vec<u8>,
}

/// The scheduler's answer to a worker that asks for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assignment {
    /// Do this.
    Unit(Unit),
    /// Nothing is left: say goodbye.
    Finished,
}

/// Something that the scheduler asks of one shard. Carried out in `node`, where files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Count what a model file would hold of each owned range.
    Count {
        /// Also the update state, so that training can go on where it stopped.
        with_state: bool,
    },
    /// Write the owned ranges of all tables into a file that the scheduler has laid out.
    Save(SaveTask),
    /// Answer with a part of an array, for a scheduler that shares no directory.
    Stream {
        /// As in `Count`.
        with_state: bool,
        /// Index of the section, in `Count`'s order.
        section: u32,
        /// Keys, values or state: 0, 1 or 2.
        array: u8,
        /// First byte to send.
        offset: u64,
        /// Most bytes to send.
        bytes: u32,
    },
    /// Take the owned part of a model file.
    Load {
        /// Where the scheduler sees it.
        path: String,
        /// Checksum of the file's header: proof that it is the same file.
        header_crc32: u32,
    },
    /// Take rows of a model file that this shard does not see.
    LoadRows(ModelRows),
}

/// Rows of a model file, all owned by one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRows {
    /// Index of the table in [`JobConfig::tables`].
    pub table: u16,
    /// The keys, ascending.
    pub keys: Vec<u64>,
    /// The values' bytes, in key order.
    pub values: Vec<u8>,
    /// The state's bytes, in key order, where the file has any.
    pub state: Option<Vec<u8>>,
}

/// Where one shard writes its sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveTask {
    /// The temporary file that the scheduler has made.
    pub path: String,
    /// Bytes that stand at the file's start: proof that it is the same file.
    pub nonce: u64,
    /// As in `Count`.
    pub with_state: bool,
    /// File offsets of keys, values and state of each owned section, in `Count`'s order.
    pub offsets: Vec<[u64; 3]>,
}

/// What one owned range of one table holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionInfo {
    /// Index of the table in [`JobConfig::tables`].
    pub table: u16,
    /// The range.
    pub range: KeyRange,
    /// Keys that a model file would hold.
    pub key_count: u64,
    /// Keys whose value is not zero.
    pub nonzero_count: u64,
    /// Checksums of keys, values and state; zero before they were written.
    pub crc32: [u32; 3],
}

/// A shard's answer to a [`Task`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskReply {
    /// After `Count` and `Save`.
    Sections(Vec<SectionInfo>),
    /// After `Save` and `Load`: the shard does not see the scheduler's file.
    NotShared,
    /// After `Stream`: part of a section's bytes.
    Part(Vec<u8>),
    /// After `Load` and `LoadRows`.
    Loaded {
        /// Keys taken.
        key_count: u64,
    },
    /// The task failed; one line says why.
    Failed {
        /// Exit code for the job.
        exit_code: u8,
        /// What, where, what to do.
        message: String,
    },
}

/// Why the job ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shutdown {
    /// The exit code that every node ends with; zero when all is done.
    pub exit_code: u8,
    /// One line; empty when all is done.
    pub message: String,
}

/// All control messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ControlMessage {
    /// Node to scheduler, first of all and again until welcomed.
    Register(NodeInfo),
    /// Scheduler to node: the job has all its nodes, begin.
    Welcome {
        /// The job.
        config: JobConfig,
        /// Who owns what.
        partition: Partition,
        /// Every shard of the job.
        servers: Vec<NodeInfo>,
        /// To a worker: where its writer's work goes on.
        resume: ResumePoint,
    },
    /// Node to scheduler and back: still here.
    Heartbeat,
    /// Worker to scheduler: give me a unit of work.
    NextUnit {
        /// Counts this worker's questions.
        sequence: u64,
    },
    /// Worker to scheduler: a unit is done, and every push of it acknowledged; or an account of a part of it.
    UnitDone {
        /// Counts this worker's accounts.
        sequence: u64,
        /// The unit.
        unit: u64,
        /// The learning program's account of it.
        report: Vec<u8>,
        /// Where the writer's work goes on; none where other parts of the account follow.
        resume: Option<ResumePoint>,
    },
    /// Scheduler to worker: the account was heard.
    UnitDoneHeard {
        /// The account's.
        sequence: u64,
    },
    /// Scheduler to worker: answer to `NextUnit`.
    Assigned {
        /// The question's.
        sequence: u64,
        /// What to do.
        assignment: Assignment,
    },
    /// Worker to scheduler: the learning program's latest figures. May be lost.
    Progress {
        /// Opaque here.
        report: Vec<u8>,
    },
    /// Scheduler to shard.
    Task {
        /// Counts this shard's tasks.
        sequence: u64,
        /// What to do.
        task: Task,
    },
    /// Shard to scheduler: answer to `Task`.
    TaskDone {
        /// The task's.
        sequence: u64,
        /// How it went.
        reply: TaskReply,
    },
    /// Node to scheduler: this node cannot go on, and why.
    Failed(Shutdown),
    /// Scheduler to node: the job ends.
    Shutdown(Shutdown),
    /// Node to scheduler: heard of the end, leaving.
    Goodbye,
    /// Scheduler to shard: a writer is gone, or is back. Said again until heard.
    Writer {
        /// Counts what this shard is told of writers, without a gap.
        sequence: u64,
        /// Whom it is about.
        writer: WriterId,
        /// What it does.
        change: WriterChange,
    },
    /// Shard to scheduler: everything about writers up to this is done.
    WriterHeard {
        /// The last that is.
        sequence: u64,
    },
    /// Scheduler to worker: pulls that begin from now on may miss so much. Said again until heard.
    Delay {
        /// Counts the changes of all tables.
        sequence: u64,
        /// The table.
        table: TableId,
        /// How many times a pull may miss.
        delay_max: u32,
    },
    /// Worker to scheduler: no pull by an earlier delay is under way any more.
    DelayHeard {
        /// The change's.
        sequence: u64,
        /// The table.
        table: TableId,
    },
    /// Scheduler to worker: do also the work of this writer, whose node is lost, as a node of its own. Said
    /// again until that node registers.
    Adopt {
        /// Whose work.
        writer: WriterId,
        /// Counts the losses of that writer's node.
        turn: u32,
    },
    /// Scheduler to worker: give this unit back, or what is not begun of it. Said again until answered.
    Release {
        /// The unit.
        unit: u64,
    },
    /// Worker to scheduler: answer to `Release`.
    Released {
        /// The unit.
        unit: u64,
        /// What.
        given: GivenBack,
    },
}

/// What a worker gives back of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GivenBack {
    /// All of it is begun, or done.
    Nothing,
    /// All of it, for nothing is begun.
    Whole,
    /// What was not begun, as the learning program says it; opaque here.
    Rest(Vec<u8>),
}

/// What becomes of a writer. `Sequential` tables wait for it all the same: who takes its work over pushes
/// under its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriterChange {
    /// Nobody waits for what it does at this time and after.
    Left {
        /// The first time that does not count.
        from_time: Time,
    },
    /// It had left, and is waited for again.
    Joined {
        /// The first time that counts.
        from_time: Time,
    },
}

impl ControlMessage {
    /// The frame that carries this message. Job, incarnation and term are filled in by the sender.
    ///
    /// # Panics
    /// Never: every message encodes into memory.
    #[must_use]
    pub fn to_frame(&self, source: NodeId) -> TxFrame {
        let bytes = match postcard::to_stdvec(self) {
            Ok(bytes) => bytes,
            Err(error) => unreachable!("control messages encode into memory: {error}"),
        };
        let mut header = Header::new(Kind::Control, source);
        header.value_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        TxFrame::with_values(header, TxBuf::from_vec(bytes))
    }

    /// Reads the message of a control frame.
    ///
    /// # Errors
    /// [`WireError::Control`] when the bytes are no message or more than one.
    pub fn from_frame(frame: &RxFrame) -> Result<ControlMessage, WireError> {
        ControlMessage::decode(frame.body().values)
    }

    /// Reads a message from its bytes.
    ///
    /// # Errors
    /// [`WireError::Control`] when the bytes are no message or more than one.
    pub fn decode(bytes: &[u8]) -> Result<ControlMessage, WireError> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(WireError::Control(format!("{} bytes too many", rest.len()))),
            Err(error) => Err(WireError::Control(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_bytes_behind_it_is_refused() {
        let mut bytes = postcard::to_stdvec(&ControlMessage::Heartbeat).expect("encodes");
        assert_eq!(ControlMessage::decode(&bytes), Ok(ControlMessage::Heartbeat));
        bytes.push(0);
        assert!(matches!(ControlMessage::decode(&bytes), Err(WireError::Control(_))));
    }
}
