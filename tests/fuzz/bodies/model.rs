//! Model files.

use parashard::memory::Pool;
use parashard::store::{KeyRange, ModelView};

const PREFIX_BYTES: usize = 32;
const ENTRY_BYTES: usize = 128;
const ARRAYS_AT: usize = 32;
const ARRAY_BYTES: usize = 24;

/// Reads a model file and looks all its keys up. Length and checksums are mended first where the
/// directory can be found, or the fuzzer would hardly ever come past them.
pub(crate) fn model(data: &[u8]) {
    open(data);
    open(&with_checksums(data));
}

fn open(data: &[u8]) {
    thread_local! {
        static POOL: std::sync::Arc<Pool> = Pool::unbounded();
    }
    let mut bytes = POOL.with(|pool| pool.block(data.len().max(1)));
    bytes[..data.len()].copy_from_slice(data);
    let view = match ModelView::open(&bytes[..data.len()]) {
        Ok(view) => view,
        Err(error) => return one_line(&error),
    };
    for table in 0..view.meta().tables.len() {
        view.lookup(table, &[0, 1, 331, 5000, u64::MAX - 1], |_, _| {});
    }
    match view.verify() {
        Ok(()) => look_up(&view),
        Err(error) => one_line(&error),
    }
}

fn one_line(error: &dyn std::error::Error) {
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
}

/// Every key of a verified model is found, with its own value.
fn look_up(view: &ModelView<'_>) {
    for section in view.sections() {
        let whole = section.rows(section.range);
        assert_eq!((whole.keys, whole.values, whole.state), (section.keys, section.values, section.state));
        let middle = section.range.begin + section.range.span() / 2;
        let upper = section.rows(KeyRange::new(middle, section.range.end));
        assert!(upper.keys.iter().all(|key| *key >= middle));
        let mut found = 0;
        let size = section.values.len() / section.keys.len().max(1);
        view.lookup(section.table, section.keys, |index, value| {
            assert_eq!(value, &section.values[index * size..(index + 1) * size]);
            found += 1;
        });
        assert_eq!(found, section.keys.len());
    }
}

/// The file with right length and checksums of header and arrays; unchanged where these are not found.
pub(crate) fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let _ = mend(&mut bytes);
    bytes
}

fn mend(bytes: &mut [u8]) -> Option<()> {
    let number = |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let half = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let directory = PREFIX_BYTES.checked_add(half(bytes, 12)?)?;
    let end = directory.checked_add(half(bytes, 16)?.checked_mul(ENTRY_BYTES)?)?;
    let header = end.checked_next_multiple_of(64).filter(|&header| header <= bytes.len())?;
    let length = bytes.len() as u64;
    bytes[24..32].copy_from_slice(&length.to_le_bytes());
    for entry in (directory..end).step_by(ENTRY_BYTES) {
        for array in (entry + ARRAYS_AT..entry + ENTRY_BYTES - ARRAY_BYTES).step_by(ARRAY_BYTES) {
            let begin = usize::try_from(number(bytes, array)?).ok()?;
            let array_end = begin.checked_add(usize::try_from(number(bytes, array + 8)?).ok()?)?;
            if let Some(content) = bytes.get(begin..array_end) {
                let checksum = crc32fast::hash(content);
                bytes[array + 16..array + 20].copy_from_slice(&checksum.to_le_bytes());
            }
        }
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..20]);
    hasher.update(&bytes[24..header]);
    bytes[20..24].copy_from_slice(&hasher.finalize().to_le_bytes());
    Some(())
}
