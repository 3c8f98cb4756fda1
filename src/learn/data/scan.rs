//! The size of the key space, where it is not known from flags.

use super::batch::RowBatch;
use super::block::BlockFile;
use super::error::DataError;
use super::file::DataFile;
use super::format::Format;
use super::reader::UnitReader;
use super::unit::{UnitCursor, UnitPlan, UnitSource};
use super::{BITS_MAX, ReaderConfig};
use rayon::prelude::*;
use std::sync::Arc;

/// Plain text that one task scans.
const SCAN_BYTES: u64 = 8 << 20;
/// Rows that a task holds at a time.
const SCAN_ROWS: usize = 1024;

/// One more than the largest key of `files`: `2^bits` for hashed formats, from the trailer for
/// block files, and found by reading all of it for libsvm, on all cores and in bounded memory.
///
/// # Errors
/// When a file cannot be read or has a bad line that is not to be skipped.
pub fn key_end(files: &[DataFile], config: &ReaderConfig) -> Result<u64, DataError> {
    let mut end = 0;
    let mut texts = Vec::new();
    for data in files {
        match data.format {
            Format::Criteo | Format::Vw => end = end.max(1 << config.bits.min(BITS_MAX)),
            Format::Block => end = end.max(BlockFile::open(&data.path)?.key_end()),
            Format::Libsvm => texts.push(data.clone()),
        }
    }
    let plan = UnitPlan::new(&texts, SCAN_BYTES)?;
    let units = closed_units(&plan, &texts);
    let files: Arc<[DataFile]> = texts.into();
    let config = ReaderConfig { key_end: None, ..config.clone() };
    let ends: Result<Vec<u64>, DataError> =
        units.into_par_iter().map(|unit| unit_key_end(&files, &config, &unit)).collect();
    Ok(ends?.into_iter().fold(end, u64::max))
}

/// All units of `plan`, which was made of `files`, with each compressed file as one unit: for one
/// pass over the data in which nobody reports the files' ends.
#[must_use]
pub fn closed_units(plan: &UnitPlan, files: &[DataFile]) -> Vec<UnitSource> {
    let mut plan = plan.clone();
    (0..).zip(files).for_each(|(file, _)| plan.on_ended(file, 1));
    let mut cursor = UnitCursor::default();
    let units = std::iter::from_fn(|| plan.next_unit(&mut cursor));
    units
        .map(|unit| match unit {
            UnitSource::Rows { file, .. } => UnitSource::Rows { file, first_row: 0, row_count: u64::MAX },
            other => other,
        })
        .collect()
}

fn unit_key_end(files: &Arc<[DataFile]>, config: &ReaderConfig, unit: &UnitSource) -> Result<u64, DataError> {
    let mut reader = UnitReader::new(Arc::clone(files), config.clone());
    let mut rows = RowBatch::default();
    let mut end = 0;
    reader.begin_unit(unit)?;
    loop {
        let progress = reader.read(SCAN_ROWS, &mut rows)?;
        end = rows.keys.iter().fold(end, |end, &key| end.max(key + 1));
        if progress.is_last {
            return Ok(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::data_files;
    use super::*;

    #[test]
    fn the_largest_key_of_all_files_counts() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..500).map(|row| format!("1 {}:1 3:0.5\n", 10 + row * 7 % 1000)).collect();
        let packed = zstd::encode_all(format!("{text}0 70000:1\n").as_bytes(), 1).unwrap();
        std::fs::write(folder.path().join("a.svm"), &text).unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        let scan = |config: &ReaderConfig| key_end(&data_files(std::slice::from_ref(&path), None).unwrap(), config);
        let largest = (0..500).map(|row| 10 + row * 7 % 1000).max().unwrap();
        assert_eq!(scan(&ReaderConfig::default()).unwrap(), largest + 1);
        std::fs::write(folder.path().join("b.svm.zst"), packed).unwrap();
        assert_eq!(scan(&ReaderConfig::default()).unwrap(), 70_001);
        std::fs::write(folder.path().join("c.vw"), "1 |a b\n").unwrap();
        assert_eq!(scan(&ReaderConfig { bits: 24, ..ReaderConfig::default() }).unwrap(), 1 << 24);
        std::fs::write(folder.path().join("d.svm"), "1 5:1\n1 oops\n").unwrap();
        assert!(scan(&ReaderConfig::default()).unwrap_err().to_string().contains("d.svm:2: "));
        assert!(scan(&ReaderConfig { skip_bad_lines: true, ..ReaderConfig::default() }).is_ok());
    }
}
