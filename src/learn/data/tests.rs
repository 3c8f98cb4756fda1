//! The committed data sets, read as a user would.

use super::*;
use std::sync::Arc;

fn committed(name: &str) -> Vec<DataFile> {
    data_files(&[format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))], None).unwrap()
}

/// Reads all rows through a reader thread, as distinct keys and places.
fn read(files: &[DataFile], unit_bytes: u64) -> RowBatch {
    let mut plan = UnitPlan::new(files, unit_bytes).unwrap();
    let ahead = ReadAhead::spawn(Arc::from(files), ReaderConfig::default(), |_| 1000).unwrap();
    let (mut cursor, mut rows, mut number) = (UnitCursor::default(), RowBatch::default(), 0);
    while let Some(unit) = plan.next_unit(&mut cursor) {
        ahead.submit(number, unit);
        loop {
            let received = ahead.receive().unwrap();
            assert_eq!(received.unit, number);
            let batch = &received.batch;
            let keys: Vec<_> = batch.local.iter().map(|&place| batch.unique[place as usize]).collect();
            for row in 0..batch.row_count() {
                let features = batch.offsets[row] as usize..batch.offsets[row + 1] as usize;
                rows.push_row(batch.labels[row], &keys[features], &[]);
            }
            assert!(batch.values.is_empty());
            ahead.recycle(received.batch);
            if let Some(total) = received.progress.rows_total {
                plan.on_ended(unit.file(), total);
            }
            if received.progress.is_last {
                break;
            }
        }
        number += 1;
    }
    rows
}

#[test]
fn the_committed_flights_are_as_described() {
    for (name, rows) in [("nycflights.train.svm.zst", 60_000), ("nycflights.test.svm.zst", 15_000)] {
        let files = committed(name);
        assert_eq!((files[0].format, files[0].compression), (Format::Libsvm, Compression::Zstd));
        let read = read(&files, 4 << 20);
        assert_eq!(read.row_count(), rows);
        let positives = read.labels.iter().map(|&label| f64::from(label)).sum::<f64>() / rows as f64;
        assert!((positives - 0.237).abs() < 0.006, "{positives}");
        let features = read.keys.len() as f64 / rows as f64;
        assert!((43.9..=44.0).contains(&features), "{features}");
        assert!(read.keys.iter().all(|&key| key <= 1 << 20));
    }
}

#[test]
fn committed_clicks_are_the_same_rows_in_every_format() {
    let rows = read(&committed("clicks.vw"), 1000);
    assert_eq!((rows.row_count(), rows.keys.len()), (200, 200 * 39));
    assert_eq!(read(&committed("clicks_v1.psb"), 1000), rows, "block files of version 1 must stay readable");
    let libsvm = read(&committed("clicks.svm"), 1000);
    let criteo = read(&committed("clicks.tsv"), 1000);
    assert_eq!((&libsvm.labels, &criteo.labels), (&rows.labels, &rows.labels));
    assert_eq!(criteo.offsets, rows.offsets);
    for row in 0..200 {
        let mut keys = rows.row_keys(row).to_vec();
        keys.sort_unstable();
        assert_eq!(libsvm.row_keys(row), keys);
    }
}

#[test]
fn clicks_are_generated_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [
        ("clicks.vw", Format::Vw),
        ("clicks.svm", Format::Libsvm),
        ("clicks.tsv", Format::Criteo),
        ("clicks_v1.psb", Format::Block),
    ] {
        let path = folder.path().join(name);
        generate(&GenerateConfig { rows: 200, format, ..GenerateConfig::default() }, &path).unwrap();
        let same = std::fs::read(&path).unwrap() == std::fs::read(&committed(name)[0].path).unwrap();
        assert!(same, "{name} would no longer be what others have measured on");
    }
}

#[test]
fn an_error_travels_in_its_place_and_the_reader_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.svm");
    std::fs::write(&path, "1 1:1\n1 2:1\n1 oops\n1 4:1\n").unwrap();
    let files = data_files(&[path.to_string_lossy().into_owned()], None).unwrap();
    let ahead = ReadAhead::spawn(files.into(), ReaderConfig::default(), |_| 1).unwrap();
    let unit = |begin, end| UnitSource::ByteRange { file: 0, begin, end };
    ahead.submit(7, unit(6, 19));
    ahead.submit(8, unit(19, 25));
    let first = ahead.receive().unwrap();
    assert_eq!((first.unit, first.batch.unique.as_slice(), first.progress.is_last), (7, &[2][..], false));
    assert!(ahead.receive().unwrap_err().to_string().contains("rows.svm:3: "));
    let last = ahead.receive().unwrap();
    assert_eq!((last.unit, last.batch.unique.as_slice(), last.progress.is_last), (8, &[4][..], true));
    assert!(ahead.receive_timeout(std::time::Duration::ZERO).unwrap().is_none());
}
