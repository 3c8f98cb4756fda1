//! Work units: how data files are cut into pieces of work, from the data and flags alone.
//!
//! Plain text is cut into byte ranges; a unit owns the lines that begin inside. Block files are cut
//! into runs of blocks. How many lines a compressed file holds is not known before it was unpacked,
//! so its units are an open series of line ranges: [`UnitCursor`] goes on with it until a reader
//! has reported the file's end ([`UnitPlan::on_ended`]).

use super::file::DataFile;
use super::format::{Compression, Format};
use super::{DataError, block};
use serde::{Deserialize, Serialize};

/// Lines of a compressed file's unit at least.
const UNIT_ROWS_MIN: u64 = 256;

/// A row of a block file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct BlockPlace {
    /// The block.
    pub block: u64,
    /// The row in it.
    pub row: u64,
}

/// One piece of work. `file` is an index into the job's list of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnitSource {
    /// The lines of a plain text file that begin in `[begin, end)`.
    ByteRange {
        /// Index of the file.
        file: u32,
        /// First byte.
        begin: u64,
        /// One past the last byte.
        end: u64,
    },
    /// Rows of a block file: whole blocks, unless a unit was cut.
    Blocks {
        /// Index of the file.
        file: u32,
        /// First row.
        begin: BlockPlace,
        /// One past the last row.
        end: BlockPlace,
    },
    /// Lines of a compressed text file; blank lines and comments count. May lie behind its end.
    Rows {
        /// Index of the file.
        file: u32,
        /// First line, from 0.
        first_row: u64,
        /// Number of lines.
        row_count: u64,
    },
}

impl UnitSource {
    /// Whole blocks.
    #[must_use]
    pub fn blocks(file: u32, first: u64, count: u64) -> UnitSource {
        let place = |block| BlockPlace { block, row: 0 };
        UnitSource::Blocks { file, begin: place(first), end: place(first.saturating_add(count)) }
    }

    /// Index of the unit's file.
    #[must_use]
    pub fn file(&self) -> u32 {
        match *self {
            UnitSource::ByteRange { file, .. } | UnitSource::Blocks { file, .. } | UnitSource::Rows { file, .. } => {
                file
            }
        }
    }
}

/// The units of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Series {
    /// All known.
    Closed(Vec<UnitSource>),
    /// Line ranges of `unit_rows` each; `rows_total` is known once a reader has met the end.
    Open { file: u32, unit_rows: u64, rows_total: Option<u64> },
}

/// All units of a list of files, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPlan {
    series: Vec<Series>,
}

/// A place in a plan: one pass over its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnitCursor {
    series: usize,
    unit: u64,
}

impl UnitPlan {
    /// Cuts `files` into units of about `unit_bytes` of text, or of blocks, each.
    ///
    /// # Errors
    /// When a block file cannot be read.
    pub fn new(files: &[DataFile], unit_bytes: u64) -> Result<UnitPlan, DataError> {
        let unit_bytes = unit_bytes.max(1);
        let mut series = Vec::with_capacity(files.len());
        for (file, data) in (0..).zip(files) {
            series.push(match (data.format, data.compression) {
                (Format::Block, _) => Series::Closed(block_units(file, data, unit_bytes)?),
                (_, Compression::Plain) => Series::Closed(byte_units(file, data.bytes, unit_bytes)),
                _ => {
                    let unit_rows = (unit_bytes / data.line_bytes).max(UNIT_ROWS_MIN);
                    Series::Open { file, unit_rows, rows_total: None }
                }
            });
        }
        Ok(UnitPlan { series })
    }

    /// Takes note that `file` holds `rows_total` lines, as a reader found.
    pub fn on_ended(&mut self, file: u32, rows_total: u64) {
        if let Some(Series::Open { rows_total: known, .. }) = self.series.get_mut(file as usize) {
            *known = Some(rows_total);
        }
    }

