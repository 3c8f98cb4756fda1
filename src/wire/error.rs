//! What can be wrong with received bytes.

use crate::error::{Classify, ExitCode, Severity};

/// A frame that cannot be read. The connection it came by is of no further use: where the next
/// frame begins is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first bytes are not ours.
    #[error("not a Parashard frame: magic {0:#010x}")]
    Magic(u32),
    /// The peer speaks another version.
    #[error("frame of protocol version {theirs}, this is version {ours}: run the same release on every node")]
    Version {
        /// The peer's version.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// A field holds a number without meaning.
    #[error("frame with unknown {field} {number}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        number: u64,
    },
    /// The lengths exceed a limit or contradict each other.
    #[error("frame with a bad length: {what} is {bytes} bytes, limit {limit}")]
    Length {
        /// Which length.
        what: &'static str,
        /// What the header says.
        bytes: u64,
        /// What would be right.
        limit: u64,
    },
    /// Header or body were damaged on the way.
    #[error("frame with a wrong checksum: {found:#010x}, computed {computed:#010x}")]
    Checksum {
        /// As received.
        found: u32,
        /// As it should be.
        computed: u32,
    },
    /// A control message that does not decode.
    #[error("unreadable control message: {0}")]
    Control(String),
}

impl Classify for WireError {
    fn severity(&self) -> Severity {
        match self {
            WireError::Checksum { .. } => Severity::Retryable,
            _ => Severity::Fatal,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::BadInput
    }
}
