//! The fixed-size structures of the header.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub(super) const MAGIC: [u8; 8] = *b"PSHDMODL";

/// Arrays start at multiples of this.
pub(super) const ARRAY_ALIGNMENT: u64 = 64;

/// Arrays of a section: keys, values, state, records.
pub(super) const ARRAYS: usize = 4;

/// Set where the section has update state.
pub(super) const FLAG_STATE: u32 = 1;

/// First bytes of the file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Prefix {
    pub(super) magic: [u8; 8],
    pub(super) version: U32,
    pub(super) descriptor_bytes: U32,
    pub(super) section_count: U32,
    pub(super) crc32: U32,
    pub(super) file_bytes: U64,
}

/// Directory entry of one section.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct SectionEntry {
    pub(super) table: U32,
    pub(super) flags: U32,
    pub(super) begin: U64,
    pub(super) end: U64,
    pub(super) key_count: U64,
    pub(super) arrays: [ArrayEntry; ARRAYS],
}

/// Directory entry of one array.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ArrayEntry {
    pub(super) offset: U64,
    pub(super) bytes: U64,
    pub(super) crc32: U32,
    pub(super) reserved: U32,
}

/// The header's checksum: over all its bytes except the field that holds it.
pub(super) fn header_crc32(header: &[u8]) -> u32 {
    const FIELD: std::ops::Range<usize> = 20..24;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..FIELD.start]);
    hasher.update(&header[FIELD.end..]);
    hasher.finalize()
}

/// Bytes of the header with the padding behind it.
pub(super) fn header_bytes(descriptor_bytes: u64, section_count: u64) -> Option<u64> {
    let directory = section_count.checked_mul(size_of::<SectionEntry>() as u64)?;
    let bytes = (size_of::<Prefix>() as u64).checked_add(descriptor_bytes)?.checked_add(directory)?;
    bytes.checked_next_multiple_of(ARRAY_ALIGNMENT)
}
