//! Writes a block file, row by row, in bounded memory and one pass.

use super::super::batch::{LocalBatch, RowBatch};
use super::super::localize::Localizer;
use super::BLOCK_ROWS;
use super::encode::encode;
use super::layout::{END_MAGIC, Entry, Head, MAGIC, Trailer, VERSION};
use std::io::{self, Write};
use zerocopy::{FromZeros, IntoBytes};

/// Features after which a block ends early: long rows make short blocks.
const BLOCK_FEATURES_MAX: usize = 1 << 22;

/// What a block file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSummary {
    /// Number of rows.
    pub rows: u64,
    /// Number of features of all rows.
    pub features: u64,
    /// One more than the largest key.
    pub key_end: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes a block file. Nothing is whole before [`BlockWriter::finish`].
#[derive(Debug)]
pub struct BlockWriter<W: Write> {
    out: W,
    offset: u64,
    index: Vec<Entry>,
    totals: Trailer,
    pending: RowBatch,
    localizer: Localizer,
    local: LocalBatch,
    bytes: Vec<u8>,
}

impl<W: Write> BlockWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What the output says.
    pub fn new(mut out: W) -> io::Result<BlockWriter<W>> {
        let head = Head { magic: *MAGIC, version: VERSION.into(), reserved: 0.into() };
        out.write_all(head.as_bytes())?;
        let totals = Trailer { all_ones: 1.into(), magic: *END_MAGIC, ..Trailer::new_zeroed() };
        Ok(BlockWriter {
            out,
            offset: size_of::<Head>() as u64,
            index: Vec::new(),
            totals,
            pending: RowBatch::default(),
            localizer: Localizer::new(),
            local: LocalBatch::default(),
            bytes: Vec::new(),
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// What the output says.
    pub fn push_rows(&mut self, rows: &RowBatch) -> io::Result<()> {
        for row in 0..rows.row_count() {
            self.pending.push_row(rows.labels[row], rows.row_keys(row), rows.row_values(row));
            if self.pending.row_count() == BLOCK_ROWS || self.pending.keys.len() >= BLOCK_FEATURES_MAX {
                self.flush_block()?;
            }
        }
        Ok(())
    }

    /// Writes what is pending, the index and the trailer.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<(W, BlockSummary)> {
        self.flush_block()?;
        self.totals.index_offset = self.offset.into();
        self.totals.blocks = (self.index.len() as u64).into();
        self.totals.index_checksum = crc32fast::hash(self.index.as_bytes()).into();
        self.totals.checksum = self.totals.computed_checksum().into();
        self.out.write_all(self.index.as_bytes())?;
        self.out.write_all(self.totals.as_bytes())?;
        let summary = BlockSummary {
            rows: self.totals.rows.get(),
            features: self.totals.features.get(),
            key_end: self.totals.key_end.get(),
            bytes: self.offset + (size_of_val(self.index.as_slice()) + size_of::<Trailer>()) as u64,
        };
        Ok((self.out, summary))
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.pending.row_count() == 0 {
            return Ok(());
        }
        self.localizer.localize_rows(&mut self.pending, &mut self.local);
        if self.local.values.iter().all(|&value| value == 1.0) {
            self.local.values.clear();
        }
        self.bytes.clear();
        let Some(entry) = encode(&self.local, self.offset, &mut self.bytes) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a row is too long for a block"));
        };
        self.out.write_all(&self.bytes)?;
        self.offset += u64::from(entry.bytes.get());
        self.index.push(entry);
        let totals = &mut self.totals;
        totals.rows += u64::from(entry.rows.get());
        totals.features += u64::from(entry.features.get());
        let key_end = self.local.unique.last().map_or(0, |key| key + 1);
        totals.key_end = totals.key_end.get().max(key_end).into();
        if !self.local.values.is_empty() {
            totals.all_ones = 0.into();
        }
        Ok(())
    }
}
