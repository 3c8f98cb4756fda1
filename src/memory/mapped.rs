//! A file as read-only memory.

use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A whole file mapped for reading. An empty file is an empty slice.
///
/// Files that Parashard maps are written once, under a temporary name, and renamed when whole;
/// nobody writes into them afterwards. Who truncates one by hand while it is mapped stops the
/// reader by SIGBUS.
#[derive(Debug)]
pub struct MappedFile {
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// What the system says when the file cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(MappedFile { map: None });
        }
        // SAFETY: the map is read-only, and the file behind it is not changed or truncated while it
        // is mapped: such files come whole by a rename and are never written in place. If that is
        // broken from outside, pages beyond the new end raise SIGBUS, which ends the process.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile { map: Some(map) })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_shows_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("content");
        std::fs::write(&path, b"ordered keys").unwrap();
        assert_eq!(&*MappedFile::open(&path).unwrap(), b"ordered keys");
        std::fs::write(&path, b"").unwrap();
        assert!(MappedFile::open(&path).unwrap().is_empty());
        assert!(MappedFile::open(&folder.path().join("missing")).is_err());
    }
}
