//! Reads work units, one after the other, into batches.
//!
//! One reader a worker. It keeps the file it is in: the unpacking of a compressed file goes on
//! where the unit before ended, as long as units come in ascending order. Rows of text are parsed
//! straight into the caller's batch; rows of blocks are copied with places instead of keys.

use super::batch::{LocalBatch, RowBatch};
use super::block::{Block, BlockFile};
use super::error::{BadLine, DataError};
use super::file::{DataFile, open_unpacked};
use super::format::Compression;
use super::lines::LineStream;
use super::localize::Localizer;
use super::parser::{RowParser, line_end, parser_for};
use super::unit::{BlockPlace, UnitSource};
use super::{BITS_MAX, Beyond, ReaderConfig};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// What a reader says of a unit beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnitProgress {
    /// The unit has no more rows. Its last batch may be empty.
    pub is_last: bool,
    /// Lines of the unit's compressed file, when its end was met.
    pub rows_total: Option<u64>,
}

/// Reads units of a list of files.
pub struct UnitReader {
    files: Arc<[DataFile]>,
    config: ReaderConfig,
    unit: Option<UnitSource>,
    open: Open,
    bad_lines: u64,
    localizer: Localizer,
    rows: RowBatch,
}

/// What the reader is in.
enum Open {
    Nothing,
    Text(Text),
    Blocks(Box<Blocks>),
}

struct Text {
    file: u32,
    stream: LineStream,
    parser: Box<dyn RowParser>,
}

struct Blocks {
    file: u32,
    blocks: BlockFile,
    block: Block,
    /// The first row of `block` that was not given, and one past the unit's last.
    row: usize,
    rows: usize,
    /// Rows before the unit in the next block.
    skip: u64,
    /// Next block to read, and one past the unit's last row.
    next: u64,
    end: BlockPlace,
}

impl UnitReader {
    /// A reader of `files`; none is opened yet.
    #[must_use]
    pub fn new(files: Arc<[DataFile]>, config: ReaderConfig) -> UnitReader {
        UnitReader {
            files,
            config,
            unit: None,
            open: Open::Nothing,
            bad_lines: 0,
            localizer: Localizer::new(),
            rows: RowBatch::default(),
        }
    }

    /// Bad lines skipped so far.
    #[must_use]
    pub fn bad_lines(&self) -> u64 {
        self.bad_lines
    }

    /// Goes to the start of `unit`, leaving the one before wherever it is.
    ///
    /// # Errors
    /// When its file cannot be read, or there is no such unit.
    pub fn begin_unit(&mut self, unit: &UnitSource) -> Result<(), DataError> {
        let file = unit.file();
        let Some(data) = self.files.get(file as usize) else {
            return Err(DataError::Unit { unit: format!("{unit:?}") });
        };
        check_bits(data, &self.config)?;
        let failed = |error| DataError::read(&data.path, error);
        let before = std::mem::replace(&mut self.open, Open::Nothing);
        self.unit = Some(*unit);
        self.open = match (unit, parser_for(data.format, &self.config)) {
            (&UnitSource::ByteRange { begin, end, .. }, Some(parser)) if data.compression == Compression::Plain => {
                let stream = byte_range(data, begin, end).map_err(failed)?;
                Open::Text(Text { file, stream, parser })
            }
            (&UnitSource::Rows { first_row, row_count, .. }, Some(parser)) => {
                let mut text = match before {
                    Open::Text(text) if text.file == file && text.stream.lines_consumed() <= Some(first_row) => text,
                    _ => Text { file, stream: whole_file(data).map_err(failed)?, parser },
                };
                let consumed = text.stream.lines_consumed().unwrap_or(0);
                text.stream.skip_lines(first_row - consumed).map_err(failed)?;
                text.stream.limit_lines(row_count);
                Open::Text(text)
            }
            (&UnitSource::Blocks { begin, end, .. }, None) => {
                let mut blocks = match before {
                    Open::Blocks(blocks) if blocks.file == file => blocks,
                    _ => Box::new(open_blocks(file, data, &self.config)?),
                };
                blocks.block.clear();
                (blocks.row, blocks.rows, blocks.skip) = (0, 0, begin.row);
                (blocks.next, blocks.end) = (begin.block, end);
                Open::Blocks(blocks)
            }
            _ => return Err(DataError::Unit { unit: format!("{unit:?} of {}", data.path.display()) }),
        };
        Ok(())
    }

