//! One chunk of ordered keys: which units its rows lie in, and where among them a key is.
//!
//! Rows lie in ascending order of keys through the chunk's units; free lanes hold `u64::MAX`, which
//! is no key. Whoever moves rows seals the chunk again before it is searched.

use super::column::{Column, UNIT_ROWS};
use super::element::Element;
use super::rows::Rows;
use crate::simd::{Hints, KeyChunk, LINE_KEYS, prefetch};

/// Units of one chunk. Line numbers within it fit a byte, and its head is three cache lines; other
/// sizes were not measured with hints.
pub(super) const CHUNK_UNITS: usize = 8;
/// Keys of one chunk.
pub(super) const CHUNK_KEYS: usize = CHUNK_UNITS * UNIT_ROWS;
const UNIT_LINES: usize = UNIT_ROWS / LINE_KEYS;
const CHUNK_LINES: usize = CHUNK_UNITS * UNIT_LINES;

/// Eight keys, one cache line.
pub(super) type Line = [u64; LINE_KEYS];
/// Room for the lines of a chunk whose units do not follow each other.
pub(super) type Lines = [Line; CHUNK_LINES];
pub(super) static NO_LINES: Lines = [[u64::MAX; LINE_KEYS]; CHUNK_LINES];

/// One chunk: three cache lines.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Chunk {
    pub(super) units: [u32; CHUNK_UNITS],
    count: u16,
    /// Whether the units lie one behind the other in one extent.
    adjoining: bool,
    hints: Hints,
}

impl Chunk {
    pub(super) const EMPTY: Chunk = Chunk { units: [0; CHUNK_UNITS], count: 0, adjoining: true, hints: Hints::EMPTY };

    /// The chunk of the first `count` rows of `units`.
    pub(super) fn of(column: &Column<u64>, units: [u32; CHUNK_UNITS], count: usize) -> Chunk {
        let mut chunk = Chunk { units, count: count as u16, ..Chunk::EMPTY };
        chunk.seal(column);
        chunk
    }

    pub(super) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Units with keys.
    pub(super) fn units(&self) -> &[u32] {
        &self.units[..self.count().div_ceil(UNIT_ROWS)]
    }

    pub(super) fn slot(&self, row: usize) -> u32 {
        self.units[row / UNIT_ROWS] * UNIT_ROWS as u32 + (row % UNIT_ROWS) as u32
    }

    /// The keys in lines: as they lie, or copied together. At least one line; free ones are `u64::MAX`.
    pub(super) fn lines<'a>(&self, column: &'a Column<u64>, room: &'a mut Lines) -> &'a [Line] {
        let units = self.units();
        match units.first() {
            None => &NO_LINES[..1],
            Some(&first) if self.adjoining => {
                column.run(first * UNIT_ROWS as u32, units.len() * UNIT_ROWS).as_chunks().0
            }
            Some(_) => {
                for (room, &unit) in room.chunks_mut(UNIT_LINES).zip(units) {
                    room.copy_from_slice(unit_lines(column, unit));
                }
                &room[..units.len() * UNIT_LINES]
            }
        }
    }

