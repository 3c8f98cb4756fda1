//! Text data: libsvm, Criteo and Vowpal Wabbit, plain and packed.

use super::scratch::Scratch;
use parashard::learn::data::{
    Beyond, DataFile, Format, ReaderConfig, RowBatch, UnitCursor, UnitPlan, UnitReader, data_files,
};
use std::sync::Arc;

/// Label, keys and values of a row.
type Row = (f32, Vec<u64>, Vec<f32>);

/// Rows beyond this are not read: a small packed file may hold any number.
const ROWS_MAX: usize = 4096;

/// Reads a file whole and in small units: the rows, the number of bad lines, or the first bad line
/// must be the same. The first byte chooses the format and what happens to bad lines and keys, the
/// second the size of the units.
pub(crate) fn rows(data: &[u8]) {
    let [choice, size, text @ ..] = data else { return };
    let format = [Format::Libsvm, Format::Criteo, Format::Vw][usize::from(choice & 3) % 3];
    let config = ReaderConfig {
        bits: 12,
        key_end: (choice & 4 != 0).then_some(1 << 12),
        beyond: if choice & 8 != 0 { Beyond::Drop } else { Beyond::Refuse },
        skip_bad_lines: choice & 16 != 0,
    };
    let scratch = Scratch::new(text);
    let path = scratch.path().display().to_string();
    let Ok(files) = data_files(&[path], Some(format)) else { return };
    let files: Arc<[DataFile]> = files.into();
    let whole = read(&files, &config, u64::MAX, 100);
    // Each unit opens its file, so a large file is not cut into units of a byte.
    let unit_bytes = (u64::from(*size) + 1).max(text.len() as u64 / 16);
    let in_units = read(&files, &config, unit_bytes, 3);
    assert_eq!(whole, in_units, "the cut into units changes what is read");
    if let Ok((rows, _)) = &whole {
        rows.iter().for_each(|row| check(row, &config, format));
    }
}

fn check((label, keys, values): &Row, config: &ReaderConfig, format: Format) {
    assert!(*label == 0.0 || *label == 1.0, "label {label}");
    assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    let hashed = format.is_hashed().then_some(1 << config.bits);
    let key_end = config.key_end.or(hashed).unwrap_or(u64::MAX);
    assert!(keys.iter().all(|key| *key < key_end), "{keys:?}");
}

/// All rows up to the limit and the number of bad lines, or the one line that says what is wrong.
pub(super) fn read(
    files: &Arc<[DataFile]>,
    config: &ReaderConfig,
    unit_bytes: u64,
    rows_max: usize,
) -> Result<(Vec<Row>, u64), String> {
    let one_line = |error: &dyn std::error::Error| {
        let message = error.to_string();
        assert!(!message.contains('\n') && message.len() < 1000, "{message}");
        message
    };
    let mut plan = UnitPlan::new(files, unit_bytes).map_err(|error| one_line(&error))?;
    let mut reader = UnitReader::new(Arc::clone(files), config.clone());
    let (mut rows, mut batch, mut cursor) = (Vec::new(), RowBatch::default(), UnitCursor::default());
    while let Some(unit) = plan.next_unit(&mut cursor) {
        reader.begin_unit(&unit).map_err(|error| one_line(&error))?;
        loop {
            let progress = reader.read(rows_max, &mut batch).map_err(|error| one_line(&error))?;
            assert!(batch.row_count() <= rows_max);
            rows.extend((0..batch.row_count()).map(|index| row(&batch, index)));
            if rows.len() >= ROWS_MAX {
                rows.truncate(ROWS_MAX);
                return Ok((rows, 0));
            }
            if let Some(total) = progress.rows_total {
                plan.on_ended(unit.file(), total);
            }
            if progress.is_last {
                break;
            }
        }
    }
    Ok((rows, reader.bad_lines()))
}

fn row(batch: &RowBatch, index: usize) -> Row {
    let (keys, values) = (batch.row_keys(index).to_vec(), batch.row_values(index).to_vec());
    let values = if values.is_empty() { vec![1.0; keys.len()] } else { values };
    assert_eq!(keys.len(), values.len());
    (batch.labels[index], keys, values)
}
