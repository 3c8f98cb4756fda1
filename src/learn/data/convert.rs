//! From one format to another, streaming: a thread reads, the caller's writes.

use super::ReaderConfig;
use super::batch::RowBatch;
use super::error::DataError;
use super::file::DataFile;
use super::format::Format;
use super::output::{AtomicFile, RowSink};
use super::reader::UnitReader;
use super::unit::{UnitCursor, UnitPlan};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;

/// Bytes of text or blocks that are read as one unit.
const UNIT_BYTES: u64 = 16 << 20;
/// Rows that travel together from the reading thread to the writing one.
const ROWS: usize = 1024;
/// How many such parcels are under way.
const PARCELS: usize = 8;

/// What was converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ConvertSummary {
    /// Rows written.
    pub rows: u64,
    /// Features of all rows.
    pub features: u64,
    /// One more than the largest key.
    pub key_end: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Bad lines left out.
    pub bad_lines: u64,
}

/// Writes the rows of `files`, in their order, to `out` in format `target`. The file appears whole
/// or not at all. Hashed formats become keys; Vowpal Wabbit text is written with keys as numbers in
/// the unnamed namespace, so reading it back needs as many bits.
///
/// # Errors
/// When a file cannot be read, has a bad line, or the output cannot be written; and for Criteo as
/// the target, since names cannot be told from keys.
pub fn convert(
    files: &[DataFile],
    config: &ReaderConfig,
    target: Format,
    out: &Path,
) -> Result<ConvertSummary, DataError> {
    let failed = |error| DataError::write(out, error);
    let reason = "its columns are names, and only hashes of them are known; choose libsvm, vw or block";
    let unsupported = DataError::Unsupported { action: "cannot write", format: target, reason };
    if target == Format::Criteo {
        return Err(unsupported);
    }
    let mut sink = RowSink::new(target, AtomicFile::create(out)?).map_err(failed)?.ok_or(unsupported)?;
    let plan = UnitPlan::new(files, UNIT_BYTES)?;
    let reader = UnitReader::new(Arc::from(files), config.clone());
    let (full_out, full) = bounded(PARCELS);
    let (empty, empty_in) = bounded(PARCELS);
    let bad_lines = std::thread::scope(|scope| {
        let read = move || read_all(plan, reader, &full_out, &empty_in);
        let reading = Builder::new().name("reader".to_owned()).spawn_scoped(scope, read).map_err(DataError::Thread)?;
        for rows in full {
            sink.push_rows(&rows).map_err(failed)?;
            // The reader may have ended; then nobody needs the memory.
            let _ = empty.try_send(rows);
        }
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let (file, summary) = sink.finish().map_err(failed)?;
    file.commit()?;
    let (rows, features) = (summary.rows, summary.features);
    Ok(ConvertSummary { rows, features, key_end: summary.key_end, bytes: summary.bytes, bad_lines })
}

/// Reads all units in order and gives the number of bad lines. Ends early when nobody listens.
fn read_all(
    mut plan: UnitPlan,
    mut reader: UnitReader,
    full: &Sender<RowBatch>,
    empty: &Receiver<RowBatch>,
) -> Result<u64, DataError> {
    let mut cursor = UnitCursor::default();
    while let Some(unit) = plan.next_unit(&mut cursor) {
        reader.begin_unit(&unit)?;
        loop {
            let mut rows = empty.try_recv().unwrap_or_default();
            let progress = reader.read(ROWS, &mut rows)?;
            if full.send(rows).is_err() {
                return Ok(reader.bad_lines());
            }
            if let Some(total) = progress.rows_total {
                plan.on_ended(unit.file(), total);
            }
            if progress.is_last {
                break;
            }
        }
    }
    Ok(reader.bad_lines())
}

#[cfg(test)]
mod tests {
    use super::super::data_files;
    use super::*;
    use std::path::PathBuf;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn files(&self, name: &str) -> Vec<DataFile> {
            data_files(&[self.path(name).to_string_lossy().into_owned()], None).unwrap()
        }

        fn convert(&self, from: &str, to: &str, target: Format) -> Result<ConvertSummary, DataError> {
            convert(&self.files(from), &ReaderConfig::default(), target, &self.path(to))
        }
    }

    fn folder() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    #[test]
    fn rows_survive_every_conversion() {
        let folder = folder();
        let text: String = (0..20_000u64)
            .map(|row| format!("{} {}:1 {}:0.{}\n", row % 2, row % 1000, 1000 + row * 7919 % 100_000, 1 + row % 9))
            .collect();
        std::fs::write(folder.path("a.svm"), &text).unwrap();
        let summary = folder.convert("a.svm", "b.psb", Format::Block).unwrap();
        assert_eq!((summary.rows, summary.features), (20_000, 40_000));
        folder.convert("b.psb", "c.vw", Format::Vw).unwrap();
        folder.convert("c.vw", "d.svm", Format::Libsvm).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path("d.svm")).unwrap(), text);
        let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
        std::fs::write(folder.path("e.svm.zst"), packed).unwrap();
        folder.convert("e.svm.zst", "f.psb", Format::Block).unwrap();
        assert_eq!(std::fs::read(folder.path("f.psb")).unwrap(), std::fs::read(folder.path("b.psb")).unwrap());
    }

    #[test]
    fn nothing_is_left_behind_by_a_conversion_that_fails() {
        let folder = folder();
        std::fs::write(folder.path("a.svm"), "1 2:1\n1 2:1 2:1\n").unwrap();
        let error = folder.convert("a.svm", "b.psb", Format::Block).expect_err("bad line");
        assert!(error.to_string().contains("a.svm:2: index 2 appears twice"), "{error}");
        assert!(folder.convert("a.svm", "b.tsv", Format::Criteo).is_err());
        assert_eq!(folder.0.path().read_dir().unwrap().count(), 1);
        let long: String = (0..300_000).map(|row| format!("0 {row}:1\n")).collect();
        std::fs::write(folder.path("a.svm"), long).unwrap();
        let full = convert(&folder.files("a.svm"), &ReaderConfig::default(), Format::Vw, Path::new("/dev/full"));
        assert!(matches!(full, Err(DataError::Write { .. })));
    }
}
