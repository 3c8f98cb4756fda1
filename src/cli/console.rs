//! What the user reads on standard error. A stream that nobody reads any more ends nothing.

use std::fmt::Display;
use std::io::Write;

/// The one line that says why this process fails.
pub(super) fn tell_error(message: &dyn Display) {
    tell(&format_args!("parashard: error: {message}"));
}

/// A line on standard error.
pub(super) fn tell(line: &dyn Display) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}
