use super::super::{Format, UnitCursor, UnitPlan, data_files};
use super::*;
use proptest::prelude::*;
use std::path::Path;

fn open(path: &Path, config: ReaderConfig) -> (UnitReader, Vec<DataFile>) {
    let files = data_files(&[path.to_string_lossy().into_owned()], None).unwrap();
    (UnitReader::new(Arc::from(files.as_slice()), config), files)
}

/// All rows of a file, unit by unit, and the units' row counts.
fn read_units(path: &Path, unit_bytes: u64, rows_max: usize, local: bool) -> (RowBatch, u64) {
    let (mut reader, files) = open(path, ReaderConfig::default());
    let mut plan = UnitPlan::new(&files, unit_bytes).unwrap();
    let mut cursor = UnitCursor::default();
    let mut all = RowBatch::default();
    let (mut batch, mut local_batch) = (RowBatch::default(), LocalBatch::default());
    while let Some(unit) = plan.next_unit(&mut cursor) {
        reader.begin_unit(&unit).unwrap();
        loop {
            let progress = if local {
                let progress = reader.read_local(rows_max, &mut local_batch).unwrap();
                batch = restored(&local_batch);
                progress
            } else {
                reader.read(rows_max, &mut batch).unwrap()
            };
            for row in 0..batch.row_count() {
                all.push_row(batch.labels[row], batch.row_keys(row), batch.row_values(row));
            }
            if let Some(total) = progress.rows_total {
                plan.on_ended(unit.file(), total);
            }
            if progress.is_last {
                break;
            }
            assert_eq!(batch.row_count(), rows_max, "only the last batch of a unit is short");
        }
    }
    (all, plan.unit_count().unwrap())
}

fn restored(local: &LocalBatch) -> RowBatch {
    assert!(local.unique.windows(2).all(|pair| pair[0] < pair[1]));
    let keys: Vec<_> = local.local.iter().map(|&place| local.unique[place as usize]).collect();
    let mut used: Vec<_> = local.local.clone();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), local.unique.len(), "every distinct key is used");
    RowBatch { labels: local.labels.clone(), offsets: local.offsets.clone(), keys, values: local.values.clone() }
}

fn rows_of(rows: &[(bool, Vec<(u64, bool)>)]) -> RowBatch {
    let mut batch = RowBatch::default();
    for (label, features) in rows {
        let mut features = features.clone();
        features.sort_unstable();
        features.dedup_by_key(|feature| feature.0);
        let keys: Vec<_> = features.iter().map(|feature| feature.0).collect();
        let values: Vec<_> = features.iter().map(|feature| if feature.1 { 0.5 } else { 1.0 }).collect();
        let ones = values.iter().all(|&value| value == 1.0);
        batch.push_row(f32::from(*label), &keys, if ones { &[] } else { &values });
    }
    batch
}

fn text_of(rows: &RowBatch, blank_every: usize, ends: bool) -> Vec<u8> {
    let mut text = String::new();
    for row in 0..rows.row_count() {
        if row % blank_every == 0 {
            text.push_str("\n# a comment\n");
        }
        text.push_str(if rows.labels[row] > 0.0 { "1" } else { "-1" });
        for (feature, key) in rows.row_keys(row).iter().enumerate() {
            let value = rows.row_values(row).get(feature).copied().unwrap_or(1.0);
            text.push_str(&format!(" {key}:{value}"));
        }
        text.push('\n');
    }
    if !ends {
        text.pop();
    }
    text.into_bytes()
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_line_is_read_once_however_a_file_is_cut(
        rows in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec((0u64..1 << 40, prop::bool::weighted(0.1)), 0..6)), 1..40),
        unit_bytes in 1u64..200, rows_max in 1usize..9, blank_every in 1usize..20, ends in any::<bool>(),
    ) {
        let expected = rows_of(&rows);
        let text = text_of(&expected, blank_every, ends);
        let folder = tempfile::tempdir().unwrap();
        let plain = write(&folder, "plain.svm", &text);
        for local in [false, true] {
            let (read, units) = read_units(&plain, unit_bytes, rows_max, local);
            prop_assert_eq!(&read, &expected);
            prop_assert_eq!(units, (text.len() as u64).div_ceil(unit_bytes));
        }
        let packed = write(&folder, "packed.svm", &zstd::encode_all(text.as_slice(), 1).unwrap());
        prop_assert_eq!(&read_units(&packed, unit_bytes, rows_max, true).0, &expected);
    }
}

