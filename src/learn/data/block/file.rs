//! A block file that is open for reading.

use super::super::error::DataError;
use super::decode::Block;
use super::layout::{END_MAGIC, Entry, Head, MAGIC, Trailer, VERSION};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const HEAD_BYTES: u64 = std::mem::size_of::<Head>() as u64;
const TRAILER_BYTES: u64 = std::mem::size_of::<Trailer>() as u64;
const ENTRY_BYTES: u64 = std::mem::size_of::<Entry>() as u64;

/// A block file: its totals and index; blocks are read one at a time.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: File,
    trailer: Trailer,
    index: Vec<Entry>,
    bytes: Vec<u8>,
}

impl BlockFile {
    /// Opens a file and checks head, trailer and index.
    ///
    /// # Errors
    /// When it cannot be read, is cut, damaged or of a newer version.
    pub fn open(path: &Path) -> Result<BlockFile, DataError> {
        let failed = |error| DataError::read(path, error);
        let file = File::open(path).map_err(failed)?;
        let file_bytes = file.metadata().map_err(failed)?.len();
        if file_bytes < HEAD_BYTES + TRAILER_BYTES {
            return Err(DataError::block(path, format!("it is cut: {file_bytes} bytes")));
        }
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, 0).map_err(failed)?;
        check_head(path, &head)?;
        let mut trailer = Trailer::new_zeroed();
        file.read_exact_at(trailer.as_mut_bytes(), file_bytes - TRAILER_BYTES).map_err(failed)?;
        let index_bytes = check_trailer(path, &trailer, file_bytes)?;
        let mut bytes = vec![0; index_bytes];
        file.read_exact_at(&mut bytes, trailer.index_offset.get()).map_err(failed)?;
        if crc32fast::hash(&bytes) != trailer.index_checksum.get() {
            return Err(DataError::block(path, "its index has a wrong checksum"));
        }
        let index = <[Entry]>::ref_from_bytes(&bytes).map_err(|_| short(path))?.to_vec();
        check_index(path, &trailer, &index)?;
        Ok(BlockFile { path: path.to_owned(), file, trailer, index, bytes: Vec::new() })
    }

    /// Number of blocks.
    #[must_use]
    pub fn block_count(&self) -> u64 {
        self.trailer.blocks.get()
    }

    /// Number of rows.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.trailer.rows.get()
    }

    /// Number of features of all rows.
    #[must_use]
    pub fn feature_count(&self) -> u64 {
        self.trailer.features.get()
    }

    /// One more than the largest key.
    #[must_use]
    pub fn key_end(&self) -> u64 {
        self.trailer.key_end.get()
    }

    /// Whether every value is 1.
    #[must_use]
    pub fn is_all_ones(&self) -> bool {
        self.trailer.all_ones.get() == 1
    }

    /// Reads block `index` into `block`.
    pub(in super::super) fn read(&mut self, index: u64, block: &mut Block) -> Result<(), DataError> {
        let Some(entry) = usize::try_from(index).ok().and_then(|index| self.index.get(index)) else {
            return Err(DataError::Unit { unit: format!("block {index} of {}", self.path.display()) });
        };
        self.bytes.resize(entry.bytes.get() as usize, 0);
        let damaged = |reason: &str| DataError::block(&self.path, format!("block {index}: {reason}"));
        self.file
            .read_exact_at(&mut self.bytes, entry.offset.get())
            .map_err(|error| DataError::read(&self.path, error))?;
        if crc32fast::hash(&self.bytes) != entry.checksum.get() {
            return Err(damaged("wrong checksum"));
        }
        block.decode(entry, &self.bytes).map_err(damaged)?;
        if block.key_end() > self.key_end() { Err(damaged("a key beyond the file's key space")) } else { Ok(()) }
    }
}

#[cfg(test)]
impl BlockFile {
    /// A block as it lies in the file.
    pub(super) fn raw_block(&self, index: usize) -> (Entry, Vec<u8>) {
        let entry = self.index[index];
        let mut bytes = vec![0; entry.bytes.get() as usize];
        self.file.read_exact_at(&mut bytes, entry.offset.get()).unwrap();
        (entry, bytes)
    }
}

#[cold]
fn short(path: &Path) -> DataError {
    DataError::block(path, "it is cut")
}

fn check_head(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let head = Head::read_from_bytes(bytes).map_err(|_| short(path))?;
    if &head.magic != MAGIC {
        return Err(DataError::block(path, "it does not begin as one"));
    }
    if head.reserved.get() != 0 {
        return Err(DataError::block(path, "its head is damaged"));
    }
    match head.version.get() {
        0 => Err(DataError::block(path, "version 0")),
        theirs if theirs > VERSION => Err(DataError::BlockVersion { path: path.to_owned(), theirs, ours: VERSION }),
        _ => Ok(()),
    }
}

/// Gives the bytes of the index.
fn check_trailer(path: &Path, trailer: &Trailer, file_bytes: u64) -> Result<usize, DataError> {
    if &trailer.magic != END_MAGIC {
        return Err(DataError::block(path, "it is cut or still being written"));
    }
    if trailer.computed_checksum() != trailer.checksum.get() || trailer.reserved.get() != 0 {
        return Err(DataError::block(path, "its trailer has a wrong checksum"));
    }
    let index_bytes = trailer.blocks.get().checked_mul(ENTRY_BYTES);
    let end = index_bytes.and_then(|bytes| trailer.index_offset.get().checked_add(bytes));
    match index_bytes.map(usize::try_from) {
        Some(Ok(bytes)) if end == Some(file_bytes - TRAILER_BYTES) => Ok(bytes),
        _ => Err(DataError::block(path, "its index is not where the trailer says")),
    }
}

/// Blocks must stand one behind the other and add up to the totals.
fn check_index(path: &Path, trailer: &Trailer, index: &[Entry]) -> Result<(), DataError> {
    let mut offset = HEAD_BYTES;
    let (mut rows, mut features) = (0, 0);
    for entry in index {
        if entry.offset.get() != offset {
            return Err(DataError::block(path, "its index has a gap"));
        }
        offset += u64::from(entry.bytes.get());
        rows += u64::from(entry.rows.get());
        features += u64::from(entry.features.get());
    }
    let whole = offset == trailer.index_offset.get();
    if whole && rows == trailer.rows.get() && features == trailer.features.get() {
        Ok(())
    } else {
        Err(DataError::block(path, "its index contradicts its totals"))
    }
}
