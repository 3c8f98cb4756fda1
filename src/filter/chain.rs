//! The order of the lossless filters of one table, and the memory that they decode into.

use super::bf16::Bf16;
use super::fixed_point::FixedPoint;
use super::nonzero::Nonzero;
use super::pack_keys::{KeyShape, PackKeys};
use super::scratch::{Scratch, Target};
use super::snappy::{BytesMax, Snappy};
use super::{Filter, FilterError, Numbers, Unpacked};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::{Block, Pool, copy_counted};
use crate::wire::{DType, FilterFlags, Filters, FixedPointBits, Quantize};
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

/// The lossless filters of one table. Its halves are fields of their own, so that decoded keys and
/// values can be held at the same time.
#[derive(Debug)]
pub struct Chain {
    /// For key blocks.
    pub keys: KeyChain,
    /// For value blocks.
    pub values: ValueChain,
}

impl Chain {
    /// The filters that a table declares; what they decode does not depend on the declaration.
    #[must_use]
    pub fn new(filters: &Filters, dtype: DType) -> Chain {
        Chain { keys: KeyChain::new(filters), values: ValueChain::new(filters, dtype) }
    }
}

/// Packs key blocks, then compresses them.
#[derive(Debug)]
pub struct KeyChain {
    pack_keys: bool,
    snappy: bool,
    packer: PackKeys,
    compressor: Snappy,
    packed: Scratch,
}

impl KeyChain {
    fn new(filters: &Filters) -> KeyChain {
        KeyChain {
            pack_keys: filters.pack_keys,
            snappy: filters.snappy,
            packer: PackKeys,
            compressor: Snappy::new(FilterFlags::SNAPPY_KEYS),
            packed: Scratch::default(),
        }
    }

    /// Strictly ascending `keys` inside `range` as a smaller block, a multiple of 8 bytes long, and
    /// the bits of what it went through. Nothing: send the keys as they are.
    pub fn encode(&mut self, pool: &Arc<Pool>, range: KeyRange, keys: &[u64]) -> Option<(Block, FilterFlags)> {
        let mut sending = Sending::new(pool, keys.as_bytes());
        if self.pack_keys {
            sending.try_step(&mut self.packer, KeyShape { range, count: keys.len() });
        }
        if self.snappy {
            sending.try_step(&mut self.compressor, BytesMax(0));
        }
        sending.finish()
    }

    /// The keys of a block that went through what `flags` says; other bits are not looked at.
    /// Without key bits the block itself, which must then begin on an 8-byte border.
    ///
    /// # Errors
    /// When the block is not exactly `key_count` keys, and of packed keys, when they are not
    /// strictly ascending inside `range`.
    pub fn decode<'a>(
        &mut self,
        pool: &Arc<Pool>,
        flags: FilterFlags,
        range: KeyRange,
        key_count: usize,
        block: &'a [u8],
    ) -> Result<Unpacked<'a>, FilterError> {
        let plain_bytes = key_count.saturating_mul(8);
        check_plain_bytes("key block", plain_bytes)?;
        let is_packed = flags.has(FilterFlags::PACKED_KEYS);
        if !is_packed && !flags.has(FilterFlags::SNAPPY_KEYS) {
            let is_whole = <[u64]>::ref_from_bytes(block).is_ok_and(|keys| keys.len() == key_count);
            return match is_whole || key_count == 0 && block.is_empty() {
                true => Ok(Unpacked::View(block)),
                false => Err(FilterError::Length { filter: "key block", found: block.len(), expected: plain_bytes }),
            };
        }
        let mut plain = pool.block(plain_bytes);
        if !is_packed {
            self.compressor.decode(BytesMax(plain_bytes), block, Target::Last(&mut plain))?;
            return Ok(Unpacked::Block(plain));
        }
        let mut block = block;
        if flags.has(FilterFlags::SNAPPY_KEYS) {
            let most = BytesMax(PackKeys::bytes_max(key_count));
            let len = self.compressor.decode(most, block, Target::Between(&mut self.packed))?;
            block = self.packed.written(len);
        }
        self.packer.decode(KeyShape { range, count: key_count }, block, Target::Last(&mut plain))?;
        Ok(Unpacked::Block(plain))
    }
}

