use super::super::{ReaderConfig, UnitCursor, UnitPlan, UnitReader, data_files};
use super::*;
use std::path::PathBuf;

fn made(config: &GenerateConfig) -> (tempfile::TempDir, PathBuf, GenerateSummary) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    let summary = generate(config, &path).unwrap();
    (folder, path, summary)
}

fn rows(path: &Path) -> RowBatch {
    let files = data_files(&[path.to_string_lossy().into_owned()], None).unwrap();
    let plan = UnitPlan::new(&files, u64::MAX).unwrap();
    let mut reader = UnitReader::new(files.into(), ReaderConfig::default());
    reader.begin_unit(&plan.next_unit(&mut UnitCursor::default()).unwrap()).unwrap();
    let mut rows = RowBatch::default();
    assert!(reader.read(usize::MAX, &mut rows).unwrap().is_last);
    rows
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_stream_others() {
    let config = GenerateConfig { rows: 10_000, ..GenerateConfig::default() };
    let (_first, path, summary) = made(&config);
    let (_second, again, summary_again) = made(&config);
    assert_eq!(summary, summary_again);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, summary.bytes);
    assert_eq!(bytes, std::fs::read(&again).unwrap());
    let (_third, other, _) = made(&GenerateConfig { stream: 1, ..config });
    assert_ne!(bytes, std::fs::read(&other).unwrap());
}

#[test]
fn all_formats_hold_the_same_rows() {
    let config = GenerateConfig { rows: 5000, ..GenerateConfig::default() };
    let (_vw, vw, _) = made(&config);
    let (_block, block, _) = made(&GenerateConfig { format: Format::Block, ..config.clone() });
    let (_libsvm, libsvm, _) = made(&GenerateConfig { format: Format::Libsvm, ..config.clone() });
    let (_criteo, criteo, summary) = made(&GenerateConfig { format: Format::Criteo, ..config });
    let rows_of = rows(&vw);
    assert_eq!(rows_of.row_count() as u64, summary.rows);
    assert_eq!(rows_of, rows(&block));
    let ordered = rows(&libsvm);
    let criteo = rows(&criteo);
    assert!((0..5000).all(|row| criteo.row_keys(row).len() == FIELDS));
    assert_eq!(ordered.labels, rows_of.labels);
    assert_eq!(criteo.labels, rows_of.labels);
    let mut keys = rows_of.row_keys(7).to_vec();
    keys.sort_unstable();
    assert_eq!(ordered.row_keys(7), keys);
}

#[test]
fn the_default_model_has_the_published_figures() {
    let config = GenerateConfig { rows: 200_000, stream: 1, ..GenerateConfig::default() };
    let (_folder, _, summary) = made(&config);
    assert!((summary.base_rate - 0.255).abs() < 0.004, "{summary:?}");
    assert!((summary.bayes_log_loss_expected - 0.480).abs() < 0.004, "{summary:?}");
    assert!((summary.bayes_log_loss - summary.bayes_log_loss_expected).abs() < 0.003, "{summary:?}");
    assert!((summary.constant_log_loss - 0.567).abs() < 0.004, "{summary:?}");
}