    /// What of the unit lies behind the rows that were read, of a unit that was not read to its end.
    #[must_use]
    pub fn rest(&self) -> Option<UnitSource> {
        match (self.unit?, &self.open) {
            (UnitSource::ByteRange { file, end, .. }, Open::Text(text)) => {
                Some(UnitSource::ByteRange { file, begin: text.stream.offset(), end })
            }
            (UnitSource::Rows { file, first_row, row_count }, Open::Text(text)) => {
                let begin = text.stream.lines_consumed()?;
                Some(UnitSource::Rows {
                    file,
                    first_row: begin,
                    row_count: row_count.checked_sub(begin.checked_sub(first_row)?)?,
                })
            }
            (UnitSource::Blocks { file, .. }, Open::Blocks(blocks)) => {
                let block = blocks.next.checked_sub(1)?;
                let place = |row: usize| BlockPlace { block, row: row as u64 };
                let end = if blocks.has_next() { blocks.end } else { place(blocks.rows) };
                Some(UnitSource::Blocks { file, begin: place(blocks.row), end })
            }
            _ => None,
        }
    }

    /// Replaces `out` by the unit's next rows, `rows_max` unless the unit ends before.
    ///
    /// # Errors
    /// At a bad line or block, or when the file cannot be read. The unit cannot be gone on with.
    pub fn read(&mut self, rows_max: usize, out: &mut RowBatch) -> Result<UnitProgress, DataError> {
        out.clear();
        let progress = match &mut self.open {
            Open::Nothing => UnitProgress { is_last: true, rows_total: None },
            Open::Text(text) => {
                let read = text.read(&self.files, &self.config, &mut self.bad_lines, rows_max, out);
                if read.is_err() {
                    self.open = Open::Nothing;
                }
                read?
            }
            Open::Blocks(blocks) => blocks.read(rows_max, out)?,
        };
        self.drop_beyond(out);
        Ok(progress)
    }

    /// As [`UnitReader::read`], with the distinct keys in order and places among them.
    ///
    /// # Errors
    /// As [`UnitReader::read`].
    pub fn read_local(&mut self, rows_max: usize, out: &mut LocalBatch) -> Result<UnitProgress, DataError> {
        if let Open::Blocks(blocks) = &mut self.open
            && let Some(progress) = blocks.read_local(rows_max, &mut self.localizer, &self.config, out)?
        {
            return Ok(progress);
        }
        let mut rows = std::mem::take(&mut self.rows);
        let read = self.read(rows_max, &mut rows);
        self.localizer.localize_rows(&mut rows, out);
        self.rows = rows;
        read
    }

    fn drop_beyond(&self, rows: &mut RowBatch) {
        if let (Beyond::Drop, Some(key_end)) = (self.config.beyond, self.config.key_end) {
            rows.drop_keys_from(key_end);
        }
    }
}

/// Hashed keys must fit the key space: they are not looked at one by one.
fn check_bits(data: &DataFile, config: &ReaderConfig) -> Result<(), DataError> {
    let limit = config.key_end.unwrap_or(u64::MAX);
    let key_end = 1 << config.bits.min(BITS_MAX);
    if data.format.is_hashed() && config.beyond == Beyond::Refuse && key_end > limit {
        return Err(DataError::KeyEnd { path: data.path.clone(), key_end, limit });
    }
    Ok(())
}

/// The lines of a plain file that begin in `[begin, end)`.
fn byte_range(data: &DataFile, begin: u64, end: u64) -> io::Result<LineStream> {
    let mut file = File::open(&data.path)?;
    // The line that contains the byte before the range belongs to the range before, whatever follows.
    let start = begin.saturating_sub(1);
    file.seek(SeekFrom::Start(start))?;
    let mut stream = LineStream::new(Box::new(file), start).with_limit(end);
    if begin > 0 {
        stream.skip_line_rest()?;
    }
    Ok(stream)
}

fn whole_file(data: &DataFile) -> io::Result<LineStream> {
    Ok(LineStream::new(open_unpacked(&data.path, data.compression)?, 0).counting())
}

fn open_blocks(file: u32, data: &DataFile, config: &ReaderConfig) -> Result<Blocks, DataError> {
    let blocks = BlockFile::open(&data.path)?;
    let limit = config.key_end.unwrap_or(u64::MAX);
    if config.beyond == Beyond::Refuse && blocks.key_end() > limit {
        return Err(DataError::KeyEnd { path: data.path.clone(), key_end: blocks.key_end(), limit });
    }
    let (block, end) = (Block::default(), BlockPlace::default());
    Ok(Blocks { file, blocks, block, row: 0, rows: 0, skip: 0, next: 0, end })
}

