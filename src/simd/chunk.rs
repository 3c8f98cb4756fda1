//! Finding request keys in one chunk of an ordered key array.
//!
//! A chunk's keys lie in lines of eight, one cache line each. [`Hints`] cut the chunk's key space into
//! equal buckets and say for each in which line it begins. Where keys spread evenly a bucket holds
//! four, so a key is in the hinted line or in the next one, and no branch depends on it; where they
//! crowd, a bucket spans many lines and the search goes on by halves.

use super::prefetch;

/// Keys of one unit.
pub const UNIT_KEYS: usize = 64;
/// Units of one chunk.
pub const CHUNK_UNITS: usize = 8;
/// Keys of one line.
pub const LINE_KEYS: usize = 8;
/// The place of a key that is not there.
pub const NO_PLACE: u32 = u32::MAX;
/// What [`match_lines`](crate::simd::match_lines) gives for a key that is in neither line.
pub const NO_LANE: u8 = u8::MAX;

/// Buckets of a chunk: a full one has four keys for each, half a line. They cost a quarter of a byte a
/// key, 2 % of a key with an f32; other numbers were not measured.
const BUCKETS: usize = 128;

/// Where to begin to look for a key of one chunk.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    base: u64,
    factor: u64,
    /// By bucket, the first line that may hold one of its keys. Ascending.
    lines: [u8; BUCKETS],
    /// The last line with a key.
    last_line: u8,
}

impl Hints {
    /// For a chunk without keys.
    pub const EMPTY: Hints = Hints { base: 0, factor: 0, lines: [0; BUCKETS], last_line: 0 };

    /// For a chunk whose lines begin with `firsts`, ascending, and whose largest key is `last`.
    #[must_use]
    pub fn new(firsts: &[u64], last: u64) -> Hints {
        let Some(&base) = firsts.first() else { return Hints::EMPTY };
        let span = u128::from(last - base) + 1;
        // Rounded down, so that even the largest key's bucket is one of the table's.
        let factor = u64::try_from(((BUCKETS as u128) << 64) / span).unwrap_or(u64::MAX);
        let mut hints = Hints { base, factor, lines: [0; BUCKETS], last_line: (firsts.len() - 1) as u8 };
        let mut next = 0;
        for (line, &first) in firsts.iter().enumerate().skip(1) {
            let end = hints.bucket(first) + 1;
            if end > next {
                hints.lines[next..end].fill((line - 1) as u8);
                next = end;
            }
        }
        hints.lines[next..].fill(hints.last_line);
        hints
    }

    /// Asks the cache for the hints.
    #[inline(always)]
    pub fn prefetch(&self) {
        prefetch(&self.lines[0]);
        prefetch(&self.lines[BUCKETS - 1]);
    }

    #[inline(always)]
    fn bucket(&self, key: u64) -> usize {
        let offset = u128::from(key.wrapping_sub(self.base));
        ((offset * u128::from(self.factor)) >> 64) as usize % BUCKETS
    }

    /// The first and the last line that can hold `key`.
    #[inline(always)]
    #[must_use]
    pub fn lines(&self, key: u64) -> (usize, usize) {
        let bucket = self.bucket(key);
        let last = self.lines.get(bucket + 1).copied().unwrap_or(self.last_line);
        (usize::from(self.lines[bucket]), usize::from(last))
    }
}

/// A chunk's ascending keys; lanes behind the last key hold `u64::MAX`, which is no key.
#[derive(Debug, Clone, Copy)]
pub struct KeyChunk<'a> {
    /// Where to look.
    pub hints: &'a Hints,
    /// The keys in lines, at least one.
    pub lines: &'a [[u64; LINE_KEYS]],
    /// Place of the first key of each unit of 64; the others follow.
    pub places: [u32; CHUNK_UNITS],
}

impl KeyChunk<'_> {
    /// The place of the `row`-th key.
    #[inline(always)]
    pub(super) fn place(&self, row: usize) -> u32 {
        self.places[row / UNIT_KEYS % CHUNK_UNITS] + (row % UNIT_KEYS) as u32
    }

    /// The row of a key that is in none of the two lines from its first on.
    #[cold]
    pub(super) fn row_further(&self, key: u64) -> Option<usize> {
        let (first, last) = self.hints.lines(key);
        let lines = self.lines.get(first..=last)?;
        let line = first + lines.partition_point(|line| line[0] <= key).checked_sub(1)?;
        let lane = self.lines[line].iter().position(|&own| own == key)?;
        Some(line * LINE_KEYS + lane)
    }

    /// The line where the search for `key` begins, and the one behind it.
    #[inline(always)]
    pub(super) fn two_lines(&self, key: u64) -> (usize, &[u64; LINE_KEYS], &[u64; LINE_KEYS], bool) {
        let (first, last) = self.hints.lines(key);
        let end = self.lines.len() - 1;
        (first, &self.lines[first.min(end)], &self.lines[(first + 1).min(end)], last > first + 1)
    }
}

/// The place of each key, [`NO_PLACE`] for those that are not there; gives the number of these.
#[inline(always)]
pub(super) fn locate(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
    locate_with(chunk, keys, places, match_two)
}

/// [`locate`] with a way to compare a key with two lines: one bit a lane.
#[inline(always)]
pub(super) fn locate_with(
    chunk: &KeyChunk<'_>,
    keys: &[u64],
    places: &mut [u32],
    match_two: impl Fn(&[u64; LINE_KEYS], &[u64; LINE_KEYS], u64) -> u32,
) -> usize {
    let mut missing = 0;
    for (place, &key) in places.iter_mut().zip(keys) {
        let (first, line, next, more) = chunk.two_lines(key);
        let lanes = match_two(line, next, key);
        let row = if lanes != 0 {
            Some(first * LINE_KEYS + lanes.trailing_zeros() as usize)
        } else if more {
            chunk.row_further(key)
        } else {
            None
        };
        *place = row.map_or(NO_PLACE, |row| chunk.place(row));
        missing += usize::from(row.is_none());
    }
    missing
}

/// One bit for each lane of the two lines that holds `key`.
#[inline(always)]
pub(super) fn match_two(line: &[u64; LINE_KEYS], next: &[u64; LINE_KEYS], key: u64) -> u32 {
    let lanes = |line: &[u64; LINE_KEYS]| {
        line.iter().zip(0..).fold(0, |lanes, (&own, lane)| lanes | u32::from(own == key) << lane)
    };
    lanes(line) | lanes(next) << LINE_KEYS
}

/// For each key the lane of its two lines that holds it, the second line's behind the first's;
/// [`NO_LANE`] for none.
#[inline(always)]
pub(super) fn match_lines(lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
    match_lines_with(lines, keys, lanes, match_two);
}

/// [`match_lines`] with a way to compare a key with two lines.
#[inline(always)]
pub(super) fn match_lines_with(
    lines: &[[&[u64; LINE_KEYS]; 2]],
    keys: &[u64],
    lanes: &mut [u8],
    match_two: impl Fn(&[u64; LINE_KEYS], &[u64; LINE_KEYS], u64) -> u32,
) {
    for ((lane, &key), [line, next]) in lanes.iter_mut().zip(keys).zip(lines) {
        let found = match_two(line, next, key);
        *lane = if found == 0 { NO_LANE } else { found.trailing_zeros() as u8 };
    }
}
