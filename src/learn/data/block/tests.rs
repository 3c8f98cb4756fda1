use super::super::batch::RowBatch;
use super::super::{DataError, LocalBatch, ReaderConfig, UnitCursor, UnitPlan, UnitReader, UnitSource, data_files};
use super::*;
use proptest::prelude::*;
use std::path::Path;

fn encoded(rows: &RowBatch) -> Vec<u8> {
    let mut writer = BlockWriter::new(Vec::new()).unwrap();
    writer.push_rows(rows).unwrap();
    let (bytes, summary) = writer.finish().unwrap();
    assert_eq!(summary.rows, rows.row_count() as u64);
    assert_eq!(summary.features, rows.keys.len() as u64);
    assert_eq!(summary.bytes, bytes.len() as u64);
    bytes
}

/// All rows, `rows_max` at a time, of units of `unit_bytes`.
fn read(path: &Path, unit_bytes: u64, rows_max: usize) -> Result<RowBatch, DataError> {
    let files = data_files(&[path.to_string_lossy().into_owned()], None)?;
    let plan = UnitPlan::new(&files, unit_bytes)?;
    let mut reader = UnitReader::new(files.into(), ReaderConfig::default());
    let mut cursor = UnitCursor::default();
    let mut all = RowBatch::default();
    let mut local = LocalBatch::default();
    while let Some(unit) = plan.next_unit(&mut cursor) {
        reader.begin_unit(&unit)?;
        while !{
            let progress = reader.read_local(rows_max, &mut local)?;
            let keys: Vec<_> = local.local.iter().map(|&place| local.unique[place as usize]).collect();
            for row in 0..local.row_count() {
                let features = local.offsets[row] as usize..local.offsets[row + 1] as usize;
                let values = if local.values.is_empty() { &[] } else { &local.values[features.clone()] };
                all.push_row(local.labels[row], &keys[features], values);
            }
            progress.is_last
        } {}
    }
    Ok(all)
}

fn some_rows(count: u64, key_end: u64) -> RowBatch {
    let mut rows = RowBatch::default();
    for row in 0..count {
        let keys: Vec<_> =
            (0..row % 7).map(|feature| (row * 7 + feature).wrapping_mul(0x9e37_79b9) % key_end).collect();
        rows.push_row((row % 3 % 2) as f32, &keys, &[]);
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn rows_come_back_as_they_were(
        rows in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0u64..u64::MAX, 0..5)), 0..60),
        shift in 0u32..60, even in any::<bool>(), valued in any::<bool>(), rows_max in 1usize..20,
    ) {
        let mut batch = RowBatch::default();
        for (label, keys) in &rows {
            let mut keys: Vec<_> = keys.iter().map(|key| key >> shift).collect();
            if even {
                keys.resize(3, 5);
            }
            let values: Vec<_> = (0..keys.len()).map(|feature| feature as f32 + 0.5).collect();
            batch.push_row(f32::from(*label), &keys, if valued { &values } else { &[] });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.psb");
        std::fs::write(&path, encoded(&batch)).unwrap();
        prop_assert_eq!(read(&path, 1 << 20, rows_max).unwrap(), batch);
    }
}

#[test]
fn minibatches_reach_over_blocks_but_not_over_units() {
    let rows = some_rows(3 * BLOCK_ROWS as u64 + 100, 1 << 20);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.psb");
    std::fs::write(&path, encoded(&rows)).unwrap();
    for rows_max in [100, 1000, BLOCK_ROWS, 5000, 100_000] {
        assert_eq!(read(&path, 1, rows_max).unwrap(), rows);
        assert_eq!(read(&path, 1 << 30, rows_max).unwrap(), rows);
    }
    let files = data_files(&[path.to_string_lossy().into_owned()], None).unwrap();
    let mut reader = UnitReader::new(files.into(), ReaderConfig::default());
    reader.begin_unit(&UnitSource::blocks(0, 1, 2)).unwrap();
    let mut batch = RowBatch::default();
    assert!(!reader.read(5000, &mut batch).unwrap().is_last);
    assert_eq!(batch.row_count(), 5000);
    assert!(reader.read(5000, &mut batch).unwrap().is_last);
    assert_eq!(batch.row_count(), 2 * BLOCK_ROWS - 5000);
}

#[test]
fn places_of_more_than_two_bytes_are_kept() {
    let mut rows = RowBatch::default();
    let keys: Vec<u64> = (0..70_000).map(|key| key * 1_000_003).collect();
    rows.push_row(1.0, &keys, &[]);
    rows.push_row(0.0, &keys[69_990..], &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.psb");
    std::fs::write(&path, encoded(&rows)).unwrap();
    assert_eq!(read(&path, 1, 1).unwrap(), rows);
}

#[test]
fn a_file_without_rows_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.psb");
    std::fs::write(&path, encoded(&RowBatch::default())).unwrap();
    let file = BlockFile::open(&path).unwrap();
    assert_eq!((file.block_count(), file.row_count(), file.key_end()), (0, 0, 0));
    assert!(file.is_all_ones());
}

#[test]
fn no_cut_and_no_flipped_bit_goes_unnoticed() {
    let rows = some_rows(50, 300);
    let whole = encoded(&rows);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.psb");
    for bytes in 0..whole.len() {
        std::fs::write(&path, &whole[..bytes]).unwrap();
        assert!(BlockFile::open(&path).is_err(), "cut to {bytes} bytes");
    }
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        if let Ok(mut file) = BlockFile::open(&path) {
            let mut block = Block::default();
            let read = file.read(0, &mut block);
            assert!(read.is_err(), "bit {bit} of {}", whole.len() * 8);
        }
    }
}

#[test]
fn damage_under_a_right_checksum_is_an_error_too() {
    let rows = some_rows(20, 300);
    let whole = encoded(&rows);
    let mut block = Block::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.psb");
    std::fs::write(&path, &whole).unwrap();
    let (entry, bytes) = BlockFile::open(&path).unwrap().raw_block(0);
    assert_eq!(block.decode(&entry, &bytes), Ok(()));
    for place in 0..bytes.len() {
        for value in 0..=255 {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            let _ = block.decode(&entry, &damaged);
        }
        assert!(block.decode(&entry, &bytes[..place]).is_err());
    }
    for change in [u32::MAX, 1 << 27, 1] {
        for field in 0..4 {
            let mut other = entry;
            let target =
                [&mut other.rows, &mut other.features, &mut other.unique, &mut other.flags].into_iter().nth(field);
            *target.unwrap() ^= change;
            let _ = block.decode(&other, &bytes);
        }
    }
}

#[test]
fn newer_versions_are_refused_by_name() {
    let mut bytes = encoded(&some_rows(3, 9));
    bytes[8] = 7;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.psb");
    std::fs::write(&path, &bytes).unwrap();
    let error = BlockFile::open(&path).expect_err("newer").to_string();
    assert!(error.contains("version 7, this release reads up to 1"), "{error}");
}
