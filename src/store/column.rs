//! One number array of a table, grown in units of rows.
//!
//! A *slot* is a row's place: `unit * 64 + lane`. Units of 64 rows lie in extents, arrays of about
//! [`EXTENT_BYTES`] in pool memory, so a slot costs one shift, one mask and two bounded loads, and
//! growing copies at most one extent. A full extent moves only when a row of it changes while an answer
//! is being sent from it: that copies one extent, once.

use crate::memory::{Array, Pool, TxBuf};
use crate::simd::{prefetch, prefetch_far};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Rows of one unit.
pub(super) const UNIT_ROWS: usize = 64;

/// Bytes of values in one extent, where one unit does not need more.
const EXTENT_BYTES: usize = 128 << 10;

/// How slots map to extents; the same for all columns of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Slots with equal high bits share an extent.
    shift: u32,
    /// Units that an extent holds; at most `2^shift / 64`.
    units: u32,
}

impl Geometry {
    /// For rows of `row_bytes`. The units that fit into an extent need not be a power of two, so slot
    /// numbers may skip at an extent's end; pool blocks are as close to what each column needs.
    pub(super) fn new(row_bytes: usize) -> Geometry {
        let unit_bytes = UNIT_ROWS * row_bytes.max(1);
        let units = (EXTENT_BYTES / unit_bytes).max(1);
        Geometry { shift: (units * UNIT_ROWS).next_power_of_two().trailing_zeros(), units: units as u32 }
    }

    /// Rows of one extent.
    pub(super) fn extent_rows(self) -> u64 {
        u64::from(self.units) * UNIT_ROWS as u64
    }

    /// The unit behind `unit`.
    pub(super) fn next(self, unit: u32) -> u32 {
        let mask = (1 << (self.shift - UNIT_ROWS.trailing_zeros())) - 1;
        if (unit & mask) + 1 == self.units { (unit | mask) + 1 } else { unit + 1 }
    }

    /// The `ordinal`-th unit.
    pub(super) fn unit(self, ordinal: u64) -> u32 {
        let extent = ordinal / u64::from(self.units);
        ((extent << (self.shift - UNIT_ROWS.trailing_zeros())) + ordinal % u64::from(self.units)) as u32
    }

    /// Rows from `slot` to the end of its extent.
    pub(super) fn rows_to_end(self, slot: u32) -> usize {
        self.units as usize * UNIT_ROWS - self.extent(slot).1
    }

    fn extent(self, slot: u32) -> (usize, usize) {
        ((slot >> self.shift) as usize, slot as usize & self.row_mask())
    }

    fn row_mask(self) -> usize {
        (1 << self.shift) - 1
    }

    /// The row mask; in a whole extent one that shows the compiler that rows lie inside.
    #[inline]
    fn whole_mask(self, len: usize) -> usize {
        if len.is_power_of_two() { len - 1 } else { self.row_mask() }
    }

    /// How the slots of a group lie to each other.
    #[inline]
    fn group(self, slots: &[u32]) -> Group {
        let Some(&first) = slots.first() else { return Group::Apart };
        let (extent, row) = self.extent(first);
        let (mut apart, mut scattered) = (0, 0);
        for (&slot, place) in slots.iter().zip(0u32..) {
            apart |= slot ^ first;
            scattered |= slot ^ first.wrapping_add(place);
        }
        match apart >> self.shift {
            0 if scattered == 0 => Group::Run(extent, row),
            0 => Group::Extent(extent),
            _ => Group::Apart,
        }
    }
}

/// Slots that are looked at together.
const GROUP: usize = 64;

/// A column of more bytes than this lies beyond the second cache: its rows are asked for [`AHEAD`]
/// slots before they are wanted.
const NEAR_BYTES: usize = 16 << 20;
const AHEAD: usize = 8 * GROUP;

/// How the slots of a group lie.
enum Group {
    /// One behind the other from this row of this extent on.
    Run(usize, usize),
    /// All in this extent.
    Extent(usize),
    /// In several extents.
    Apart,
}

