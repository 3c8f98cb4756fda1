//! Which filters a frame's blocks went through.

use std::ops::BitOr;

/// One bit for each filter, as in [`super::Header::filter_flags`]. Decoding undoes the highest
/// bits of each block last: `SNAPPY_*` first, then `NONZERO` or `PACKED_KEYS`, then the narrow numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilterFlags(pub u16);

impl FilterFlags {
    /// The blocks are as they were.
    pub const NONE: FilterFlags = FilterFlags(0);
    /// The digest stands for the key list.
    pub const KEY_CACHE: FilterFlags = FilterFlags(1);
    /// The key block holds packed differences.
    pub const PACKED_KEYS: FilterFlags = FilterFlags(2);
    /// The key block is compressed.
    pub const SNAPPY_KEYS: FilterFlags = FilterFlags(4);
    /// The value block holds only numbers that are not zero.
    pub const NONZERO: FilterFlags = FilterFlags(8);
    /// The value block is compressed.
    pub const SNAPPY_VALUES: FilterFlags = FilterFlags(16);
    /// The numbers are integers of 8 bits with scales.
    pub const FIXED_POINT_8: FilterFlags = FilterFlags(32);
    /// The numbers are the upper halves of binary32.
    pub const BF16: FilterFlags = FilterFlags(64);
    /// The numbers are integers of 16 bits with scales.
    pub const FIXED_POINT_16: FilterFlags = FilterFlags(128);
    /// Every bit with a meaning; a frame with another one is refused.
    pub const ALL: FilterFlags = FilterFlags(255);
    /// Every bit that says something of the key block's bytes.
    pub const KEY_BLOCK: FilterFlags = FilterFlags(2 | 4);
    /// Every bit that says something of the value block's bytes.
    pub const VALUE_BLOCK: FilterFlags = FilterFlags(8 | 16 | 32 | 64 | 128);

    /// Every bit that says that the numbers have fewer bits; at most one of them is set.
    pub const NARROW: FilterFlags = FilterFlags(32 | 64 | 128);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: FilterFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `block` is set.
    #[must_use]
    pub const fn packs(self, block: FilterFlags) -> bool {
        self.0 & block.0 != 0
    }

    /// The bits that are set in both.
    #[must_use]
    pub const fn only(self, other: FilterFlags) -> FilterFlags {
        FilterFlags(self.0 & other.0)
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for FilterFlags {
    type Output = FilterFlags;

    fn bitor(self, other: FilterFlags) -> FilterFlags {
        FilterFlags(self.0 | other.0)
    }
}
