//! Block files.

use super::rows::read;
use super::scratch::Scratch;
use parashard::learn::data::{
    DataFile, Format, LocalBatch, ReaderConfig, UnitCursor, UnitPlan, UnitReader, data_files,
};
use std::sync::Arc;

const TRAILER_BYTES: usize = 64;
const ENTRY_BYTES: usize = 32;

/// Reads a block file, as rows and as distinct keys with places. Checksums are mended first where
/// the index can be found, or the fuzzer would hardly ever come past them.
pub(crate) fn block(data: &[u8]) {
    open(data);
    open(&with_checksums(data));
}

fn open(data: &[u8]) {
    let scratch = Scratch::new(data);
    let path = scratch.path().display().to_string();
    let Ok(files) = data_files(&[path], Some(Format::Block)) else { return };
    let files: Arc<[DataFile]> = files.into();
    let config = ReaderConfig::default();
    let whole = read(&files, &config, u64::MAX, 1000);
    assert_eq!(whole, read(&files, &config, 1, 7), "the cut into units changes what is read");
    let _ = places(&files, &config);
}

/// Reads all units as distinct keys and places, which must fit each other.
fn places(files: &Arc<[DataFile]>, config: &ReaderConfig) -> Option<()> {
    let plan = UnitPlan::new(files, 1 << 20).ok()?;
    let mut reader = UnitReader::new(Arc::clone(files), config.clone());
    let (mut batch, mut cursor) = (LocalBatch::default(), UnitCursor::default());
    while let Some(unit) = plan.next_unit(&mut cursor) {
        reader.begin_unit(&unit).ok()?;
        while !reader.read_local(1000, &mut batch).ok()?.is_last {
            assert!(batch.unique.is_sorted_by(|a, b| a < b));
            assert!(batch.local.iter().all(|place| (*place as usize) < batch.unique.len()));
            assert_eq!(batch.offsets.last().map(|end| *end as usize), Some(batch.local.len()));
        }
    }
    Some(())
}

/// The file with right checksums of blocks, index and trailer; unchanged where these are not found.
pub(crate) fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let _ = mend(&mut bytes);
    bytes
}

fn mend(bytes: &mut [u8]) -> Option<()> {
    let trailer = bytes.len().checked_sub(TRAILER_BYTES)?;
    let number = |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let index = usize::try_from(number(bytes, trailer)?).ok()?;
    let count = usize::try_from(number(bytes, trailer + 8)?).ok()?;
    if index.checked_add(count.checked_mul(ENTRY_BYTES)?)? != trailer {
        return None;
    }
    for entry in (index..trailer).step_by(ENTRY_BYTES) {
        let begin = usize::try_from(number(bytes, entry)?).ok()?;
        let length = usize::try_from(number(bytes, entry + 8)? & 0xffff_ffff).ok()?;
        let checksum = crc32fast::hash(bytes.get(begin..begin.checked_add(length)?)?);
        bytes[entry + 28..entry + 32].copy_from_slice(&checksum.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes[index..trailer]);
    bytes[trailer + 44..trailer + 48].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[trailer..trailer + 48]);
    bytes[trailer + 48..trailer + 52].copy_from_slice(&checksum.to_le_bytes());
    Some(())
}
