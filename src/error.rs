//! Error kinds shared by all layers: each layer has an enum of its own, and each of its variants
//! says whether trying again can help and which exit code a program that gives up should end with.

use std::fmt;

/// Whether trying the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The cause may pass: a lost connection, a full queue.
    Retryable,
    /// The same attempt fails again.
    Fatal,
}

/// Exit codes of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The work is done.
    Done = 0,
    /// The command line or configuration is wrong.
    Usage = 2,
    /// An input file or message is wrong.
    BadInput = 3,
    /// A peer or node was lost.
    NodeLost = 4,
    /// The process cannot start: port, memory, permission.
    CannotStart = 5,
    /// A limit was reached.
    Limit = 6,
    /// Stopped after a checkpoint; run again to go on.
    Requeue = 75,
}

impl ExitCode {
    /// The code with this number; a number that is none of ours means a lost node.
    #[must_use]
    pub fn from_number(number: u8) -> ExitCode {
        match number {
            0 => ExitCode::Done,
            2 => ExitCode::Usage,
            3 => ExitCode::BadInput,
            5 => ExitCode::CannotStart,
            6 => ExitCode::Limit,
            75 => ExitCode::Requeue,
            _ => ExitCode::NodeLost,
        }
    }
}

/// What every layer's error enum can say of itself.
pub trait Classify: std::error::Error {
    /// Whether trying again can help.
    fn severity(&self) -> Severity;

    /// The exit code of a program that gives up because of this error.
    fn exit_code(&self) -> ExitCode;
}

/// An error with its exit code, as it reaches the edge of the binary.
#[derive(Debug)]
pub struct Failure {
    /// The exit code to end with; 128 + n for signal n.
    pub exit_code: u8,
    /// One line: what, where, what to do.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code and message.
    #[must_use]
    pub fn new(exit_code: ExitCode, message: impl Into<String>) -> Failure {
        Failure { exit_code: exit_code as u8, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { exit_code: error.exit_code() as u8, message: error.to_string() }
    }
}
