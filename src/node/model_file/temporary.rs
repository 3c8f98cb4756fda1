//! A file that exists only until it is finished.
//!
//! Its name follows from its target and the job, so that the launcher can remove what a scheduler
//! left that was killed while it wrote.

use crate::id::JobId;
use crate::node::error::NodeError;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A temporary file beside its final place; removed on drop unless it was put there.
#[derive(Debug)]
pub(super) struct TemporaryFile {
    target: PathBuf,
    path: PathBuf,
    file: File,
    placed: bool,
}

/// Checks, before a job begins, that a file can be written at its end. `what` begins the error's line.
///
/// # Errors
/// When it cannot be: no such folder, no permission, or a folder of that name.
pub fn check_target(what: &'static str, target: &Path, job: JobId) -> Result<(), NodeError> {
    let fail = |source| NodeError::File { what, path: target.to_owned(), source };
    TemporaryFile::create(target, job).map(drop).map_err(fail)
}

/// Removes what a killed scheduler has left beside a model's place.
pub fn remove_draft(target: &Path, job: JobId) {
    if let Ok((_, draft)) = places(target, job) {
        // In most cases there is none.
        let _ = std::fs::remove_file(draft);
    }
}

/// Target and draft. Absolute, so that servers with another working directory find the draft too.
fn places(target: &Path, job: JobId) -> io::Result<(PathBuf, PathBuf)> {
    let name = target.file_name().ok_or_else(|| io::Error::other("not a file name"))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize()?;
    let draft = folder.join(format!(".{}.{:016x}.tmp", name.to_string_lossy(), job.0));
    Ok((folder.join(name), draft))
}

impl TemporaryFile {
    /// Makes the file; one that an earlier run of the same job has left is replaced.
    pub(super) fn create(target: &Path, job: JobId) -> io::Result<TemporaryFile> {
        let (target, path) = places(target, job)?;
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(TemporaryFile { target, path, file, placed: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Flushes the file and renames it to its final place.
    pub(super) fn place(&mut self) -> std::io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, &self.target)?;
        self.placed = true;
        match self.target.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing more can be done about a file that cannot be removed.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("model");
        drop(TemporaryFile::create(&target, JobId(7)).expect("makes"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
        let mut kept = TemporaryFile::create(&target, JobId(7)).expect("makes");
        kept.place().expect("renames");
        drop(kept);
        assert!(target.exists());
    }

    #[test]
    fn a_draft_of_a_killed_run_is_found_by_its_job() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("model");
        std::mem::forget(TemporaryFile::create(&target, JobId(7)).expect("makes"));
        assert!(TemporaryFile::create(&target, JobId(7)).is_ok(), "the same job runs again");
        std::mem::forget(TemporaryFile::create(&target, JobId(7)).expect("makes"));
        remove_draft(&target, JobId(8));
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
        remove_draft(&target, JobId(7));
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(check_target("model", &folder.path().join("model"), JobId(7)).is_ok());
        let error = check_target("model", folder.path(), JobId(7)).expect_err("a folder");
        assert!(error.to_string().contains("directory"), "{error}");
        assert!(check_target("model", &folder.path().join("absent/model"), JobId(7)).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }
}
