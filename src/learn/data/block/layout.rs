//! Head, index entry and trailer, byte by byte.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a block file.
pub(in super::super) const MAGIC: &[u8; 8] = b"PSHDBLCK";
/// Last bytes of a block file that is whole.
pub(super) const END_MAGIC: &[u8; 8] = b"PSHDBEND";
/// The version that this release writes, and the newest it reads.
pub(super) const VERSION: u32 = 1;

/// A block has values; without it they are all 1.
pub(super) const HAS_VALUES: u32 = 1;
/// A block's places take 4 bytes instead of 2.
pub(super) const WIDE_PLACES: u32 = 2;
/// Every row of a block has the same number of features, so no lengths are stored.
pub(super) const EVEN_ROWS: u32 = 4;
/// All flags that mean something.
pub(super) const KNOWN_FLAGS: u32 = HAS_VALUES | WIDE_PLACES | EVEN_ROWS;

/// First bytes of the file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Head {
    pub(super) magic: [u8; 8],
    pub(super) version: U32,
    pub(super) reserved: U32,
}

/// What the index says of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Entry {
    /// Place of the block in the file.
    pub(super) offset: U64,
    pub(super) bytes: U32,
    pub(super) rows: U32,
    pub(super) features: U32,
    /// Distinct keys.
    pub(super) unique: U32,
    pub(super) flags: U32,
    /// CRC-32 of the block's bytes.
    pub(super) checksum: U32,
}

/// Last bytes of the file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Trailer {
    pub(super) index_offset: U64,
    pub(super) blocks: U64,
    pub(super) rows: U64,
    pub(super) features: U64,
    /// One more than the largest key.
    pub(super) key_end: U64,
    /// 1 when every value of the file is 1.
    pub(super) all_ones: U32,
    /// CRC-32 of the index.
    pub(super) index_checksum: U32,
    /// CRC-32 of the trailer's bytes before this field.
    pub(super) checksum: U32,
    pub(super) reserved: U32,
    pub(super) magic: [u8; 8],
}

impl Trailer {
    /// The checksum that the trailer should hold.
    pub(super) fn computed_checksum(&self) -> u32 {
        let checked = std::mem::offset_of!(Trailer, checksum);
        crc32fast::hash(&self.as_bytes()[..checked])
    }
}
