//! What keeps learning from going on.

use super::data::DataError;
use crate::client::ClientError;
use crate::error::{Classify, ExitCode, Severity};

/// A learning program that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The cluster does not do what it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The scheduler said something that is not understood.
    #[error("{0}; run the same release on every node")]
    Message(String),
    /// The system does not give what is needed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A model that does not fit the data or the program.
    #[error("model {path}: {reason}")]
    Model {
        /// Where.
        path: std::path::PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}; free space or choose another place")]
    Write {
        /// Where.
        path: std::path::PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl Classify for LearnError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            LearnError::Data(error) => error.exit_code(),
            LearnError::Client(error) => error.exit_code(),
            LearnError::Message(_) | LearnError::Model { .. } => ExitCode::BadInput,
            LearnError::System { .. } | LearnError::Write { .. } => ExitCode::CannotStart,
        }
    }
}
