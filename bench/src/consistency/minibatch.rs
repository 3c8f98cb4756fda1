//! Rows cut into files of one minibatch each, so that each is a unit of work: workers draw them one by one, and no
//! rule gives a slow worker more of them at a time than another does.

use crate::trainer;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What the repository keeps to train on.
const DATA: &str = "tests/data/nycflights.train.svm.zst";
/// Rows that are generated where there is none, and with `--quick`.
const GENERATED_ROWS: (u64, u64) = (60_000, 400);

/// The data of all trainings.
pub(super) struct Minibatches {
    pub(super) name: String,
    pub(super) rows: usize,
    /// Rows of one minibatch.
    pub(super) minibatch: usize,
    pub(super) key_end: u64,
    /// All rows in one file.
    pub(super) whole: PathBuf,
    /// One file a minibatch.
    pub(super) files: Vec<PathBuf>,
}

impl Minibatches {
    /// Cuts what is given, what the repository keeps, or generated rows into `count` of them.
    pub(super) fn cut(
        program: &Path,
        given: Option<&Path>,
        quick: bool,
        count: usize,
        folder: &TempDir,
    ) -> Result<Minibatches> {
        let whole = folder.path().join("whole.svm");
        let kept = || trainer::kept(program, DATA).filter(|_| !quick);
        let name = match given.map(Path::to_owned).or_else(kept) {
            Some(path) => {
                let mut command = Command::new(program);
                command.args(["data", "convert", "--output"]).arg(&whole).arg(&path);
                trainer::run(command)?;
                trainer::file_name(&path)
            }
            None => {
                trainer::generate(program, if quick { GENERATED_ROWS.1 } else { GENERATED_ROWS.0 }, &whole)?;
                "generated clicks".to_owned()
            }
        };
        let text = std::fs::read_to_string(&whole)?;
        let lines: Vec<&str> = text.lines().collect();
        let minibatch = (lines.len() / count).max(1);
        let mut files = Vec::new();
        for (index, rows) in lines.chunks_exact(minibatch).take(count).enumerate() {
            let path = folder.path().join(format!("{index:04}.svm"));
            std::fs::write(&path, rows.join("\n") + "\n")?;
            files.push(path);
        }
        let key_end = 1 + lines.iter().filter_map(|line| largest_key(line)).max().context("no row has a key")?;
        Ok(Minibatches { name, rows: lines.len(), minibatch, key_end, whole, files })
    }
}

/// Of a row of libsvm text, whose keys ascend.
fn largest_key(line: &str) -> Option<u64> {
    line.split_whitespace().next_back()?.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_key_of_a_row_is_its_last() {
        assert_eq!(largest_key("1 3:1 17:0.5"), Some(17));
        assert_eq!(largest_key("-1"), None);
    }
}