    /// The number of units; none while the end of a compressed file is not known.
    #[must_use]
    pub fn unit_count(&self) -> Option<u64> {
        let counts = self.series.iter().map(|series| match *series {
            Series::Closed(ref units) => Some(units.len() as u64),
            Series::Open { unit_rows, rows_total, .. } => Some(rows_total?.div_ceil(unit_rows)),
        });
        counts.sum()
    }

    /// The unit at `cursor`, which goes on behind it; none at the end of the pass. Units behind the
    /// end of a compressed file whose end is not known yet are given too: they are empty.
    pub fn next_unit(&self, cursor: &mut UnitCursor) -> Option<UnitSource> {
        while let Some(series) = self.series.get(cursor.series) {
            let unit = match *series {
                Series::Closed(ref units) => {
                    usize::try_from(cursor.unit).ok().and_then(|index| units.get(index)).copied()
                }
                Series::Open { file, unit_rows, rows_total } => {
                    let first_row = cursor.unit * unit_rows;
                    let exists = rows_total.is_none_or(|total| first_row < total);
                    exists.then_some(UnitSource::Rows { file, first_row, row_count: unit_rows })
                }
            };
            match unit {
                Some(unit) => {
                    cursor.unit += 1;
                    return Some(unit);
                }
                None => *cursor = UnitCursor { series: cursor.series + 1, unit: 0 },
            }
        }
        None
    }
}

fn byte_units(file: u32, bytes: u64, unit_bytes: u64) -> Vec<UnitSource> {
    let count = bytes.div_ceil(unit_bytes);
    let begin = |unit: u64| (u128::from(bytes) * u128::from(unit) / u128::from(count)) as u64;
    (0..count).map(|unit| UnitSource::ByteRange { file, begin: begin(unit), end: begin(unit + 1) }).collect()
}

fn block_units(file: u32, data: &DataFile, unit_bytes: u64) -> Result<Vec<UnitSource>, DataError> {
    let blocks = block::BlockFile::open(&data.path)?.block_count();
    let mean_bytes = (data.bytes / blocks.max(1)).max(1);
    let count = (unit_bytes / mean_bytes).max(1);
    let firsts = (0..blocks).step_by(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(firsts.map(|first| UnitSource::blocks(file, first, count.min(blocks - first))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: u64) -> DataFile {
        let (format, compression) = (Format::Vw, Compression::Plain);
        DataFile { path: "rows".into(), format, compression, bytes, line_bytes: 10 }
    }

    #[test]
    fn byte_ranges_cover_a_file_without_gap() {
        for (bytes, unit_bytes) in [(1, 1), (1000, 300), (1000, 1000), (7, 100), (u64::MAX, u64::MAX / 3)] {
            let plan = UnitPlan::new(&[plain(bytes)], unit_bytes).unwrap();
            let mut cursor = UnitCursor::default();
            let mut at = 0;
            while let Some(UnitSource::ByteRange { begin, end, .. }) = plan.next_unit(&mut cursor) {
                assert_eq!(begin, at);
                assert!(end > begin && end - begin <= unit_bytes);
                at = end;
            }
            assert_eq!(at, bytes);
        }
    }

    #[test]
    fn an_open_series_ends_where_a_reader_found_the_end() {
        let packed = DataFile { compression: Compression::Zstd, ..plain(100) };
        let mut plan = UnitPlan::new(&[packed, plain(50)], 3000).unwrap();
        assert_eq!(plan.unit_count(), None);
        let mut cursor = UnitCursor::default();
        for unit in 0..5 {
            let expected = UnitSource::Rows { file: 0, first_row: unit * 300, row_count: 300 };
            assert_eq!(plan.next_unit(&mut cursor), Some(expected));
        }
        plan.on_ended(0, 601);
        assert_eq!(plan.next_unit(&mut cursor), Some(UnitSource::ByteRange { file: 1, begin: 0, end: 50 }));
        assert_eq!(plan.next_unit(&mut cursor), None);
        assert_eq!(plan.unit_count(), Some(4));
        let mut cursor = UnitCursor::default();
        assert_eq!(std::iter::from_fn(|| plan.next_unit(&mut cursor)).count(), 4);
    }
}
