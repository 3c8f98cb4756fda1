//! Files that appear whole or not at all, and the sinks that write rows into them.

use super::batch::RowBatch;
use super::block::{BlockSummary, BlockWriter};
use super::error::DataError;
use super::format::Format;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file under construction: written beside its place under another name, moved there by
/// `commit`, removed when dropped before. Devices and pipes are written as they are.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    /// None for what is no regular file, and after the move.
    temporary: Option<PathBuf>,
    file: BufWriter<File>,
}

impl AtomicFile {
    /// Begins the file that shall stand at `path`.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn create(path: &Path) -> Result<AtomicFile, DataError> {
        let failed = |error| DataError::write(path, error);
        let is_special = fs::metadata(path).is_ok_and(|there| !there.is_file());
        let (file, temporary) = if is_special {
            (File::options().write(true).open(path).map_err(failed)?, None)
        } else {
            let temporary = temporary_name(path).map_err(failed)?;
            (File::create_new(&temporary).map_err(failed)?, Some(temporary))
        };
        Ok(AtomicFile { path: path.to_owned(), temporary, file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Puts the whole file in its place.
    ///
    /// # Errors
    /// When the system cannot write or move it; then nothing has changed at its place.
    pub fn commit(mut self) -> Result<(), DataError> {
        let path = self.path.clone();
        let failed = |error| DataError::write(&path, error);
        self.file.flush().map_err(failed)?;
        if let Some(temporary) = &self.temporary {
            // Some file systems tell of a full disk only now.
            self.file.get_ref().sync_all().map_err(failed)?;
            fs::rename(temporary, &self.path).map_err(failed)?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // What led here is reported already; a file that cannot be removed stays hidden.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// A hidden name in the same folder, so that moving is one step.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

/// Writes rows in one format.
#[derive(Debug)]
pub(super) enum RowSink<W: Write> {
    Libsvm(TextSink<W>),
    Vw(TextSink<W>),
    Block(Box<BlockWriter<W>>),
}

/// Text under construction.
#[derive(Debug)]
pub(super) struct TextSink<W: Write> {
    out: W,
    text: Vec<u8>,
    row: Vec<(u64, f32)>,
    summary: BlockSummary,
}

impl<W: Write> RowSink<W> {
    /// A sink for `format`; none for Criteo, which has no room for keys.
    pub(super) fn new(format: Format, out: W) -> io::Result<Option<RowSink<W>>> {
        let summary = BlockSummary { rows: 0, features: 0, key_end: 0, bytes: 0 };
        Ok(match format {
            Format::Libsvm => Some(RowSink::Libsvm(TextSink { out, text: Vec::new(), row: Vec::new(), summary })),
            Format::Vw => Some(RowSink::Vw(TextSink { out, text: Vec::new(), row: Vec::new(), summary })),
            Format::Block => Some(RowSink::Block(Box::new(BlockWriter::new(out)?))),
            Format::Criteo => None,
        })
    }

    pub(super) fn push_rows(&mut self, rows: &RowBatch) -> io::Result<()> {
        match self {
            RowSink::Libsvm(sink) => sink.push_rows(rows, TextSink::libsvm_row),
            RowSink::Vw(sink) => sink.push_rows(rows, TextSink::vw_row),
            RowSink::Block(writer) => writer.push_rows(rows),
        }
    }

    pub(super) fn finish(self) -> io::Result<(W, BlockSummary)> {
        match self {
            RowSink::Libsvm(sink) | RowSink::Vw(sink) => Ok((sink.out, sink.summary)),
            RowSink::Block(writer) => writer.finish(),
        }
    }
}

impl<W: Write> TextSink<W> {
    fn push_rows(&mut self, rows: &RowBatch, write_row: fn(&mut TextSink<W>, f32)) -> io::Result<()> {
        self.text.clear();
        for row in 0..rows.row_count() {
            let values = rows.row_values(row).iter().copied().chain(std::iter::repeat(1.0));
            self.row.clear();
            self.row.extend(rows.row_keys(row).iter().copied().zip(values));
            write_row(self, rows.labels[row]);
            self.text.push(b'\n');
            self.summary.features += self.row.len() as u64;
            let key_end = self.row.iter().fold(0, |end, &(key, _)| end.max(key + 1));
            self.summary.key_end = self.summary.key_end.max(key_end);
        }
        self.summary.rows += rows.row_count() as u64;
        self.summary.bytes += self.text.len() as u64;
        self.out.write_all(&self.text)
    }

    /// Ordered indexes, each once: equal keys of a row are summed.
    fn libsvm_row(&mut self, label: f32) {
        if !self.row.is_sorted_by(|left, right| left.0 < right.0) {
            self.row.sort_by_key(|&(key, _)| key);
            self.row.dedup_by(|later, first| {
                let same = later.0 == first.0;
                first.1 += if same { later.1 } else { 0.0 };
                same
            });
        }
        self.text.push(if label > 0.0 { b'1' } else { b'0' });
        for &(key, value) in &self.row {
            self.text.push(b' ');
            push_decimal(key, &mut self.text);
            push_value(value, &mut self.text);
        }
    }

    /// Keys as numbers in the unnamed namespace; a value only where it is not 1.
    fn vw_row(&mut self, label: f32) {
        self.text.extend_from_slice(if label > 0.0 { b"1 |" } else { b"-1 |" });
        for &(key, value) in &self.row {
            self.text.push(b' ');
            push_decimal(key, &mut self.text);
            if value != 1.0 {
                push_value(value, &mut self.text);
            }
        }
    }
}

fn push_value(value: f32, text: &mut Vec<u8>) {
    if value == 1.0 {
        text.extend_from_slice(b":1");
    } else {
        text.extend_from_slice(format!(":{value}").as_bytes());
    }
}

/// Appends a number in decimal digits.
pub(super) fn push_decimal(number: u64, text: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    let mut rest = number;
    loop {
        begin -= 1;
        digits[begin] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[begin..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn places_that_cannot_be_written_are_named() {
        let failed = |path: &str| AtomicFile::create(Path::new(path)).expect_err("not writable").to_string();
        assert!(failed("/nowhere/rows").starts_with("/nowhere/rows: cannot be written: "));
        assert!(failed("..").contains("cannot be written"));
        let mut full = AtomicFile::create(Path::new("/dev/full")).unwrap();
        full.write_all(b"rows").unwrap();
        assert!(full.commit().expect_err("full").to_string().contains("No space left"));
    }

    #[test]
    fn equal_keys_of_a_row_are_summed_in_libsvm() {
        let mut rows = RowBatch::default();
        rows.push_row(1.0, &[9, 3, 9], &[]);
        rows.push_row(0.0, &[1, 18_446_744_073_709_551_614], &[0.25, 1.0]);
        let mut sink = RowSink::new(Format::Libsvm, Vec::new()).unwrap().unwrap();
        sink.push_rows(&rows).unwrap();
        let (text, summary) = sink.finish().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "1 3:1 9:2\n0 1:0.25 18446744073709551614:1\n");
        assert_eq!((summary.rows, summary.features, summary.key_end), (2, 4, u64::MAX));
    }
}
