//! What a worker program may be told.

use crate::error::{Classify, ExitCode, Severity};
use crate::node::{NodeError, OperationError};

/// A call that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node cannot start or go on.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The push or pull is wrong, or was refused.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The job has no such table.
    #[error("the job has no table '{0}'")]
    NoTable(String),
    /// The table holds numbers of another type.
    #[error("table '{table}' holds {found}, the program asks for {wanted}")]
    Type {
        /// The table.
        table: String,
        /// Its type.
        found: crate::wire::DType,
        /// The program's.
        wanted: crate::wire::DType,
    },
    /// A key list that is not strictly ascending or holds `u64::MAX`.
    #[error("key {index} of the list, {key}, is not above the one before it, or is u64::MAX, which is no key")]
    Keys {
        /// Place in the list.
        index: usize,
        /// The key.
        key: u64,
    },
    /// Memory of a scope on which an operation works.
    #[error("an operation works on this memory: wait for it first")]
    InUse,
    /// A pull into memory of a scope that ended before the values came.
    #[error("the scope of this pull has ended before its values came: wait for it inside")]
    GivenUp,
    /// A model file that cannot be opened.
    #[error("{path}: cannot be read: {source}; check the path of the model")]
    ModelRead {
        /// The file.
        path: std::path::PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file that is no model, is damaged, or holds another kind of model.
    #[error("{path}: {reason}")]
    Model {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The job has ended; `exit_code` is the job's.
    #[error("{message}")]
    Ended {
        /// The job's exit code.
        exit_code: u8,
        /// Why.
        message: String,
    },
}

impl Classify for ClientError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            ClientError::Node(error) => error.exit_code(),
            ClientError::Operation(error) => error.exit_code(),
            ClientError::NoTable(_)
            | ClientError::Type { .. }
            | ClientError::Keys { .. }
            | ClientError::InUse
            | ClientError::GivenUp
            | ClientError::ModelRead { .. }
            | ClientError::Model { .. } => ExitCode::BadInput,
            ClientError::Ended { exit_code, .. } => ExitCode::from_number(*exit_code),
        }
    }
}
