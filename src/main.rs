//! The `parashard` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(parashard::cli::run())
}
