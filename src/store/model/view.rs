//! Reading a model file in place.

use super::MODEL_VERSION;
use super::directory::{
    ARRAY_ALIGNMENT, ArrayEntry, FLAG_STATE, MAGIC, Prefix, SectionEntry, header_bytes, header_crc32,
};
use super::meta::ModelMeta;
use crate::keyspace::KeyRange;
use crate::limit;
use crate::simd;
use crate::store::StoreError;
use zerocopy::FromBytes;

/// A model file's bytes, checked so far that every slice lies inside; [`verify`](Self::verify)
/// reads the arrays too.
#[derive(Debug)]
pub struct ModelView<'a> {
    version: u32,
    header_crc32: u32,
    meta: ModelMeta,
    sections: Vec<SectionView<'a>>,
}

/// The rows of one key range of one table.
#[derive(Debug, Clone, Copy)]
pub struct SectionView<'a> {
    /// Index of the table.
    pub table: usize,
    /// Its key range.
    pub range: KeyRange,
    /// Keys, ascending once verified.
    pub keys: &'a [u64],
    /// `width` numbers a key.
    pub values: &'a [u8],
    /// A state record a key, where the file has update state.
    pub state: Option<&'a [u8]>,
    crc32: [u32; 3],
}

impl<'a> ModelView<'a> {
    /// Checks header and directory. `bytes` is the whole file, aligned to 8 as mapped files are.
    ///
    /// # Errors
    /// When the bytes are no model file, of a newer version, cut or damaged.
    pub fn open(bytes: &'a [u8]) -> Result<ModelView<'a>, StoreError> {
        let (prefix, _) = Prefix::read_from_prefix(bytes).map_err(|_| StoreError::NotAModel("it is too short"))?;
        if prefix.magic != MAGIC {
            return Err(StoreError::NotAModel("its first bytes are not PSHDMODL"));
        }
        let version = prefix.version.get();
        if version > MODEL_VERSION || version == 0 {
            return Err(StoreError::Version { found: version, supported: MODEL_VERSION });
        }
        let (descriptor, directory) = header_of(bytes, &prefix)?;
        let (meta, rest) =
            postcard::take_from_bytes::<ModelMeta>(descriptor).map_err(|_| damaged("its descriptor cannot be read"))?;
        if !rest.is_empty() || meta.tables.len() > limit::TABLES {
            return Err(damaged("its descriptor has a wrong length"));
        }
        if !meta.is_printable() {
            return Err(damaged("its descriptor holds a name with a control character"));
        }
        let sections = directory.iter().map(|entry| section_of(bytes, &meta, entry)).collect::<Result<Vec<_>, _>>()?;
        let ordered =
            |pair: &[SectionView<'_>]| (pair[0].table, pair[0].range.end) <= (pair[1].table, pair[1].range.begin);
        if !sections.windows(2).all(ordered) {
            return Err(damaged("its sections overlap or are out of order"));
        }
        check_places(&prefix, directory)?;
        Ok(ModelView { version, header_crc32: prefix.crc32.get(), meta, sections })
    }

    /// Checksum of the header, which holds the checksums of everything else: it names the model.
    #[must_use]
    pub fn header_crc32(&self) -> u32 {
        self.header_crc32
    }

    /// Version of the file's format.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Tables and metadata.
    #[must_use]
    pub fn meta(&self) -> &ModelMeta {
        &self.meta
    }

    /// Sections in the order of table and key.
    #[must_use]
    pub fn sections(&self) -> &[SectionView<'a>] {
        &self.sections
    }

    /// Rows of one table.
    #[must_use]
    pub fn key_count(&self, table: usize) -> u64 {
        self.sections.iter().filter(|section| section.table == table).map(|section| section.keys.len() as u64).sum()
    }

    /// Reads everything: checksums, and keys that ascend inside their range.
    ///
    /// # Errors
    /// When something is damaged; names what.
    pub fn verify(&self) -> Result<(), StoreError> {
        for section in &self.sections {
            let name = &self.meta.tables[section.table].name;
            let arrays = [
                ("keys", zerocopy::IntoBytes::as_bytes(section.keys)),
                ("values", section.values),
                ("state", section.state.unwrap_or(&[])),
            ];
            for ((kind, bytes), expected) in arrays.into_iter().zip(section.crc32) {
                if crc32fast::hash(bytes) != expected {
                    return Err(StoreError::Damaged(format!("{kind} of table `{name}` have a wrong checksum")));
                }
            }
            let outside = [section.keys.first(), section.keys.last()]
                .into_iter()
                .flatten()
                .any(|&key| !section.range.contains(key));
            if outside || !simd::strictly_ascending(section.keys) {
                return Err(StoreError::Damaged(format!("keys of table `{name}` are out of order or range")));
            }
        }
        Ok(())
    }

    /// Looks ascending `keys` up in a table: calls `found(index of the key, its value's bytes)`.
    pub fn lookup(&self, table: usize, keys: &[u64], mut found: impl FnMut(usize, &'a [u8])) {
        for section in self.sections.iter().filter(|section| section.table == table) {
            let wanted = section.range.slice_of(keys);
            let begin = wanted.start;
            section.rows(section.range).lookup(&keys[wanted], |index, value| found(begin + index, value));
        }
    }
}

impl<'a> SectionView<'a> {
    /// The values as numbers; `None` when `T` has another size than the table's numbers divide into.
    #[must_use]
    pub fn numbers<T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout>(&self) -> Option<&'a [T]> {
        <[T]>::ref_from_bytes(self.values).ok()
    }
}

fn damaged(reason: &str) -> StoreError {
    StoreError::Damaged(reason.to_owned())
}

/// Descriptor and directory, after the checks of length and checksum.
fn header_of<'a>(bytes: &'a [u8], prefix: &Prefix) -> Result<(&'a [u8], &'a [SectionEntry]), StoreError> {
    let descriptor_bytes = prefix.descriptor_bytes.get() as usize;
    let section_count = prefix.section_count.get() as usize;
    let header = header_bytes(descriptor_bytes as u64, section_count as u64)
        .and_then(|end| bytes.get(..usize::try_from(end).ok()?))
        .ok_or_else(|| damaged("it ends inside its header"))?;
    if header_crc32(header) != prefix.crc32.get() {
        return Err(damaged("its header has a wrong checksum"));
    }
    if prefix.file_bytes.get() != bytes.len() as u64 {
        return Err(StoreError::Damaged(format!("it has {} bytes instead of {}", bytes.len(), prefix.file_bytes)));
    }
    let (descriptor, rest) = header[size_of::<Prefix>()..].split_at(descriptor_bytes);
    let directory = <[SectionEntry]>::ref_from_prefix_with_elems(rest, section_count);
    Ok((descriptor, directory.map_err(|_| damaged("it ends inside its directory"))?.0))
}

fn section_of<'a>(bytes: &'a [u8], meta: &ModelMeta, entry: &SectionEntry) -> Result<SectionView<'a>, StoreError> {
    let table = entry.table.get() as usize;
    let table_meta = meta.tables.get(table).ok_or_else(|| damaged("a section of an unknown table"))?;
    let range = KeyRange::new(entry.begin.get(), entry.end.get());
    if range.begin > range.end || range.end > table_meta.key_end {
        return Err(damaged("a section lies outside its table's keys"));
    }
    let with_state = entry.flags.get() & FLAG_STATE != 0;
    let row_bytes = table_meta.row_bytes(with_state);
    let array = |kind: usize| {
        let expected = entry.key_count.get().checked_mul(row_bytes[kind]);
        let found = array_of(bytes, &entry.arrays[kind]).filter(|array| Some(array.len() as u64) == expected);
        found.ok_or_else(|| damaged("an array has a wrong place or length"))
    };
    let keys = <[u64]>::ref_from_bytes(array(0)?).map_err(|_| damaged("its bytes are not aligned to 8 in memory"))?;
    let (values, state) = (array(1)?, array(2)?);
    let crc32 = std::array::from_fn(|kind| entry.arrays[kind].crc32.get());
    Ok(SectionView { table, range, keys, values, state: with_state.then_some(state), crc32 })
}

fn array_of<'a>(bytes: &'a [u8], entry: &ArrayEntry) -> Option<&'a [u8]> {
    let begin = usize::try_from(entry.offset.get()).ok()?;
    let end = begin.checked_add(usize::try_from(entry.bytes.get()).ok()?)?;
    bytes.get(begin..end)
}

/// Arrays follow each other behind the header, aligned and without overlap.
fn check_places(prefix: &Prefix, directory: &[SectionEntry]) -> Result<(), StoreError> {
    let header = header_bytes(prefix.descriptor_bytes.get().into(), prefix.section_count.get().into());
    let mut end = header.unwrap_or(u64::MAX);
    for array in directory.iter().flat_map(|entry| &entry.arrays).filter(|array| array.bytes.get() > 0) {
        let offset = array.offset.get();
        if offset < end || offset % ARRAY_ALIGNMENT != 0 {
            return Err(damaged("its arrays overlap or are not aligned"));
        }
        end = offset.saturating_add(array.bytes.get());
    }
    if end > prefix.file_bytes.get() {
        return Err(damaged("an array has a wrong place or length"));
    }
    Ok(())
}
