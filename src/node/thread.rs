//! Threads with names, and an error instead of a panic where the system gives none.

use super::error::NodeError;
use std::thread::Builder;

/// Runs `work` on a thread that nobody waits for.
///
/// # Errors
/// When the system starts no thread.
pub fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), NodeError> {
    Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(no_thread)
}

/// The error of a thread that could not be started.
pub(super) fn no_thread(source: std::io::Error) -> NodeError {
    NodeError::System { what: "start a thread", source }
}
