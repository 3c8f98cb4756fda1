//! Whole trainings by the `parashard` beside this program, and the data for them.

use crate::peer::run as run_program;
use anyhow::Result;
use parashard::error::{ExitCode, Failure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long one training may take.
const TRAIN_TIMEOUT: Duration = Duration::from_secs(600);

/// `parashard` beside this program; a test runs one folder deeper.
pub(crate) fn find() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join("parashard")).find(|path| path.is_file());
    let missing = || {
        let hint = "build it with: cargo build --release --workspace";
        Failure::new(ExitCode::CannotStart, format!("no parashard beside {}; {hint}", own.display()))
    };
    Ok(found.ok_or_else(missing)?)
}

/// Runs it to its end.
pub(crate) fn run(command: Command) -> Result<()> {
    run_program("parashard", command, TRAIN_TIMEOUT).map(drop)
}

/// A file that the repository keeps, if the program lies somewhere in the repository.
pub(crate) fn kept(program: &Path, name: &str) -> Option<PathBuf> {
    program.ancestors().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Makes so many rows of click data.
pub(crate) fn generate(program: &Path, rows: u64, path: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command.args(["data", "generate", "--rows", &rows.to_string(), "--format", "libsvm", "--output"]).arg(path);
    run(command)
}

/// Without its folders, which say nothing to a reader elsewhere.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