/// Narrows numbers, drops zeros, then compresses.
#[derive(Debug)]
pub struct ValueChain {
    dtype: DType,
    quantize: Option<Quantize>,
    nonzero: bool,
    snappy: bool,
    compressor: Snappy,
    decompressed: Scratch,
    expanded: Scratch,
}

impl ValueChain {
    fn new(filters: &Filters, dtype: DType) -> ValueChain {
        ValueChain {
            dtype,
            quantize: filters.quantize.filter(|_| dtype == DType::F32),
            nonzero: filters.nonzero,
            snappy: filters.snappy,
            compressor: Snappy::new(FilterFlags::SNAPPY_VALUES),
            decompressed: Scratch::default(),
            expanded: Scratch::default(),
        }
    }

    /// Whether values are always sent as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.quantize.is_none() && !self.nonzero && !self.snappy
    }

    /// `values` (whole numbers) as a smaller block, and the bits of what it went through.
    /// Nothing: send the values as they are.
    pub fn encode(&mut self, pool: &Arc<Pool>, values: &[u8]) -> Option<(Block, FilterFlags)> {
        self.encode_as(self.quantize, pool, values)
    }

    /// As [`encode`](Self::encode), of a difference of numbers that is none itself.
    pub fn encode_difference(&mut self, pool: &Arc<Pool>, difference: &[u8]) -> Option<(Block, FilterFlags)> {
        self.encode_as(None, pool, difference)
    }

    fn encode_as(
        &mut self,
        quantize: Option<Quantize>,
        pool: &Arc<Pool>,
        values: &[u8],
    ) -> Option<(Block, FilterFlags)> {
        let mut sending = Sending::new(pool, values);
        let mut numbers = wide(self.dtype, values.len());
        if let Some(quantize) = quantize
            && sending.try_narrow(quantize, numbers)
        {
            numbers = narrowed(quantize, numbers);
        }
        if self.nonzero {
            sending.try_step(&mut Nonzero, numbers);
        }
        if self.snappy {
            sending.try_step(&mut self.compressor, BytesMax(0));
        }
        sending.finish()
    }

    /// The `value_bytes` bytes of values in a block that went through what `flags` says; other bits
    /// are not looked at. Without value bits the block itself.
    ///
    /// # Errors
    /// When the block is not what the filters make of so many bytes.
    pub fn decode<'a>(
        &mut self,
        pool: &Arc<Pool>,
        flags: FilterFlags,
        value_bytes: usize,
        block: &'a [u8],
    ) -> Result<Unpacked<'a>, FilterError> {
        check_plain_bytes("value block", value_bytes)?;
        if !flags.packs(FilterFlags::VALUE_BLOCK) {
            check_length("value block", block.len(), value_bytes)?;
            return Ok(Unpacked::View(block));
        }
        let mut plain = pool.block(value_bytes);
        self.unpack(flags, block, &mut plain)?;
        Ok(Unpacked::Block(plain))
    }

    /// As [`decode`](Self::decode), to `target`, which has the length of the values; what is in it
    /// after an error is left over.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_into(&mut self, flags: FilterFlags, block: &[u8], target: &mut [u8]) -> Result<(), FilterError> {
        check_plain_bytes("value block", target.len())?;
        if flags.packs(FilterFlags::VALUE_BLOCK) {
            return self.unpack(flags, block, target);
        }
        check_length("value block", block.len(), target.len())?;
        copy_counted(target, block);
        Ok(())
    }

    /// Runs the steps backwards; the last of them writes to `target`.
    fn unpack(&mut self, flags: FilterFlags, block: &[u8], target: &mut [u8]) -> Result<(), FilterError> {
        let ValueChain { compressor, decompressed, expanded, .. } = self;
        let plain = wide(self.dtype, target.len());
        let quantize = narrowing(flags, self.dtype)?;
        let numbers = quantize.map_or(plain, |quantize| narrowed(quantize, plain));
        let has_zeros_left_out = flags.has(FilterFlags::NONZERO);
        let mut block = block;
        if flags.has(FilterFlags::SNAPPY_VALUES) {
            let narrow_max = if quantize.is_some() { FixedPoint::bytes_max(numbers) } else { target.len() };
            let most = if has_zeros_left_out { Nonzero::bytes_max(numbers, narrow_max) } else { narrow_max };
            if !has_zeros_left_out && quantize.is_none() {
                return compressor.decode(BytesMax(most), block, Target::Last(target)).map(|_| ());
            }
            let len = compressor.decode(BytesMax(most), block, Target::Between(decompressed))?;
            block = decompressed.written(len);
        }
        let Some(quantize) = quantize else {
            return Nonzero.decode(numbers, block, Target::Last(target)).map(|_| ());
        };
        if has_zeros_left_out {
            let len = Nonzero.decode(numbers, block, Target::Between(expanded))?;
            block = expanded.written(len);
        }
        let target = Target::Last(target);
        match quantize {
            Quantize::FixedPoint(bits) => FixedPoint(bits).decode(plain, block, target)?,
            Quantize::Bf16 => Bf16.decode(plain, block, target)?,
        };
        Ok(())
    }
}

