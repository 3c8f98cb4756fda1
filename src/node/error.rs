//! What keeps a node from running.

use crate::error::{Classify, ExitCode, Severity};
use crate::transport::TransportError;
use std::path::PathBuf;

/// A node that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The fabric fails.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The configuration contradicts itself or is incomplete.
    #[error("{0}")]
    Config(String),
    /// A file of the job cannot be used.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A thread or system facility is not to be had.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    Content {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The job ended with a failure.
    #[error("{message}")]
    Ended {
        /// The job's exit code.
        exit_code: u8,
        /// Why.
        message: String,
    },
}

impl Classify for NodeError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            NodeError::Transport(_) | NodeError::File { .. } | NodeError::System { .. } => ExitCode::CannotStart,
            NodeError::Config(_) => ExitCode::Usage,
            NodeError::Content { .. } => ExitCode::BadInput,
            NodeError::Ended { exit_code, .. } => ExitCode::from_number(*exit_code),
        }
    }
}
