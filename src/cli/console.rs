//! What the user reads. Streams that nobody reads any more end nothing.

use crate::error::{ExitCode, Failure};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// The one line that says why this process fails.
pub(super) fn tell_error(message: &dyn Display) {
    tell(&format_args!("parashard: error: {message}"));
}

/// A line on standard error.
pub(super) fn tell(line: &dyn Display) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Results, on standard output. A reader that has gone has seen what it wanted.
pub(super) fn print_result(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(ExitCode::CannotStart, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