    /// The chunk as the kernel wants it.
    pub(super) fn key_chunk<'a>(&'a self, column: &'a Column<u64>, room: &'a mut Lines) -> KeyChunk<'a> {
        let places = self.units.map(|unit| unit * UNIT_ROWS as u32);
        KeyChunk { hints: &self.hints, lines: self.lines(column, room), places }
    }

    /// The row of the first key that is not below `key`.
    pub(super) fn lower_bound(&self, column: &Column<u64>, key: u64) -> usize {
        let unit = self.units().partition_point(|&unit| column.number(unit * UNIT_ROWS as u32) < key);
        match unit.checked_sub(1) {
            None => 0,
            Some(unit) => {
                let keys = column.run(self.units[unit] * UNIT_ROWS as u32, UNIT_ROWS);
                unit * UNIT_ROWS + keys.partition_point(|&own| own < key)
            }
        }
    }

    /// The first and the last line, by number, that can hold `key`.
    #[inline]
    pub(super) fn lines_of(&self, key: u64) -> (usize, usize) {
        self.hints.lines(key)
    }

    /// One line by number; the last one instead of one that is not there.
    #[inline]
    pub(super) fn line<'a>(&self, column: &'a Column<u64>, line: usize) -> &'a Line {
        let Some(last) = (self.units().len() * UNIT_LINES).checked_sub(1) else { return &NO_LINES[0] };
        let line = line.min(last);
        let slot = self.units[line / UNIT_LINES] * UNIT_ROWS as u32 + (line % UNIT_LINES * LINE_KEYS) as u32;
        column.run(slot, LINE_KEYS).first_chunk().unwrap_or(&NO_LINES[0])
    }

    /// The slot of `key`, searched for by halves.
    pub(super) fn find(&self, column: &Column<u64>, key: u64) -> Option<u32> {
        let row = self.lower_bound(column, key);
        let slot = (row < self.count()).then(|| self.slot(row))?;
        (column.number(slot) == key).then_some(slot)
    }

    /// Asks the cache for all of the chunk.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(&self.units);
        self.hints.prefetch();
    }

    /// Puts keys, each above all those of the chunk, behind them, and gives their slots. There must be room.
    pub(super) fn append<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], slots: &mut [u32]) {
        let (mut keys, mut slots) = (keys, slots);
        while !keys.is_empty() {
            let (unit, lane) = (self.count() / UNIT_ROWS, self.count() % UNIT_ROWS);
            if lane == 0 {
                self.units[unit] = rows.add_unit();
            }
            let first = self.slot(self.count());
            let (now, later) = keys.split_at(keys.len().min(UNIT_ROWS - lane));
            let (own, others) = slots.split_at_mut(now.len());
            rows.keys.run_mut(first, now.len()).copy_from_slice(now);
            own.iter_mut().zip(first..).for_each(|(target, slot)| *target = slot);
            self.count += now.len() as u16;
            (keys, slots) = (later, others);
        }
        self.seal(&rows.keys);
    }

    /// Puts each of `keys` before the row that `gaps` names for it. There must be room.
    pub(super) fn insert<T: Element>(&mut self, rows: &mut Rows<T>, keys: &[u64], gaps: &[u16]) {
        let count = self.count();
        rows.open_gaps(&mut self.units, count, gaps);
        self.count += keys.len() as u16;
        for (index, (&key, &gap)) in keys.iter().zip(gaps).enumerate() {
            *rows.keys.number_mut(self.slot(usize::from(gap) + index)) = key;
        }
        self.seal(&rows.keys);
    }

    /// Cuts the upper half of the units off; no row moves. Gives them and their first key.
    pub(super) fn split(&mut self, column: &Column<u64>) -> (Chunk, u64) {
        const HALF: usize = CHUNK_UNITS / 2;
        let mut upper = Chunk::EMPTY;
        upper.units[..HALF].copy_from_slice(&self.units[HALF..]);
        upper.count = self.count - (HALF * UNIT_ROWS) as u16;
        self.count = (HALF * UNIT_ROWS) as u16;
        self.seal(column);
        upper.seal(column);
        let border = column.number(upper.slot(0));
        (upper, border)
    }

    /// Notes where the keys are, after rows have moved.
    fn seal(&mut self, column: &Column<u64>) {
        let units = self.units();
        let Some(&first) = units.first() else { return };
        let last = column.number(self.slot(self.count() - 1));
        let run = column.run(first * UNIT_ROWS as u32, units.len() * UNIT_ROWS).len();
        let adjoining = run == units.len() * UNIT_ROWS && units.iter().zip(first..).all(|(&unit, next)| unit == next);
        let mut firsts = [u64::MAX; CHUNK_LINES];
        for (firsts, &unit) in firsts.chunks_mut(UNIT_LINES).zip(units) {
            firsts.iter_mut().zip(unit_lines(column, unit)).for_each(|(first, line)| *first = line[0]);
        }
        self.hints = Hints::new(&firsts[..self.count().div_ceil(LINE_KEYS)], last);
        self.adjoining = adjoining;
    }
}

/// The lines of one unit.
#[inline]
fn unit_lines(column: &Column<u64>, unit: u32) -> &[Line] {
    column.run(unit * UNIT_ROWS as u32, UNIT_ROWS).as_chunks().0
}