#[test]
fn compressed_files_are_cut_by_lines_and_may_be_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..1000).map(|row| format!("1 {row}:1\n")).collect();
    let path = write(&folder, "packed", &zstd::encode_all(text.as_bytes(), 1).unwrap());
    let (mut reader, _) = open(&path, ReaderConfig::default());
    let mut batch = RowBatch::default();
    for (first_row, rows, rows_total) in
        [(300, 300, None), (700, 300, Some(1000)), (0, 300, None), (900, 100, Some(1000)), (1200, 0, Some(1000))]
    {
        let unit = UnitSource::Rows { file: 0, first_row, row_count: 300 };
        reader.begin_unit(&unit).unwrap();
        let progress = reader.read(5000, &mut batch).unwrap();
        assert_eq!(batch.row_count(), rows);
        assert_eq!(batch.keys, (first_row..first_row + rows as u64).collect::<Vec<_>>());
        assert!(progress.is_last);
        if rows < 300 {
            assert_eq!(progress.rows_total, rows_total);
        }
    }
}

#[test]
fn a_bad_line_is_named_by_its_place_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut text: String = (0..5000).map(|row| format!("1 {row}:1\n")).collect();
    text.push_str("1 5:x\n1 7:1\n1 8\n");
    let plain = write(&folder, "plain.svm", text.as_bytes());
    let packed = write(&folder, "packed.svm", &zstd::encode_all(text.as_bytes(), 1).unwrap());
    for path in [&plain, &packed] {
        let (mut reader, files) = open(path, ReaderConfig::default());
        let plan = UnitPlan::new(&files, 4000).unwrap();
        let mut cursor = UnitCursor::default();
        let mut batch = RowBatch::default();
        let error = loop {
            reader.begin_unit(&plan.next_unit(&mut cursor).unwrap()).unwrap();
            if let Err(error) = reader.read(usize::MAX, &mut batch) {
                break error;
            }
        };
        let expected = format!("{}:5001: \"x\" is no finite number", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn skipped_lines_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "rows", b"1 1:1\n1 2:x\n0 3:1\n1 4:1 4:1\n0 5:1\nnonsense");
    let (mut reader, _) = open(&path, ReaderConfig { skip_bad_lines: true, ..ReaderConfig::default() });
    let mut batch = RowBatch::default();
    reader.begin_unit(&UnitSource::ByteRange { file: 0, begin: 0, end: 1000 }).unwrap();
    assert!(reader.read(100, &mut batch).unwrap().is_last);
    assert_eq!(batch.keys, [1, 3, 5]);
    assert_eq!(reader.bad_lines(), 3);
}

#[test]
fn keys_of_test_data_beyond_the_key_space_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "rows.svm", b"1 3:1 50:1\n0 60:1\n");
    let blocks = folder.path().join("rows.psb");
    let (_, files) = open(&path, ReaderConfig::default());
    super::super::convert(&files, &ReaderConfig::default(), Format::Block, &blocks).unwrap();
    let refuse = ReaderConfig { key_end: Some(50), ..ReaderConfig::default() };
    let drop = ReaderConfig { beyond: Beyond::Drop, ..refuse.clone() };
    for (path, unit) in
        [(&path, UnitSource::ByteRange { file: 0, begin: 0, end: 100 }), (&blocks, UnitSource::blocks(0, 0, 1))]
    {
        let (mut reader, _) = open(path, drop.clone());
        let mut batch = LocalBatch::default();
        reader.begin_unit(&unit).unwrap();
        reader.read_local(10, &mut batch).unwrap();
        assert_eq!((batch.unique, batch.offsets), (vec![3], vec![0, 1, 1]));
        let (mut reader, _) = open(path, refuse.clone());
        let mut batch = LocalBatch::default();
        assert!(reader.begin_unit(&unit).and_then(|()| reader.read_local(10, &mut batch)).is_err());
    }
}

#[test]
fn a_unit_of_other_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "rows.svm", b"1 3:1\n");
    let (mut reader, _) = open(&path, ReaderConfig::default());
    for unit in [UnitSource::blocks(0, 0, 1), UnitSource::ByteRange { file: 1, begin: 0, end: 5 }] {
        assert!(matches!(reader.begin_unit(&unit), Err(DataError::Unit { .. })));
    }
}

#[test]
fn hashed_keys_must_fit_the_key_space() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "rows.vw", b"1 |a b\n");
    let unit = UnitSource::ByteRange { file: 0, begin: 0, end: 7 };
    let narrow = ReaderConfig { bits: 20, key_end: Some(1000), ..ReaderConfig::default() };
    let (mut reader, _) = open(&path, narrow.clone());
    assert!(matches!(reader.begin_unit(&unit), Err(DataError::KeyEnd { key_end: 1_048_576, limit: 1000, .. })));
    let (mut reader, _) = open(&path, ReaderConfig { beyond: Beyond::Drop, ..narrow });
    assert!(reader.begin_unit(&unit).is_ok());
}