/// The numbers of a plain value block.
fn wide(dtype: DType, value_bytes: usize) -> Numbers {
    Numbers { count: value_bytes / dtype.bytes(), bytes_each: dtype.bytes() }
}

/// The same numbers in fewer bits.
fn narrowed(quantize: Quantize, numbers: Numbers) -> Numbers {
    let bytes_each = match quantize {
        Quantize::FixedPoint(FixedPointBits::Eight) => 1,
        Quantize::FixedPoint(FixedPointBits::Sixteen) | Quantize::Bf16 => 2,
    };
    Numbers { bytes_each, ..numbers }
}

/// Which narrow numbers the bits name.
fn narrowing(flags: FilterFlags, dtype: DType) -> Result<Option<Quantize>, FilterError> {
    let narrow = flags.only(FilterFlags::NARROW);
    let quantize = match narrow {
        FilterFlags::NONE => return Ok(None),
        FilterFlags::FIXED_POINT_8 => Quantize::FixedPoint(FixedPointBits::Eight),
        FilterFlags::FIXED_POINT_16 => Quantize::FixedPoint(FixedPointBits::Sixteen),
        FilterFlags::BF16 => Quantize::Bf16,
        _ => return Err(FilterError::Flags(narrow)),
    };
    if dtype == DType::F32 { Ok(Some(quantize)) } else { Err(FilterError::Flags(narrow)) }
}

fn check_plain_bytes(what: &'static str, bytes: usize) -> Result<(), FilterError> {
    let limit = limit::FRAME_BODY_BYTES;
    if bytes <= limit { Ok(()) } else { Err(FilterError::TooLarge { what, bytes, limit }) }
}

fn check_length(filter: &'static str, found: usize, expected: usize) -> Result<(), FilterError> {
    if found == expected { Ok(()) } else { Err(FilterError::Length { filter, found, expected }) }
}

/// A block on its way through the filters of a sender.
struct Sending<'a> {
    pool: &'a Arc<Pool>,
    plain: &'a [u8],
    block: Option<Block>,
    flags: FilterFlags,
}

impl<'a> Sending<'a> {
    fn new(pool: &'a Arc<Pool>, plain: &'a [u8]) -> Sending<'a> {
        Sending { pool, plain, block: None, flags: FilterFlags::NONE }
    }

    /// Whether the filter made the block smaller.
    fn try_step<F: Filter>(&mut self, filter: &mut F, shape: F::Shape) -> bool {
        let Some(block) = filter.encode(self.pool, shape, self.block.as_deref().unwrap_or(self.plain)) else {
            return false;
        };
        self.block = Some(block);
        self.flags = self.flags | filter.flag();
        true
    }

    fn try_narrow(&mut self, quantize: Quantize, numbers: Numbers) -> bool {
        match quantize {
            Quantize::FixedPoint(bits) => self.try_step(&mut FixedPoint(bits), numbers),
            Quantize::Bf16 => self.try_step(&mut Bf16, numbers),
        }
    }

    fn finish(self) -> Option<(Block, FilterFlags)> {
        Some((self.block?, self.flags))
    }
}
