//! Building the index of a table anew: full chunks, or presence bits. All slots change, and for a
//! moment both copies of the rows are in memory.
//!
//! Invariant: after an insert, a table of ordered keys with [`EXTENTS_MIN`] extents or more has at
//! most [`SLACK_PERCENT_MAX`] % more memory than its keys, values and state.

use super::bitmap::BitmapIndex;
use super::element::Element;
use super::index::{Index, NO_SLOT};
use super::rows::Rows;
use super::sorted::SortedIndex;
use super::typed::{TypedTable, bitmap_pays, shape_of};
use crate::keyspace::KeyRange;

/// Index and unused lanes, in percent of keys, values and state.
const SLACK_PERCENT_MAX: u64 = 40;

/// In smaller tables the last extent, of which a quarter may be unused, weighs too much.
const EXTENTS_MIN: u64 = 8;

impl<T: Element> TypedTable<T> {
    /// Compacts a table whose inserts have left too much slack; gives whether they had.
    ///
    /// What it costs: compaction leaves full chunks of 512 keys and about 5 % of slack. Inserts drawn
    /// at random leave 10 to 25 % and never come here. The worst that can be done to a full chunk is a
    /// key behind its last one, which begins a chunk of its own, and keys that split it: each brings
    /// at most one chunk and one unit, not more than 17 % of the chunk it came to (2-byte rows). So it
    /// takes two inserts a chunk or more, and at most 256 rows are moved for each of them, at some
    /// 10 ns a row.
    pub(super) fn compact_where_it_must(&mut self) -> bool {
        let must = self.key_count >= EXTENTS_MIN * self.rows.geometry().extent_rows() && self.has_too_much_slack();
        if must {
            self.compact();
        }
        must
    }

    /// Sums of an open step are not counted on either side.
    fn has_too_much_slack(&self) -> bool {
        let Index::Sorted(sorted) = &self.index else { return false };
        let columns = self.rows.keys.capacity_bytes() + self.rows.values.capacity_bytes();
        let used = columns + self.rows.state.capacity_bytes() + sorted.bytes();
        let state_bytes = self.state_width() * size_of::<T::Sum>();
        let needed = self.key_count * (size_of::<u64>() + self.width() * size_of::<T>() + state_bytes) as u64;
        used * 100 > needed * (100 + SLACK_PERCENT_MAX)
    }

    /// Moves all rows of ordered keys into full chunks; all slots change then.
    pub(super) fn compact(&mut self) {
        if !matches!(self.index, Index::Sorted(_)) {
            return;
        }
        let mut rows = Rows::new(&self.pool, shape_of(&self.spec, true));
        let mut sorted = SortedIndex::new(&self.owned);
        let mut targets = [NO_SLOT; 512];
        self.index.walk(&self.rows.keys, KeyRange::ALL, &mut |keys, slots| {
            let targets = &mut targets[..keys.len()];
            sorted.append(&mut rows, keys, targets);
            for (&target, &source) in targets.iter().zip(slots) {
                rows.copy_row(target, &self.rows, source);
            }
        });
        sorted.finish_appending();
        self.rebuilds += 1;
        self.changes += 1;
        self.rows = rows;
        self.index = Index::Sorted(sorted);
    }

    /// Turns ordered keys into presence bits once there are enough of them; all slots change then.
    pub(super) fn index_by_bits_where_it_pays(&mut self) -> bool {
        let span = self.owned.iter().map(|range| range.span()).fold(0, u64::saturating_add);
        let sorted = matches!(self.index, Index::Sorted(_));
        if !sorted || !bitmap_pays(&self.spec, span, self.key_count) {
            return false;
        }
        let mut rows = Rows::new(&self.pool, shape_of(&self.spec, false));
        let mut bitmap = BitmapIndex::new(&self.owned);
        let mut targets = [NO_SLOT; 512];
        self.index.walk(&self.rows.keys, KeyRange::ALL, &mut |keys, slots| {
            let targets = &mut targets[..keys.len()];
            targets.fill(NO_SLOT);
            bitmap.insert(&mut rows, keys, targets);
            for (&target, &source) in targets.iter().zip(slots) {
                rows.copy_row(target, &self.rows, source);
            }
        });
        self.rebuilds += 1;
        self.rows = rows;
        self.index = Index::Bitmap(bitmap);
        true
    }
}