/// Reads batches of a unit, at most `count` of them; their rows, and what is left.
fn read_batches(
    reader: &mut UnitReader,
    unit: &UnitSource,
    rows_max: usize,
    count: usize,
) -> (RowBatch, Vec<usize>, Option<UnitSource>) {
    let (mut all, mut sizes, mut local) = (RowBatch::default(), Vec::new(), LocalBatch::default());
    reader.begin_unit(unit).unwrap();
    while sizes.len() < count {
        let progress = reader.read_local(rows_max, &mut local).unwrap();
        let batch = restored(&local);
        (0..batch.row_count())
            .for_each(|row| all.push_row(batch.labels[row], batch.row_keys(row), batch.row_values(row)));
        sizes.push(batch.row_count());
        if progress.is_last {
            return (all, sizes, None);
        }
    }
    let rest = reader.rest().expect("it is not read to its end");
    (all, sizes, Some(rest))
}

/// Cuts a unit behind `batches` batches: what was read is read again in the same batches, and the parts of the rest
/// have all other rows. Gives how many parts there were.
fn check_cut(path: &Path, unit: &UnitSource, rows_max: usize, batches: usize, parts: usize) -> usize {
    let (mut reader, _) = open(path, ReaderConfig::default());
    let (expected, _, _) = read_batches(&mut reader, unit, rows_max, usize::MAX);
    let (read, sizes, Some(rest)) = read_batches(&mut reader, unit, rows_max, batches) else { return 0 };
    let kept = unit.before(&rest).expect("its rest");
    let (mut all, again, left) = read_batches(&mut reader, &kept, rows_max, usize::MAX);
    assert_eq!((&all, again, left), (&read, sizes, None), "{kept:?}");
    let mut parts = rest.parts(parts);
    parts.sort_by_key(|part| match *part {
        UnitSource::ByteRange { begin, .. } => (begin, 0),
        UnitSource::Rows { first_row, .. } => (first_row, 0),
        UnitSource::Blocks { begin, .. } => (begin.block, begin.row),
    });
    for part in &parts {
        let rows = read_batches(&mut reader, part, rows_max, usize::MAX).0;
        (0..rows.row_count()).for_each(|row| all.push_row(rows.labels[row], rows.row_keys(row), rows.row_values(row)));
    }
    assert_eq!(all, expected, "{rest:?} as {parts:?}");
    parts.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_line_is_read_once_however_a_unit_is_cut(
        rows in 1usize..60, rows_max in 1usize..9, blank_every in 1usize..20, ends in any::<bool>(),
        batches in 1usize..6, parts in 1usize..5, begin in 0u64..30, row in 0u64..9,
    ) {
        let rows: Vec<_> = (0..rows as u64).map(|row| (row % 3 == 0, vec![(row * 7 % 50, row % 11 == 0)])).collect();
        let text = text_of(&rows_of(&rows), blank_every, ends);
        let folder = tempfile::tempdir().unwrap();
        let plain = write(&folder, "plain.svm", &text);
        let unit = UnitSource::ByteRange { file: 0, begin: begin.min(text.len() as u64 - 1), end: text.len() as u64 };
        check_cut(&plain, &unit, rows_max, batches, parts);
        let packed = write(&folder, "packed.svm", &zstd::encode_all(text.as_slice(), 1).unwrap());
        check_cut(&packed, &UnitSource::Rows { file: 0, first_row: row, row_count: 50 }, rows_max, batches, parts);
    }
}

#[test]
fn units_of_block_files_are_cut_between_any_two_rows() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..10_000).map(|row| format!("{} {}:1 {}:0.5\n", row % 2, row % 97, 100 + row % 89)).collect();
    let plain = write(&folder, "rows.svm", text.as_bytes());
    let (_, files) = open(&plain, ReaderConfig::default());
    let blocks = folder.path().join("rows.psb");
    super::super::convert(&files, &ReaderConfig::default(), Format::Block, &blocks).unwrap();
    let (_, files) = open(&blocks, ReaderConfig::default());
    let plan = UnitPlan::new(&files, u64::MAX).unwrap();
    let whole = plan.next_unit(&mut UnitCursor::default()).expect("a unit");
    let UnitSource::Blocks { end, .. } = whole else { panic!("{whole:?}") };
    assert!(end.block > 1, "several blocks");
    for (rows_max, batches) in [(100, 1), (1000, 4), (1000, 5), (4096, 1), (5000, 1), (1, 1), (9999, 1)] {
        for parts in 1..4 {
            assert!(check_cut(&blocks, &whole, rows_max, batches, parts) > 0, "{rows_max} {batches}");
        }
    }
    // A part of one block can be parted once its rows are known.
    let last = UnitSource::blocks(0, end.block - 1, 1);
    assert_eq!(check_cut(&blocks, &last, 100, 2, 3), 3);
}