/// `width` numbers for each slot.
pub(super) struct Column<T> {
    extents: Vec<Array<T>>,
    geometry: Geometry,
    width: usize,
    initial: T,
    pool: Arc<Pool>,
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> Column<T> {
    /// A column without units, whose new rows hold `initial`.
    pub(super) fn new(pool: &Arc<Pool>, geometry: Geometry, width: usize, initial: T) -> Column<T> {
        Column { extents: Vec::new(), geometry, width, initial, pool: Arc::clone(pool) }
    }

    /// Numbers per row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Bytes of memory behind the column.
    pub(super) fn capacity_bytes(&self) -> u64 {
        let [first, .., last] = &self.extents[..] else {
            return self.extents.iter().map(|extent| extent.capacity_bytes() as u64).sum();
        };
        // All full extents are of the same size.
        first.capacity_bytes() as u64 * (self.extents.len() - 1) as u64 + last.capacity_bytes() as u64
    }

    /// Adds the rows of `unit`, which comes right after the last one.
    pub(super) fn add_unit(&mut self, unit: u32) {
        if self.width == 0 {
            return;
        }
        let (extent, row) = self.geometry.extent(unit * UNIT_ROWS as u32);
        if extent == self.extents.len() {
            self.extents.push(Array::with_capacity(&self.pool, UNIT_ROWS * self.width));
        }
        let (wanted, full) = ((row + UNIT_ROWS) * self.width, self.geometry.units as usize * UNIT_ROWS * self.width);
        let extent = &mut self.extents[extent];
        if wanted > extent.capacity() {
            // Doubled, and in the end by quarters of a whole extent: that is what a column may waste.
            let more = extent.capacity().min(full / 4);
            extent.reserve_close((extent.capacity() + more).clamp(wanted, full));
        }
        extent.resize(wanted, self.initial);
    }

    /// The numbers of one row.
    #[inline]
    pub(super) fn row(&self, slot: u32) -> &[T] {
        let (extent, row) = self.geometry.extent(slot);
        &self.extents[extent][row * self.width..][..self.width]
    }

    /// The numbers of one row, for writing.
    #[inline]
    pub(super) fn row_mut(&mut self, slot: u32) -> &mut [T] {
        let (extent, row) = self.geometry.extent(slot);
        &mut self.extents[extent][row * self.width..][..self.width]
    }

    /// The only number of a row of width 1.
    #[inline]
    pub(super) fn number(&self, slot: u32) -> T {
        let (extent, row) = self.geometry.extent(slot);
        self.extents[extent][row]
    }

    /// Asks the cache for a row.
    #[inline]
    pub(super) fn prefetch(&self, slot: u32) {
        let (extent, row) = self.geometry.extent(slot);
        if let Some(number) = self.extents.get(extent).and_then(|extent| extent.get(row * self.width)) {
            prefetch(number);
        }
    }

    /// Asks the second cache for rows of width 1 that are wanted some hundred slots later.
    #[inline]
    fn prefetch_group(&self, slots: &[u32]) {
        match self.geometry.group(slots) {
            // The processor finds out by itself.
            Group::Run(..) => {}
            Group::Extent(extent) => {
                let numbers = &self.extents[extent][..];
                let mask = self.geometry.whole_mask(numbers.len());
                slots.iter().for_each(|&slot| prefetch_far(&numbers[slot as usize & mask]));
            }
            Group::Apart => {
                for (extent, row) in slots.iter().map(|&slot| self.geometry.extent(slot)) {
                    self.extents.get(extent).and_then(|extent| extent.get(row)).into_iter().for_each(prefetch_far);
                }
            }
        }
    }

    /// The only number of a row of width 1, for writing.
    #[inline]
    pub(super) fn number_mut(&mut self, slot: u32) -> &mut T {
        let (extent, row) = self.geometry.extent(slot);
        self.extents[extent].number_mut(row)
    }

    /// Visits the only numbers of rows of width 1 with as many others: by `run` where slots follow
    /// each other, else by `each`. Measured on Zen 4, each in groups of 64: sums by AVX-512 gather and
    /// scatter take 1.5 times as long as this, those by AVX2 gather 1.4 times; reading by an
    /// AVX2 gather takes as long as this, within 10 %, by an AVX-512 one up to a quarter longer.
    #[inline]
    pub(super) fn for_each_mut<U>(
        &mut self,
        slots: &[u32],
        others: &[U],
        mut each: impl FnMut(&mut T, &U),
        mut run: impl FnMut(&mut [T], &[U]),
    ) {
        let geometry = self.geometry;
        let far = self.extents.len() * EXTENT_BYTES > NEAR_BYTES;
        let (soon, later) = slots.split_at(slots.len().min(AHEAD));
        let mut ahead = later.chunks(GROUP);
        if far {
            soon.chunks(GROUP).for_each(|soon| self.prefetch_group(soon));
        }
        for (slots, others) in slots.chunks(GROUP).zip(others.chunks(GROUP)) {
            if let (true, Some(ahead)) = (far, ahead.next()) {
                self.prefetch_group(ahead);
            }
            match geometry.group(slots) {
                Group::Run(extent, row) => run(&mut self.extents[extent][row..row + slots.len()], others),
                Group::Extent(extent) => {
                    let numbers = &mut self.extents[extent][..];
                    let mask = geometry.whole_mask(numbers.len());
                    for (&slot, other) in slots.iter().zip(others) {
                        each(&mut numbers[slot as usize & mask], other);
                    }
                }
                Group::Apart => {
                    for (&slot, other) in slots.iter().zip(others) {
                        let (extent, row) = geometry.extent(slot);
                        each(self.extents[extent].number_mut(row), other);
                    }
                }
            }
        }
    }

    /// Reads the only numbers of rows of width 1; `otherwise` where the slot is `absent`.
    #[inline]
    pub(super) fn read_each(&self, slots: &[u32], out: &mut [T], absent: u32, otherwise: T) {
        for (slots, out) in slots.chunks(GROUP).zip(out.chunks_mut(GROUP)) {
            match self.geometry.group(slots) {
                Group::Run(extent, row) if slots[0] != absent => {
                    out.copy_from_slice(&self.extents[extent][row..row + slots.len()]);
                }
                Group::Extent(extent) if !slots.contains(&absent) => {
                    let numbers = &self.extents[extent][..];
                    slots.iter().zip(out).for_each(|(&slot, out)| *out = numbers[self.geometry.extent(slot).1]);
                }
                _ => {
                    for (&slot, out) in slots.iter().zip(out) {
                        let (extent, row) = self.geometry.extent(slot);
                        *out = if slot == absent { otherwise } else { self.extents[extent][row] };
                    }
                }
            }
        }
    }

    /// The rows from `slot` to the end of its extent, at most `count`.
    #[inline]
    pub(super) fn run(&self, slot: u32, count: usize) -> &[T] {
        let (extent, row) = self.geometry.extent(slot);
        let numbers = &self.extents[extent][row * self.width..];
        &numbers[..numbers.len().min(count * self.width)]
    }

    /// As [`run`](Self::run), as a counted view that keeps the numbers of now: who changes a row of the
    /// extent moves it to a copy first, once, as long as the view is left.
    pub(super) fn view(&mut self, slot: u32, count: usize) -> TxBuf {
        let (extent, row) = self.geometry.extent(slot);
        let numbers = &mut self.extents[extent];
        let begin = row * self.width;
        let end = numbers.len().min(begin + count * self.width);
        numbers.view(begin..end)
    }

    /// As [`run`](Self::run), for writing.
    pub(super) fn run_mut(&mut self, slot: u32, count: usize) -> &mut [T] {
        let (extent, row) = self.geometry.extent(slot);
        let numbers = &mut self.extents[extent][row * self.width..];
        let len = numbers.len().min(count * self.width);
        &mut numbers[..len]
    }

    /// Makes room inside a chunk that holds `count` rows in `units`: before its row `gaps[i]` one
    /// row more, holding the initial value. The units must have room for all.
    pub(super) fn open_gaps(&mut self, units: &[u32], count: usize, gaps: &[u16], scratch: &mut Vec<T>) {
        let (Some(&first), width) = (gaps.first(), self.width) else { return };
        if width == 0 {
            return;
        }
        let first = usize::from(first);
        if gaps.len() == 1 {
            return self.open_gap(units, count, first);
        }
        scratch.clear();
        scratch.resize((gaps.len() + count - first) * width, self.initial);
        self.read(units, first, &mut scratch[gaps.len() * width..]);
        let mut target = 0;
        let mut source = gaps.len() * width;
        for (index, &gap) in gaps.iter().enumerate() {
            scratch[target..target + width].fill(self.initial);
            target += width;
            let end = gaps.get(index + 1).map_or(count, |&next| usize::from(next));
            let moved = (end - usize::from(gap)) * width;
            scratch.copy_within(source..source + moved, target);
            source += moved;
            target += moved;
        }
        self.write(units, first, scratch);
    }

    /// One gap: each unit from the last one back moves up by a row and takes the last row of the
    /// unit before it.
    fn open_gap(&mut self, units: &[u32], count: usize, gap: usize) {
        let width = self.width;
        for index in (gap / UNIT_ROWS..=count / UNIT_ROWS).rev() {
            let begin = gap.saturating_sub(index * UNIT_ROWS);
            let end = (count - index * UNIT_ROWS).min(UNIT_ROWS - 1);
            let unit = self.run_mut(units[index] * UNIT_ROWS as u32, UNIT_ROWS);
            unit.copy_within(begin * width..end * width, (begin + 1) * width);
            if index * UNIT_ROWS > gap {
                self.copy_row(
                    units[index - 1] * UNIT_ROWS as u32 + UNIT_ROWS as u32 - 1,
                    units[index] * UNIT_ROWS as u32,
                );
            }
        }
        let initial = self.initial;
        self.row_mut(units[gap / UNIT_ROWS] * UNIT_ROWS as u32 + (gap % UNIT_ROWS) as u32).fill(initial);
    }

    fn copy_row(&mut self, source: u32, target: u32) {
        for number in 0..self.width {
            self.row_mut(target)[number] = self.row(source)[number];
        }
    }

    /// Copies all `count` rows of a chunk, and one initial row behind them.
    pub(super) fn take_out(&self, units: &[u32], count: usize, out: &mut Vec<T>) {
        if self.width == 0 {
            return;
        }
        out.resize((count + 1) * self.width, self.initial);
        self.read(units, 0, &mut out[..count * self.width]);
        out[count * self.width..].fill(self.initial);
    }

    /// Fills a unit with rows that were taken out: the `sources` are counted from row `from` on, and
    /// beyond the last one there is the initial row. Lanes behind them get it too.
    pub(super) fn lay_unit(&mut self, unit: u32, sources: &[u32], taken: &[T], from: usize) {
        let (width, initial) = (self.width, self.initial);
        if width == 0 {
            return;
        }
        let taken = &taken[from * width..];
        let last = taken.len() / width - 1;
        let unit = self.run_mut(unit * UNIT_ROWS as u32, UNIT_ROWS);
        let (rows, rest) = unit.split_at_mut(sources.len() * width);
        if width == 1 {
            let number = |source: u32| taken[(source as usize).min(last)];
            rows.iter_mut().zip(sources).for_each(|(row, &source)| *row = number(source));
        } else {
            for (row, &source) in rows.chunks_exact_mut(width).zip(sources) {
                row.copy_from_slice(&taken[(source as usize).min(last) * width..][..width]);
            }
        }
        rest.fill(initial);
    }

    /// Fills a unit with `numbers`, whole rows, and with initial rows behind them.
    pub(super) fn fill_unit(&mut self, unit: u32, numbers: &[T]) {
        let initial = self.initial;
        let unit = self.run_mut(unit * UNIT_ROWS as u32, UNIT_ROWS);
        let (rows, rest) = unit.split_at_mut(numbers.len());
        rows.copy_from_slice(numbers);
        rest.fill(initial);
    }

    /// Copies a chunk's rows from row `from` on.
    fn read(&self, units: &[u32], from: usize, out: &mut [T]) {
        let mut done = 0;
        for_pieces(units, from, out.len() / self.width, |slot, count| {
            let piece = self.run(slot, count);
            out[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        });
    }

    fn write(&mut self, units: &[u32], from: usize, numbers: &[T]) {
        let mut rest = numbers;
        for_pieces(units, from, numbers.len() / self.width, |slot, count| {
            let piece = self.run_mut(slot, count);
            let (now, later) = rest.split_at(piece.len());
            piece.copy_from_slice(now);
            rest = later;
        });
    }
}

/// Cuts `count` rows of a chunk from row `from` on at unit borders; calls `visit(slot, rows)`.
fn for_pieces(units: &[u32], from: usize, count: usize, mut visit: impl FnMut(u32, usize)) {
    let mut row = from;
    while row < from + count {
        let lane = row % UNIT_ROWS;
        let piece = (UNIT_ROWS - lane).min(from + count - row);
        visit(units[row / UNIT_ROWS] * UNIT_ROWS as u32 + lane as u32, piece);
        row += piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gap_opens_at_every_place() {
        let pool = Pool::unbounded();
        for count in [0, 1, 63, 64, 65, 127] {
            for gap in 0..=count {
                let mut column = Column::new(&pool, Geometry::new(8), 2, 9u32);
                (0..2).for_each(|unit| column.add_unit(unit));
                (0..count as u32).for_each(|row| column.row_mut(row).fill(row));
                column.open_gaps(&[0, 1], count, &[gap as u16], &mut Vec::new());
                let found: Vec<u32> = (0..=count as u32).map(|row| column.row(row)[1]).collect();
                let expected: Vec<u32> = (0..gap as u32).chain([9]).chain(gap as u32..count as u32).collect();
                assert_eq!(found, expected, "{count} {gap}");
            }
        }
    }

    #[test]
    fn slots_skip_what_an_extent_has_no_room_for() {
        let geometry = Geometry::new(12);
        let mut unit = 0;
        for ordinal in 0..1000 {
            assert_eq!(geometry.unit(ordinal), unit);
            unit = geometry.next(unit);
        }
    }

    #[test]
    fn gaps_open_before_the_named_rows_across_units() {
        let pool = Pool::unbounded();
        let mut column = Column::new(&pool, Geometry::new(4), 1, 0u32);
        (0..2).for_each(|unit| column.add_unit(unit));
        (0..70).for_each(|row| *column.number_mut(row) = row + 1);
        column.open_gaps(&[0, 1], 70, &[3, 3, 69, 70], &mut Vec::new());
        let found: Vec<u32> = (0..74).map(|row| column.number(row)).collect();
        let mut expected: Vec<u32> = (1..=3).chain([0, 0]).chain(4..=69).chain([0]).collect();
        expected.extend([70, 0]);
        assert_eq!(found, expected);
    }
}
