//! A range of a table as bytes: the section of model files and checkpoints.
//!
//! A section is up to three arrays in key order, each contiguous: keys, values, update state. The
//! bytes of an array are little-endian numbers. A shard writes its part of each array at an offset
//! of its own, in pieces of at most [`PIECE_BYTES`], so that many shards fill one file at the same
//! time; checksums of parts combine into the checksum of the whole array.
//!
//! Without update state only rows that are not zero are written, with it all rows are.

use super::StoreError;
use super::element::Element;
use super::saved::SavedForm;
use super::table::{Table, Typed, each};
use super::typed::{TypedTable, numbers};
use super::update::Update;
use crate::keyspace::KeyRange;
use crc32fast::Hasher;
use std::io;
use zerocopy::IntoBytes;

/// Largest piece that a part is written in.
pub const PIECE_BYTES: usize = 256 << 10;

/// One array of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ArrayKind {
    /// u64 keys, ascending.
    Keys = 0,
    /// `width` numbers a key.
    Values = 1,
    /// State record of each key.
    State = 2,
}

impl ArrayKind {
    /// All arrays, in file order.
    pub const ALL: [ArrayKind; 3] = [ArrayKind::Keys, ArrayKind::Values, ArrayKind::State];
}

/// Size of one part, known before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SectionInfo {
    /// Rows that will be written.
    pub key_count: u64,
    /// Bytes of all arrays together.
    pub bytes: u64,
}

/// Checksums (crc32) of the bytes that one part wrote to each array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct PartChecksums {
    /// Rows that were written.
    pub key_count: u64,
    /// By [`ArrayKind`].
    pub crc32: [u32; 3],
}

