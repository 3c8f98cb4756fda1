//! Data files: from paths, folders and patterns to an ordered list.

use super::error::DataError;
use super::format::{Compression, Format, detect};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Unpacked bytes from which a format is told.
const HEAD_BYTES: u64 = 256 << 10;

/// A file of training data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// How its rows are written.
    pub format: Format,
    /// How it is packed.
    pub compression: Compression,
    /// Its size as it lies on disk.
    pub bytes: u64,
    /// Mean bytes of a line, unpacked, as far as its head tells; 1 at least.
    pub line_bytes: u64,
}

/// Lists the files behind `paths` in the order given: a file is itself, a folder its visible files
/// by name, anything else a pattern. Empty files are left out. The format is told from each file's
/// content where `format` is none.
///
/// # Errors
/// When a path gives no file, a file cannot be read or told, or all are empty.
pub fn data_files(paths: &[String], format: Option<Format>) -> Result<Vec<DataFile>, DataError> {
    let mut files = Vec::new();
    for path in paths {
        for found in expand(path)? {
            files.extend(examine(found, format)?);
        }
    }
    if files.is_empty() { Err(DataError::Empty(paths.join(" "))) } else { Ok(files) }
}

/// Opens a file for reading from its start, unpacking what is packed.
pub(super) fn open_unpacked(path: &Path, compression: Compression) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    Ok(match compression {
        Compression::Plain => Box::new(file),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
    })
}

fn expand(path: &str) -> Result<Vec<PathBuf>, DataError> {
    let as_path = PathBuf::from(path);
    let found = if as_path.is_dir() {
        files_in(&as_path)?
    } else if as_path.exists() {
        vec![as_path]
    } else {
        matches_of(path)?
    };
    if found.is_empty() { Err(DataError::NoFiles(path.to_owned())) } else { Ok(found) }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error| DataError::read(folder, error);
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn matches_of(pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let bad = |reason: String| DataError::Pattern { pattern: pattern.to_owned(), reason };
    let mut files = Vec::new();
    for found in glob::glob(pattern).map_err(|error| bad(error.msg.to_owned()))? {
        let found = found.map_err(|error| DataError::Read { path: error.path().to_owned(), source: error.into() })?;
        if found.is_file() {
            files.push(found);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Tells packing and format of a file; none when it is empty.
fn examine(path: PathBuf, format: Option<Format>) -> Result<Option<DataFile>, DataError> {
    let failed = |error| DataError::read(&path, error);
    let mut magic = Vec::new();
    let file = File::open(&path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    file.take(8).read_to_end(&mut magic).map_err(failed)?;
    let compression = Compression::of(&magic);
    let mut head = Vec::new();
    open_unpacked(&path, compression)
        .and_then(|unpacked| unpacked.take(HEAD_BYTES).read_to_end(&mut head))
        .map_err(failed)?;
    if head.is_empty() {
        return Ok(None);
    }
    // A block file is one whatever the flag says: it cannot be read as text.
    let Some(format) = detect(&head).filter(|&found| found == Format::Block).or(format).or_else(|| detect(&head))
    else {
        return Err(DataError::UnknownFormat(path));
    };
    if format == Format::Block && compression != Compression::Plain {
        return Err(DataError::block(&path, "blocks cannot be read from a compressed file; unpack it"));
    }
    let lines = memchr::memchr_iter(b'\n', &head).count().max(1);
    let line_bytes = (head.len() / lines).max(1) as u64;
    Ok(Some(DataFile { path, format, compression, bytes, line_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(files: &[DataFile]) -> Vec<String> {
        files.iter().map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folders_and_patterns_give_their_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.svm", "a.svm", ".hidden", "c.txt"] {
            std::fs::write(folder.path().join(name), "1 2:1\n").unwrap();
        }
        std::fs::write(folder.path().join("empty"), "").unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let whole = folder.path().to_string_lossy().into_owned();
        assert_eq!(names(&data_files(std::slice::from_ref(&whole), None).unwrap()), ["a.svm", "b.svm", "c.txt"]);
        let pattern = format!("{whole}/*.svm");
        let file = format!("{whole}/c.txt");
        assert_eq!(names(&data_files(&[file, pattern], None).unwrap()), ["c.txt", "a.svm", "b.svm"]);
    }

    #[test]
    fn what_gives_no_data_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().to_string_lossy().into_owned();
        let error = |path: String| data_files(&[path], None).expect_err("no data");
        assert!(matches!(error(whole.clone()), DataError::NoFiles(_)));
        assert!(matches!(error(format!("{whole}/*.svm")), DataError::NoFiles(_)));
        assert!(matches!(error(format!("{whole}/[")), DataError::Pattern { .. }));
        std::fs::write(folder.path().join("empty"), "").unwrap();
        assert!(matches!(error(whole.clone()), DataError::Empty(_)));
        std::fs::write(folder.path().join("text"), "Dear reader,\n").unwrap();
        assert!(matches!(error(whole.clone()), DataError::UnknownFormat(_)));
        std::fs::write(folder.path().join("broken.gz"), [0x1f, 0x8b, 8, 0, 1]).unwrap();
        assert!(matches!(error(format!("{whole}/broken.gz")), DataError::Read { .. }));
    }

    #[test]
    fn packed_files_are_told_by_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let whole = path.to_string_lossy().into_owned();
        std::fs::write(&path, zstd::encode_all(&b"1 |a b\n1 |a b\n"[..], 1).unwrap()).unwrap();
        let files = data_files(std::slice::from_ref(&whole), None).unwrap();
        assert_eq!((files[0].format, files[0].compression), (Format::Vw, Compression::Zstd));
        assert_eq!(files[0].line_bytes, 7);
        let mut encoder = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        encoder.write_all(b"1 2:1\n").unwrap();
        encoder.finish().unwrap();
        let files = data_files(&[whole], None).unwrap();
        assert_eq!((files[0].format, files[0].compression), (Format::Libsvm, Compression::Gzip));
    }
}
