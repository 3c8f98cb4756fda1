//! A file that exists only until it is finished.

use crate::node::error::NodeError;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// A temporary file beside its final place; removed on drop unless it was put there.
#[derive(Debug)]
pub(super) struct TemporaryFile {
    target: PathBuf,
    path: PathBuf,
    file: File,
    placed: bool,
}

impl TemporaryFile {
    /// Makes the file. `tag` tells it from others of the same target.
    pub(super) fn create(target: &Path, tag: u64) -> Result<TemporaryFile, NodeError> {
        let fail = |source| NodeError::File { what: "cannot write the model", path: target.to_owned(), source };
        let name = target.file_name().ok_or_else(|| fail(std::io::Error::other("not a file name")))?;
        // Absolute, so that servers with another working directory find it too.
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(fail)?;
        let path = folder.join(format!(".{}.{tag:016x}.tmp", name.to_string_lossy()));
        let target = folder.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(fail)?;
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
        drop(TemporaryFile::create(&target, 7).expect("makes"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
        let mut kept = TemporaryFile::create(&target, 7).expect("makes");
        kept.place().expect("renames");
        drop(kept);
        assert!(target.exists());
    }
}
