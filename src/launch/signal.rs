//! What this process does about signals.

use crate::node::{NodeError, start_thread};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Hears of the signals that ask a job to end, on a thread of its own.
///
/// # Errors
/// When the system lets nobody watch signals.
pub fn watch_stop_signals(mut hear: impl FnMut(u8) + Send + 'static) -> Result<(), NodeError> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|source| NodeError::System { what: "watch signals", source })?;
    start_thread("signals", move || {
        signals.forever().for_each(|signal| hear(u8::try_from(signal).unwrap_or(u8::MAX)));
    })
}

/// Makes a write beyond the limit of a file's size an error like a full disk, instead of a violent end.
///
/// # Errors
/// When the system lets nobody watch signals.
pub fn survive_file_size_limit() -> Result<(), NodeError> {
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, seen)
        .map(drop)
        .map_err(|source| NodeError::System { what: "watch signals", source })
}
