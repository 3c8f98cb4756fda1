//! Ascending keys as packed differences.
//!
//! Format: for each [`BLOCK_KEYS`] keys (fewer at the end) one byte with the width, then `width` bits
//! for each key, lowest first, ending at a whole byte. A key's number is how far it lies behind the
//! smallest that could stand there: the base for the first key, and else the key before plus one.
//! Eight numbers of any width fill whole bytes, so each eight begin at one.

use super::scalar::strictly_ascending;

/// Keys that share a width.
pub(super) const BLOCK_KEYS: usize = 128;
/// Widest number that is packed; a wider one makes its block as wide as keys are.
pub(super) const WIDTH_MAX: usize = 56;
/// A number of this width is a key's eight bytes.
pub(super) const WIDTH_WHOLE: usize = 64;
/// Numbers that fill whole bytes at every width.
pub(super) const GROUP: usize = 8;
/// Bytes that are read at once for a group.
pub(super) const WINDOW: usize = 64;

/// Numbers of one block.
pub(super) type Gaps = [u64; BLOCK_KEYS];

/// The most bytes that `pack_keys` uses for so many keys, those included that it writes in passing.
#[must_use]
pub fn packed_bytes_max(key_count: usize) -> usize {
    key_count.div_ceil(BLOCK_KEYS) * (1 + 8 * BLOCK_KEYS) + WINDOW
}

/// Bits for numbers with these bits set among them.
#[inline(always)]
pub(super) fn width_of(seen: u64) -> usize {
    let width = 64 - seen.leading_zeros() as usize;
    if width <= WIDTH_MAX { width } else { WIDTH_WHOLE }
}

/// Bytes of `count` numbers.
#[inline(always)]
pub(super) fn payload_bytes(count: usize, width: usize) -> usize {
    (count * width).div_ceil(8)
}

/// Packs a list block by block: `pack` packs one block's numbers at a width.
#[inline(always)]
pub(super) fn pack_with(base: u64, keys: &[u64], target: &mut [u8], pack: impl Fn(&Gaps, usize, &mut [u8])) -> usize {
    let (mut base, mut at) = (base, 0);
    let mut gaps: Gaps = [0; BLOCK_KEYS];
    for keys in keys.chunks(BLOCK_KEYS) {
        gaps[keys.len()..].fill(0);
        gaps[0] = keys[0].wrapping_sub(base);
        for ((gap, key), before) in gaps[1..].iter_mut().zip(&keys[1..]).zip(keys) {
            *gap = key.wrapping_sub(*before).wrapping_sub(1);
        }
        base = keys[keys.len() - 1].wrapping_add(1);
        let width = width_of(gaps.iter().fold(0, |seen, gap| seen | gap));
        target[at] = width as u8;
        pack(&gaps, width, &mut target[at + 1..]);
        at += 1 + payload_bytes(keys.len(), width);
    }
    at
}

/// Unpacks a list block by block: `unpack` makes the keys of one block from its numbers.
#[inline(always)]
pub(super) fn unpack_with(
    base: u64,
    packed: &[u8],
    keys: &mut [u64],
    unpack: impl Fn(u64, &[u8], usize, &mut Gaps),
) -> Option<usize> {
    let (mut base, mut rest) = (base, packed);
    for keys in keys.chunks_mut(BLOCK_KEYS) {
        let (&width, payload) = rest.split_first()?;
        let width = usize::from(width);
        let len = payload_bytes(keys.len(), width);
        if width > WIDTH_MAX && width != WIDTH_WHOLE || payload.len() < len {
            return None;
        }
        let mut padded;
        let window = if payload.len() >= GROUP_COUNT * width + WINDOW {
            payload
        } else {
            padded = [0; 8 * BLOCK_KEYS + WINDOW];
            padded[..len].copy_from_slice(&payload[..len]);
            &padded
        };
        match <&mut Gaps>::try_from(&mut *keys) {
            Ok(keys) => unpack(base, window, width, keys),
            Err(_) => {
                let mut all = [0; BLOCK_KEYS];
                unpack(base, window, width, &mut all);
                keys.copy_from_slice(&all[..keys.len()]);
            }
        }
        base = behind(base, width, keys)?;
        rest = &payload[len..];
    }
    Some(packed.len() - rest.len())
}

/// The smallest key that may follow a block's, which must ascend from `base`. Numbers of
/// [`WIDTH_MAX`] bits add up to less than 2^64: if one of these keys wrapped, the last one did.
#[inline(always)]
fn behind(base: u64, width: usize, keys: &[u64]) -> Option<u64> {
    let last = keys[keys.len() - 1];
    let ascends = width <= WIDTH_MAX || keys[0] >= base && strictly_ascending(keys);
    if ascends && last >= base { last.checked_add(1) } else { None }
}

/// Groups of one block.
const GROUP_COUNT: usize = BLOCK_KEYS / GROUP;

#[inline(always)]
pub(super) fn pack_keys(base: u64, keys: &[u64], target: &mut [u8]) -> usize {
    pack_with(base, keys, target, pack_block)
}

#[inline(always)]
pub(super) fn unpack_keys(base: u64, packed: &[u8], keys: &mut [u64]) -> Option<usize> {
    unpack_with(base, packed, keys, unpack_block)
}

/// Writes the numbers of one block, and zeros up to a word behind them.
#[inline(always)]
pub(super) fn pack_block(gaps: &Gaps, width: usize, target: &mut [u8]) {
    if width == WIDTH_WHOLE {
        return pack_whole(gaps, target);
    }
    let (mut at, mut bits, mut filled) = (0, 0, 0);
    for gap in gaps {
        bits |= gap << filled;
        target[at..at + 8].copy_from_slice(&bits.to_le_bytes());
        filled += width;
        at += filled / 8;
        bits = bits.checked_shr((filled & !7) as u32).unwrap_or(0);
        filled %= 8;
    }
}

#[inline(always)]
pub(super) fn pack_whole(gaps: &Gaps, target: &mut [u8]) {
    let (words, _) = target.as_chunks_mut::<8>();
    words.iter_mut().zip(gaps).for_each(|(word, gap)| *word = gap.to_le_bytes());
}

/// The keys of one block: `packed` holds a window behind the last group.
#[inline(always)]
pub(super) fn unpack_block(base: u64, packed: &[u8], width: usize, keys: &mut Gaps) {
    let mut base = base;
    if width == WIDTH_WHOLE {
        return unpack_whole(base, packed, keys);
    }
    let mask = (1 << width) - 1;
    for (group, keys) in keys.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let window: &[u8; WINDOW] = packed[group * width..].first_chunk().unwrap_or(&[0; WINDOW]);
        for (index, key) in keys.iter_mut().enumerate() {
            let bit = index * width;
            let at = (bit / 8).min(WINDOW - 8);
            let word = window[at..at + 8].first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
            *key = base.wrapping_add(word >> (bit % 8) & mask);
            base = key.wrapping_add(1);
        }
    }
}

#[inline(always)]
pub(super) fn unpack_whole(base: u64, packed: &[u8], keys: &mut Gaps) {
    let mut base = base;
    for (key, &word) in keys.iter_mut().zip(packed.as_chunks::<8>().0) {
        *key = base.wrapping_add(u64::from_le_bytes(word));
        base = key.wrapping_add(1);
    }
}