impl Text {
    fn read(
        &mut self,
        files: &[DataFile],
        config: &ReaderConfig,
        bad_lines: &mut u64,
        rows_max: usize,
        out: &mut RowBatch,
    ) -> Result<UnitProgress, DataError> {
        let data = &files[self.file as usize];
        let failed = |error| DataError::read(&data.path, error);
        loop {
            let text = self.stream.lines().map_err(failed)?;
            if text.is_empty() || out.row_count() == rows_max {
                break;
            }
            match self.parser.parse(text, rows_max, out) {
                Ok(bytes) => self.stream.consume(bytes),
                Err(bad) if config.skip_bad_lines => {
                    let bytes = line_end(text, bad.begin);
                    self.stream.consume(bytes);
                    *bad_lines += 1;
                }
                Err(bad) => return Err(self.located(data, bad)),
            }
        }
        let is_last = self.stream.lines().map_err(failed)?.is_empty();
        let rows_total = self.stream.lines_consumed().filter(|_| self.stream.is_exhausted());
        Ok(UnitProgress { is_last, rows_total })
    }

    /// Finds the line number of a bad line by counting line ends before it.
    fn located(&mut self, data: &DataFile, bad: BadLine) -> DataError {
        let place = self.stream.offset() + bad.begin as u64;
        let lines_before = match self.stream.lines_consumed() {
            Some(_) => {
                self.stream.consume(bad.begin);
                Ok(self.stream.lines_consumed().unwrap_or(0))
            }
            None => count_lines(data, place),
        };
        match lines_before {
            Ok(count) => DataError::Line { path: data.path.clone(), line: count + 1, reason: bad.reason },
            Err(error) => DataError::read(&data.path, error),
        }
    }
}

/// Counts the lines of a plain file before byte `end`.
fn count_lines(data: &DataFile, end: u64) -> io::Result<u64> {
    let mut head = File::open(&data.path)?.take(end);
    let mut piece = vec![0; 256 << 10];
    let mut count = 0;
    loop {
        match head.read(&mut piece)? {
            0 => return Ok(count),
            bytes => count += memchr::memchr_iter(b'\n', &piece[..bytes]).count() as u64,
        }
    }
}

impl Blocks {
    /// Whether rows of the next block are of the unit.
    fn has_next(&self) -> bool {
        BlockPlace { block: self.next, row: 0 } < self.end
    }

    /// Goes to the next block with rows. False at the unit's end.
    fn advance(&mut self) -> Result<bool, DataError> {
        while self.row == self.rows && self.has_next() {
            (self.row, self.rows) = (0, 0);
            self.block.clear();
            self.blocks.read(self.next, &mut self.block)?;
            let all = self.block.row_count();
            let within = |row: u64| usize::try_from(row).map_or(all, |row| row.min(all));
            self.rows = if self.next == self.end.block { within(self.end.row) } else { all };
            self.row = within(std::mem::take(&mut self.skip)).min(self.rows);
            self.next += 1;
        }
        Ok(self.row < self.rows)
    }

    fn read(&mut self, rows_max: usize, out: &mut RowBatch) -> Result<UnitProgress, DataError> {
        while out.row_count() < rows_max && self.advance()? {
            let count = (rows_max - out.row_count()).min(self.rows - self.row);
            self.block.append_rows(self.row..self.row + count, out);
            self.row += count;
        }
        self.progress()
    }

    /// Reads rows that lie in one block; none when the wanted rows do not, or need a second look.
    fn read_local(
        &mut self,
        rows_max: usize,
        localizer: &mut Localizer,
        config: &ReaderConfig,
        out: &mut LocalBatch,
    ) -> Result<Option<UnitProgress>, DataError> {
        if !self.advance()? {
            out.clear();
            return self.progress().map(Some);
        }
        let left = self.rows - self.row;
        let drops = self.block.key_end() > config.key_end.unwrap_or(u64::MAX);
        if drops || (left < rows_max && self.has_next()) {
            return Ok(None);
        }
        let count = left.min(rows_max);
        self.block.local_rows(self.row..self.row + count, localizer, out);
        self.row += count;
        self.progress().map(Some)
    }

    fn progress(&mut self) -> Result<UnitProgress, DataError> {
        Ok(UnitProgress { is_last: !self.advance()?, rows_total: None })
    }
}

#[cfg(test)]
mod tests;
