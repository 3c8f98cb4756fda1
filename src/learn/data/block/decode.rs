//! One block, from bytes to rows. Every length is checked before it is used.

use super::super::batch::{LocalBatch, RowBatch};
use super::super::localize::Localizer;
use super::BLOCK_FEATURES;
use super::layout::{EVEN_ROWS, Entry, HAS_VALUES, KNOWN_FLAGS, WIDE_PLACES};
use std::ops::Range;

/// A block in memory: its rows with places in its own list of distinct keys.
#[derive(Debug, Default)]
pub(in super::super) struct Block {
    rows: LocalBatch,
    /// One past the last key.
    key_end: u64,
    places: Vec<u64>,
}

impl Block {
    /// Replaces the content by the block that `bytes` hold.
    ///
    /// # Errors
    /// What is wrong with the bytes; the block is empty then.
    pub(super) fn decode(&mut self, entry: &Entry, bytes: &[u8]) -> Result<(), &'static str> {
        self.clear();
        let decoded = self.fill(entry, bytes);
        if decoded.is_err() {
            self.clear();
        }
        decoded
    }

    fn fill(&mut self, entry: &Entry, mut bytes: &[u8]) -> Result<(), &'static str> {
        let flags = entry.flags.get();
        let (rows, features) = (entry.rows.get() as usize, entry.features.get() as usize);
        let unique = entry.unique.get() as usize;
        if flags & !KNOWN_FLAGS != 0 {
            return Err("unknown flags");
        }
        if features > BLOCK_FEATURES || unique > features {
            return Err("impossible lengths");
        }
        let label_bytes = take(&mut bytes, rows.div_ceil(8))?;
        self.rows.labels.extend((0..rows).map(|row| f32::from(label_bytes[row / 8] >> (row % 8) & 1)));
        self.fill_offsets(flags, rows, features, &mut bytes)?;
        self.fill_keys(unique, &mut bytes)?;
        let width = if flags & WIDE_PLACES == 0 { 2 } else { 4 };
        let place_bytes = take(&mut bytes, features * width)?;
        if width == 2 {
            let places = place_bytes.as_chunks::<2>().0;
            self.rows.local.extend(places.iter().map(|&place| u32::from(u16::from_le_bytes(place))));
        } else {
            self.rows.local.extend(place_bytes.as_chunks::<4>().0.iter().map(|&place| u32::from_le_bytes(place)));
        }
        if self.rows.local.iter().fold(0, |end, &place| end.max(place as usize + 1)) > unique {
            return Err("a feature without a key");
        }
        if flags & HAS_VALUES != 0 {
            let values = take(&mut bytes, features * 4)?.as_chunks::<4>().0;
            self.rows.values.extend(values.iter().map(|&value| f32::from_le_bytes(value)));
            if !self.rows.values.iter().all(|value| value.is_finite()) {
                return Err("a value that is no finite number");
            }
        }
        if bytes.is_empty() { Ok(()) } else { Err("bytes behind its end") }
    }

    fn fill_offsets(
        &mut self,
        flags: u32,
        rows: usize,
        features: usize,
        bytes: &mut &[u8],
    ) -> Result<(), &'static str> {
        let even = if flags & EVEN_ROWS == 0 { None } else { Some(varint(bytes)?) };
        let mut end = 0u64;
        for _ in 0..rows {
            let length = match even {
                Some(length) => length,
                None => varint(bytes)?,
            };
            end = end.checked_add(length).filter(|&end| end <= features as u64).ok_or("rows beyond its features")?;
            self.rows.offsets.push(end as u32);
        }
        if end == features as u64 { Ok(()) } else { Err("features beyond its rows") }
    }

    fn fill_keys(&mut self, unique: usize, bytes: &mut &[u8]) -> Result<(), &'static str> {
        let mut next_key = 0u64;
        for _ in 0..unique {
            let key = next_key.checked_add(varint(bytes)?).ok_or("a key beyond 64 bits")?;
            next_key = key.checked_add(1).ok_or("a key beyond 64 bits")?;
            self.rows.unique.push(key);
        }
        self.key_end = next_key;
        Ok(())
    }

    /// Takes all rows out.
    pub(in super::super) fn clear(&mut self) {
        self.rows.clear();
        self.key_end = 0;
    }

    /// Number of rows.
    pub(in super::super) fn row_count(&self) -> usize {
        self.rows.row_count()
    }

    /// One past the last key.
    pub(in super::super) fn key_end(&self) -> u64 {
        self.key_end
    }

    /// Appends rows with their keys.
    pub(in super::super) fn append_rows(&self, rows: Range<usize>, out: &mut RowBatch) {
        let features = self.features(&rows);
        if !self.rows.values.is_empty() {
            out.values.resize(out.keys.len(), 1.0);
            out.values.extend_from_slice(&self.rows.values[features.clone()]);
        }
        let unique = &self.rows.unique;
        let base = out.keys.len();
        out.keys.extend(self.rows.local[features.clone()].iter().map(|&place| unique[place as usize]));
        if !out.values.is_empty() {
            out.values.resize(out.keys.len(), 1.0);
        }
        out.labels.extend_from_slice(&self.rows.labels[rows.clone()]);
        let ends = &self.rows.offsets[rows.start + 1..=rows.end];
        out.offsets.extend(ends.iter().map(|&end| (end as usize - features.start + base) as u32));
    }

    /// Replaces `out` by some rows, ranking places instead of keys.
    pub(in super::super) fn local_rows(&mut self, rows: Range<usize>, localizer: &mut Localizer, out: &mut LocalBatch) {
        out.clear();
        let features = self.features(&rows);
        if rows.len() == self.row_count() {
            out.unique.extend_from_slice(&self.rows.unique);
            out.local.extend_from_slice(&self.rows.local);
        } else {
            let places = &self.rows.local[features.clone()];
            localizer.localize_places(places, self.rows.unique.len(), &mut self.places, &mut out.local);
            let unique = &self.rows.unique;
            out.unique.extend(self.places.iter().map(|&place| unique[place as usize]));
        }
        if !self.rows.values.is_empty() {
            out.values.extend_from_slice(&self.rows.values[features.clone()]);
        }
        out.labels.extend_from_slice(&self.rows.labels[rows.clone()]);
        let ends = &self.rows.offsets[rows.start + 1..=rows.end];
        out.offsets.extend(ends.iter().map(|&end| end - features.start as u32));
    }

    fn features(&self, rows: &Range<usize>) -> Range<usize> {
        self.rows.offsets[rows.start] as usize..self.rows.offsets[rows.end] as usize
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
    bytes.split_off(..count).ok_or("too few bytes")
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    if let [byte @ 0..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Ok(u64::from(*byte));
    }
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err("a number beyond 64 bits");
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number beyond 64 bits")
}
