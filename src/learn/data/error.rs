//! What can be wrong with training data.

use super::format::Format;
use crate::error::{Classify, ExitCode, Severity};
use std::io;
use std::path::{Path, PathBuf};

/// A line that a parser cannot read. Where it is in its file is found by whoever gave the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Where the line begins in the text that was parsed, in bytes.
    pub begin: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl BadLine {
    pub(super) fn new(begin: usize, reason: impl Into<String>) -> BadLine {
        BadLine { begin, reason: reason.into() }
    }
}

/// Data that cannot be read or written. Each message is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A line of a text file makes no sense.
    #[error("{path}:{line}: {reason}; correct the line, or skip such lines with --skip-bad-lines")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A path, folder or pattern that gives no file.
    #[error("{0}: no such file, and as a pattern or folder it holds none; check the path")]
    NoFiles(String),
    /// All files together hold nothing.
    #[error("{0}: no data in it; check the path")]
    Empty(String),
    /// A pattern that cannot be read.
    #[error("{pattern}: not a pattern: {reason}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that cannot be opened or read, or compressed data that does not unpack.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("{path}: cannot be written: {source}; free some space or choose another place")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first lines fit no format.
    #[error("{0}: its first line is neither libsvm, Criteo nor Vowpal Wabbit text; name the format with --format")]
    UnknownFormat(PathBuf),
    /// A block file that is cut or damaged.
    #[error("{path}: damaged block file: {reason}; convert the data again")]
    Block {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// A block file of a later release.
    #[error("{path}: block file of version {theirs}, this release reads up to {ours}: use a newer release")]
    BlockVersion {
        /// The file.
        path: PathBuf,
        /// The file's version.
        theirs: u32,
        /// The newest version that is understood.
        ours: u32,
    },
    /// The data hold a key outside the key space.
    #[error("{path}: its keys reach {key_end}, the table ends at {limit}: raise --key-end or --bits")]
    KeyEnd {
        /// The file.
        path: PathBuf,
        /// One more than the largest key.
        key_end: u64,
        /// The table's end.
        limit: u64,
    },
    /// The system starts no more threads.
    #[error("cannot start a reader thread: {0}; raise the limit on processes")]
    Thread(io::Error),
    /// A work unit that does not fit its files.
    #[error("work unit {unit} does not fit the data: give every worker the same files")]
    Unit {
        /// The unit.
        unit: String,
    },
    /// What cannot be asked of a format.
    #[error("{action} {format}: {reason}")]
    Unsupported {
        /// What was asked.
        action: &'static str,
        /// Of which format.
        format: Format,
        /// Why not, and what to do instead.
        reason: &'static str,
    },
}

impl DataError {
    pub(super) fn read(path: &Path, source: io::Error) -> DataError {
        DataError::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> DataError {
        DataError::Write { path: path.to_owned(), source }
    }

    pub(super) fn block(path: &Path, reason: impl Into<String>) -> DataError {
        DataError::Block { path: path.to_owned(), reason: reason.into() }
    }
}

impl Classify for DataError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            DataError::Write { .. } | DataError::Thread(_) => ExitCode::CannotStart,
            DataError::Unsupported { .. } | DataError::Pattern { .. } => ExitCode::Usage,
            _ => ExitCode::BadInput,
        }
    }
}
