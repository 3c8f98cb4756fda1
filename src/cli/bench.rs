//! `parashard bench`: executes `parashard-bench`, which is found beside this program.

use crate::error::{ExitCode, Failure};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Arguments of `parashard bench`.
#[derive(Debug, Clone, Args)]
#[command(disable_help_flag = true)]
pub(super) struct BenchArguments {
    /// Passed on as they are; `parashard bench --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the benchmark program; returns only if that fails.
pub(super) fn run(arguments: &BenchArguments) -> Result<u8, Failure> {
    let cannot = |reason: String| Failure::new(ExitCode::CannotStart, reason);
    let own = std::env::current_exe().map_err(|error| cannot(format!("cannot find this program: {error}")))?;
    let program = own.with_file_name("parashard-bench");
    let error = Command::new(&program).args(&arguments.arguments).exec();
    let hint = "build it with: cargo build --release --workspace";
    Err(cannot(format!("cannot start {}: {error}; {hint}", program.display())))
}
