//! Where each part's bytes go in a model file, and the header once all parts are written.

use super::MODEL_VERSION;
use super::directory::{
    ARRAY_ALIGNMENT, ARRAYS, ArrayEntry, FLAG_STATE, MAGIC, Prefix, SectionEntry, header_bytes, header_crc32,
};
use super::meta::ModelMeta;
use crate::keyspace::KeyRange;
use crate::store::{PartChecksums, StoreError};
use crc32fast::Hasher;
use zerocopy::IntoBytes;

/// One owned range of one table, as its shard will write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Index of the table in the file.
    pub table: u32,
    /// The range.
    pub range: KeyRange,
    /// Rows that it holds.
    pub key_count: u64,
}

/// Where the bytes of one part go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PartPlace {
    /// File offset of the part's share of each array, by [`crate::store::ArrayKind`].
    pub offsets: [u64; 3],
}

/// A section under construction: neighbouring parts.
#[derive(Debug, Clone)]
struct Section {
    table: u32,
    range: KeyRange,
    key_count: u64,
    parts: std::ops::Range<usize>,
    row_bytes: [u64; 3],
    offsets: [u64; 3],
}

/// The plan of one model file.
#[derive(Debug, Clone)]
pub struct ModelLayout {
    descriptor: Vec<u8>,
    with_state: bool,
    parts: Vec<Part>,
    sections: Vec<Section>,
    places: Vec<PartPlace>,
    file_bytes: u64,
}

impl ModelLayout {
    /// Plans a file of these parts, which are ordered by table and range and do not overlap.
    ///
    /// # Errors
    /// When a name holds a control character, parts are out of order, name a table that is not there, or the file would exceed 2^64 bytes.
    pub fn new(meta: &ModelMeta, parts: &[Part], with_state: bool) -> Result<ModelLayout, StoreError> {
        let damaged = |reason: &str| StoreError::Damaged(reason.to_owned());
        if !meta.is_printable() {
            return Err(damaged("a name in its descriptor holds a control character"));
        }
        let descriptor = postcard::to_stdvec(meta).map_err(|_| damaged("its descriptor cannot be encoded"))?;
        let mut sections: Vec<Section> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let table = meta.tables.get(part.table as usize).ok_or_else(|| damaged("a part of an unknown table"))?;
            match sections.last_mut() {
                Some(last) if (last.table, last.range.end) > (part.table, part.range.begin) => {
                    return Err(damaged("parts out of order"));
                }
                Some(last) if (last.table, last.range.end) == (part.table, part.range.begin) => {
                    last.range.end = part.range.end;
                    last.key_count += part.key_count;
                    last.parts.end = index + 1;
                }
                _ => sections.push(Section {
                    table: part.table,
                    range: part.range,
                    key_count: part.key_count,
                    parts: index..index + 1,
                    row_bytes: table.row_bytes(with_state),
                    offsets: [0; 3],
                }),
            }
        }
        let mut layout =
            ModelLayout { descriptor, with_state, parts: parts.to_vec(), sections, places: Vec::new(), file_bytes: 0 };
        layout.place().ok_or_else(|| damaged("it would be longer than 2^64 bytes"))?;
        Ok(layout)
    }

    /// Gives every array and every part its offset.
    fn place(&mut self) -> Option<()> {
        let mut end = header_bytes(self.descriptor.len() as u64, self.sections.len() as u64)?;
        for section in &mut self.sections {
            for (offset, row_bytes) in section.offsets.iter_mut().zip(section.row_bytes) {
                *offset = end.checked_next_multiple_of(ARRAY_ALIGNMENT)?;
                end = offset.checked_add(section.key_count.checked_mul(row_bytes)?)?;
            }
            let mut rows = 0;
            for part in &self.parts[section.parts.clone()] {
                let offsets = std::array::from_fn(|kind| section.offsets[kind] + rows * section.row_bytes[kind]);
                self.places.push(PartPlace { offsets });
                rows += part.key_count;
            }
        }
        self.file_bytes = end;
        Some(())
    }

    /// Where each part goes, in the order given.
    #[must_use]
    pub fn places(&self) -> &[PartPlace] {
        &self.places
    }

    /// Length of the file. Bytes that nobody writes are zero.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The header, for offset 0, once each part told its checksums, in the order of the parts.
    ///
    /// # Errors
    /// When a part wrote another number of rows than it had announced.
    pub fn header_bytes(&self, checksums: &[PartChecksums]) -> Result<Vec<u8>, StoreError> {
        let wrong = self.parts.len() != checksums.len()
            || self.parts.iter().zip(checksums).any(|(part, written)| part.key_count != written.key_count);
        if wrong {
            return Err(StoreError::Damaged("a part wrote another number of rows than announced".to_owned()));
        }
        let mut prefix = Prefix {
            magic: MAGIC,
            version: MODEL_VERSION.into(),
            descriptor_bytes: (self.descriptor.len() as u32).into(),
            section_count: (self.sections.len() as u32).into(),
            crc32: 0.into(),
            file_bytes: self.file_bytes.into(),
        };
        let mut header = [prefix.as_bytes(), &self.descriptor].concat();
        for section in &self.sections {
            header.extend_from_slice(self.entry(section, &checksums[section.parts.clone()]).as_bytes());
        }
        header.resize(header.len().next_multiple_of(ARRAY_ALIGNMENT as usize), 0);
        prefix.crc32 = header_crc32(&header).into();
        header[..size_of::<Prefix>()].copy_from_slice(prefix.as_bytes());
        Ok(header)
    }

    fn entry(&self, section: &Section, checksums: &[PartChecksums]) -> SectionEntry {
        let mut arrays =
            [ArrayEntry { offset: 0.into(), bytes: 0.into(), crc32: 0.into(), reserved: 0.into() }; ARRAYS];
        for (kind, array) in arrays.iter_mut().take(section.offsets.len()).enumerate() {
            let mut whole = Hasher::new();
            for part in checksums {
                let bytes = part.key_count * section.row_bytes[kind];
                whole.combine(&Hasher::new_with_initial_len(part.crc32[kind], bytes));
            }
            array.offset = section.offsets[kind].into();
            array.bytes = (section.key_count * section.row_bytes[kind]).into();
            array.crc32 = whole.finalize().into();
        }
        SectionEntry {
            table: section.table.into(),
            flags: (if self.with_state { FLAG_STATE } else { 0 }).into(),
            begin: section.range.begin.into(),
            end: section.range.end.into(),
            key_count: section.key_count.into(),
            arrays,
        }
    }
}
