//! One block, from rows to bytes.

use super::super::batch::LocalBatch;
use super::layout::{EVEN_ROWS, Entry, HAS_VALUES, WIDE_PLACES};

/// Appends `batch` as a block to `out` and describes it, as if `out` began at place `offset` of the
/// file. None when a length does not fit its field.
pub(super) fn encode(batch: &LocalBatch, offset: u64, out: &mut Vec<u8>) -> Option<Entry> {
    let begin = out.len();
    let rows = batch.row_count();
    let flags = flags_of(batch);
    labels(&batch.labels, out);
    if flags & EVEN_ROWS == 0 {
        batch.offsets.windows(2).for_each(|pair| varint(u64::from(pair[1] - pair[0]), out));
    } else {
        varint(batch.offsets.get(1).map_or(0, |&length| u64::from(length)), out);
    }
    let mut next_key = 0;
    for &key in &batch.unique {
        varint(key - next_key, out);
        next_key = key + 1;
    }
    if flags & WIDE_PLACES == 0 {
        out.extend(batch.local.iter().flat_map(|&place| (place as u16).to_le_bytes()));
    } else {
        out.extend(batch.local.iter().flat_map(|&place| place.to_le_bytes()));
    }
    out.extend(batch.values.iter().flat_map(|&value| value.to_le_bytes()));
    Some(Entry {
        offset: offset.into(),
        bytes: u32::try_from(out.len() - begin).ok()?.into(),
        rows: u32::try_from(rows).ok()?.into(),
        features: u32::try_from(batch.local.len()).ok()?.into(),
        unique: u32::try_from(batch.unique.len()).ok()?.into(),
        flags: flags.into(),
        checksum: crc32fast::hash(&out[begin..]).into(),
    })
}

fn flags_of(batch: &LocalBatch) -> u32 {
    let mut lengths = batch.offsets.windows(2).map(|pair| pair[1] - pair[0]);
    let first = lengths.next();
    let even = lengths.all(|length| Some(length) == first);
    let wide = batch.unique.len() > 1 << 16;
    let valued = !batch.values.is_empty();
    [(even, EVEN_ROWS), (wide, WIDE_PLACES), (valued, HAS_VALUES)]
        .iter()
        .fold(0, |flags, &(set, flag)| if set { flags | flag } else { flags })
}

fn labels(labels: &[f32], out: &mut Vec<u8>) {
    for eight in labels.chunks(8) {
        let bits = eight.iter().enumerate().fold(0, |bits, (index, &label)| bits | u8::from(label > 0.0) << index);
        out.push(bits);
    }
}

/// Seven bits a byte, low ones first; the high bit says that more follow.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
