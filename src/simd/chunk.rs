//! Finding request keys in one chunk of an ordered key array.

/// Keys of one unit.
pub const UNIT_KEYS: usize = 64;
/// Units of one chunk.
pub const CHUNK_UNITS: usize = 8;
/// The place of a key that is not there.
pub const NO_PLACE: u32 = u32::MAX;

/// A chunk's ascending keys, in units of 64; lanes behind the last key hold `u64::MAX`.
#[derive(Debug, Clone, Copy)]
pub struct KeyChunk<'a> {
    /// First key of each unit; `u64::MAX` for units that are not there.
    pub firsts: &'a [u64; CHUNK_UNITS],
    /// The keys of each unit; any others for units that are not there.
    pub units: [&'a [u64; UNIT_KEYS]; CHUNK_UNITS],
    /// Place of each unit's first key; the others follow.
    pub places: [u32; CHUNK_UNITS],
}

/// Keys that are counted.
pub(super) const QUARTER: usize = UNIT_KEYS / 4;

/// Where the quarter begins that holds the first key not below `key`, if any does.
#[inline(always)]
pub(super) fn quarter_of(keys: &[u64; UNIT_KEYS], key: u64) -> usize {
    let half = 2 * QUARTER * usize::from(keys[2 * QUARTER - 1] < key);
    half + QUARTER * usize::from(keys[half + QUARTER - 1] < key)
}

/// The place of each key, [`NO_PLACE`] for those that are not there; gives the number of these.
/// Halves a unit twice and counts the keys below in what is left: no branch depends on a key, so
/// scattered requests cost no mispredictions.
#[inline(always)]
pub(super) fn locate(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
    let mut missing = 0;
    for (place, &key) in places.iter_mut().zip(keys) {
        let unit = chunk.firsts.iter().fold(0, |unit, &first| unit + usize::from(first <= key)).wrapping_sub(1);
        let unit = if unit < CHUNK_UNITS { unit } else { 0 };
        let keys = chunk.units[unit];
        let quarter = quarter_of(keys, key);
        let lane =
            keys[quarter..quarter + QUARTER].iter().fold(quarter, |lane, &other| lane + usize::from(other < key));
        let known = keys[lane % UNIT_KEYS] == key;
        *place = if known { chunk.places[unit] + (lane % UNIT_KEYS) as u32 } else { NO_PLACE };
        missing += usize::from(!known);
    }
    missing
}