/// Takes pieces of arrays: which array, the offset in this part's share of it, the bytes.
pub type PieceSink<'a> = &'a mut (dyn FnMut(ArrayKind, u64, &[u8]) -> io::Result<()> + 'a);

impl Table {
    /// Bytes of one key's update state in a section.
    #[must_use]
    pub fn state_size(&self) -> usize {
        SavedForm::of(self.spec()).state_size()
    }

    /// How much [`write_part`](Self::write_part) will write.
    #[must_use]
    pub fn section_info(&self, range: KeyRange, with_state: bool) -> SectionInfo {
        let key_count = each!(self.typed(), table => table.count_rows(range, with_state));
        let state = if with_state { self.state_size() } else { 0 };
        let row_bytes = 8 + SavedForm::of(self.spec()).value_size() + state;
        SectionInfo { key_count, bytes: key_count * row_bytes as u64 }
    }

    /// Writes the rows of `range`, array by array, in bounded memory.
    ///
    /// # Errors
    /// The first error of `sink`; nothing more is written then.
    pub fn write_part(&self, range: KeyRange, with_state: bool, sink: PieceSink<'_>) -> io::Result<PartChecksums> {
        each!(self.typed(), table => table.write_part(range, with_state, sink))
    }

    /// Takes rows over, whatever was there before at these keys. `values` and `state` are as in a
    /// section. Without state, update functions start from one that keeps each value as it is.
    ///
    /// # Errors
    /// When keys are not ascending or not owned, lengths do not match, or a number is not finite.
    pub fn load(&mut self, keys: &[u64], values: &[u8], state: Option<&[u8]>) -> Result<(), StoreError> {
        each!(self.typed_mut(), table => table.load(keys, values, state))
    }
}

impl<T: Element> TypedTable<T> {
    fn count_rows(&self, range: KeyRange, with_state: bool) -> u64 {
        let mut count = 0;
        self.walk_saved(range, with_state, &mut |keys, _| count += keys.len() as u64);
        count
    }

    /// Visits the rows that a section holds.
    fn walk_saved(&self, range: KeyRange, with_state: bool, visit: &mut dyn FnMut(&[u64], &[u32])) {
        if with_state {
            return self.index.walk(&self.rows.keys, range, visit);
        }
        let form = SavedForm::of(&self.spec);
        let (mut saved_keys, mut saved_slots) = (Vec::new(), Vec::new());
        self.index.walk(&self.rows.keys, range, &mut |keys, slots| {
            saved_keys.clear();
            saved_slots.clear();
            let rows = keys.iter().zip(slots);
            let saved = rows.filter(|(_, slot)| form.is_nonzero(self.rows.values.row(**slot)));
            saved.for_each(|(&key, &slot)| {
                saved_keys.push(key);
                saved_slots.push(slot);
            });
            if !saved_keys.is_empty() {
                visit(&saved_keys, &saved_slots);
            }
        });
    }

    fn write_part(&self, range: KeyRange, with_state: bool, sink: PieceSink<'_>) -> io::Result<PartChecksums> {
        let (mut checksums, form) = (PartChecksums::default(), SavedForm::of(&self.spec));
        for kind in ArrayKind::ALL {
            let mut pieces = Pieces::new(kind, sink);
            self.walk_saved(range, with_state, &mut |keys, slots| match kind {
                ArrayKind::Keys => {
                    checksums.key_count += keys.len() as u64;
                    pieces.add(keys.as_bytes());
                }
                ArrayKind::Values => {
                    slots.iter().for_each(|&slot| form.with_value(self.rows.values.row(slot), |b| pieces.add(b)));
                }
                ArrayKind::State if !with_state || form.state_numbers == 0 => {}
                ArrayKind::State => slots.iter().for_each(|&slot| pieces.add(self.rows.state.row(slot).as_bytes())),
            });
            checksums.crc32[kind as usize] = pieces.finish()?;
        }
        Ok(checksums)
    }

    fn load(&mut self, keys: &[u64], values: &[u8], state: Option<&[u8]>) -> Result<(), StoreError> {
        self.check_load(keys, values, state)?;
        let (width, state_width) = (self.width(), self.state_width());
        let values = numbers::<T>(values);
        let state = state.filter(|_| state_width > 0).map(numbers::<T::Sum>);
        let mut wide = vec![T::Sum::default(); width];
        let mut slots = std::mem::take(&mut self.slots);
        self.place(keys, &mut slots);
        for (row, (&slot, value)) in slots.iter().zip(values.chunks_exact(width)).enumerate() {
            self.rows.values.row_mut(slot).copy_from_slice(value);
            match (&state, &self.update) {
                (Some(state), _) => {
                    self.rows.state.row_mut(slot).copy_from_slice(&state[row * state_width..][..state_width]);
                }
                (None, Update::Stateful(function)) if state_width > 0 => {
                    let state = self.rows.state.row_mut(slot);
                    state.fill(T::Sum::default());
                    T::widen_all(value, &mut wide);
                    function.warm_start(&wide, state);
                }
                (None, _) => {}
            }
        }
        self.slots = slots;
        Ok(())
    }

    fn check_load(&self, keys: &[u64], values: &[u8], state: Option<&[u8]>) -> Result<(), StoreError> {
        self.check_order(keys)?;
        let owned_count: usize = self.owned.iter().map(|own| own.slice_of(keys).len()).sum();
        if owned_count != keys.len() {
            let range = KeyRange::new(keys[0], keys[keys.len() - 1].saturating_add(1));
            return Err(StoreError::NotOwned { table: self.name(), range });
        }
        let (count, largest) = (keys.len() as u64, T::DTYPE.largest());
        self.check_numbers::<T>(count, self.width(), largest, values)?;
        let check_state = |state| self.check_numbers::<T::Sum>(count, self.state_width(), largest, state);
        state.map_or(Ok(()), check_state)
    }
}

/// Collects one array's bytes into pieces, with offset and checksum.
struct Pieces<'a> {
    kind: ArrayKind,
    sink: PieceSink<'a>,
    buffer: Vec<u8>,
    offset: u64,
    hasher: Hasher,
    failure: Option<io::Error>,
}

impl<'a> Pieces<'a> {
    fn new(kind: ArrayKind, sink: PieceSink<'a>) -> Pieces<'a> {
        Pieces { kind, sink, buffer: Vec::new(), offset: 0, hasher: Hasher::new(), failure: None }
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > PIECE_BYTES {
            self.flush();
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        if self.failure.is_none() && !self.buffer.is_empty() {
            self.hasher.update(&self.buffer);
            self.failure = (self.sink)(self.kind, self.offset, &self.buffer).err();
            self.offset += self.buffer.len() as u64;
        }
        self.buffer.clear();
    }

    fn finish(mut self) -> io::Result<u32> {
        self.flush();
        match self.failure {
            Some(error) => Err(error),
            None => Ok(self.hasher.finalize()),
        }
    }
}
