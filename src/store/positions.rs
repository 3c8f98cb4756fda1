//! Remembered positions: the slots of a key list that comes again.
//!
//! A list whose keys were found once is not searched again: as long as no row of its chunks has
//! moved, a push goes from the payload to the values by the remembered slots. Under presence bits
//! and in dense tables rows never move. Ordered keys move rows inside one chunk at an insert; each
//! chunk therefore carries a version, and a list remembers which of its keys lie in which chunk at
//! which version, so that only the keys of changed chunks are searched again.

use super::element::Element;
use super::index::{Index, NO_SLOT};
use super::typed::TypedTable;

/// Where the keys of one list are. Belongs to the table and the list it was made with; the default
/// knows nothing yet and is for any one list.
#[derive(Debug, Clone, Default)]
pub struct Positions {
    slots: Vec<u32>,
    /// Keys without a row.
    missing: usize,
    /// The table's count of changes when these were found; equal means that nothing has changed.
    changes: u64,
    /// The table's count of rebuilt indexes.
    rebuilds: u64,
    /// The list's keys by chunk, ascending; only where rows can move.
    pub(super) spans: Vec<Span>,
}

/// Keys of a list that lie in one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) chunk: u32,
    /// The chunk's version when the keys were found.
    pub(super) version: u32,
    /// Index behind the last of the keys.
    pub(super) end: u32,
}

impl Positions {
    /// Bytes of memory behind the positions.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>() + self.spans.capacity() * size_of::<Span>()
    }

    /// Keys of the list without a row.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// For each key of the list, whether it has a row.
    pub fn known(&self) -> impl Iterator<Item = bool> {
        self.slots.iter().map(|&slot| slot != NO_SLOT)
    }

    /// The slots, in the order of the keys; all of them hold a row once the list was placed.
    pub(super) fn slots(&self) -> &[u32] {
        &self.slots
    }
}

impl<T: Element> TypedTable<T> {
    /// Finds the slots of ascending keys.
    pub(super) fn remember(&self, keys: &[u64]) -> Positions {
        let mut positions = Positions { slots: vec![NO_SLOT; keys.len()], ..Positions::default() };
        self.find_all(keys, &mut positions);
        positions
    }

    /// Finds the slots again that may have changed. `keys` are those the positions were made with.
    pub(super) fn refresh(&self, keys: &[u64], positions: &mut Positions) {
        if positions.slots.len() != keys.len() {
            positions.slots.resize(keys.len(), NO_SLOT);
            return self.find_all(keys, positions);
        }
        if positions.changes == self.changes {
            return;
        }
        let Index::Sorted(sorted) = &self.index else {
            if positions.rebuilds != self.rebuilds || positions.missing > 0 {
                self.find_all(keys, positions);
            }
            positions.changes = self.changes;
            return;
        };
        let mut begin = 0;
        for index in 0..positions.spans.len() {
            let span = positions.spans[index];
            let end = span.end as usize;
            if sorted.version(span.chunk) != span.version {
                self.index.locate(&self.rows, &keys[begin..end], &mut positions.slots[begin..end]);
            }
            begin = end;
        }
        positions.missing = positions.slots.iter().filter(|&&slot| slot == NO_SLOT).count();
        sorted.spans(keys, &mut positions.spans);
        positions.changes = self.changes;
    }

    /// Makes every key of the list have a row, and gives positions that are right now.
    pub(super) fn place_at(&mut self, keys: &[u64], positions: &mut Positions) {
        let is_known = positions.slots.len() == keys.len();
        if is_known {
            self.refresh(keys, positions);
        }
        if !is_known || positions.missing > 0 {
            self.place(keys);
            positions.slots.clone_from(&self.slots);
            self.note_places(keys, 0, positions);
        }
    }

    fn find_all(&self, keys: &[u64], positions: &mut Positions) {
        let missing = self.index.locate(&self.rows, keys, &mut positions.slots);
        self.note_places(keys, missing, positions);
    }

    /// Notes when the slots were found, and in which chunks.
    fn note_places(&self, keys: &[u64], missing: usize, positions: &mut Positions) {
        positions.missing = missing;
        positions.spans.clear();
        if let Index::Sorted(sorted) = &self.index {
            sorted.spans(keys, &mut positions.spans);
        }
        (positions.changes, positions.rebuilds) = (self.changes, self.rebuilds);
    }
}
