//! Parts of a section, as views.

use super::view::SectionView;
use crate::keyspace::KeyRange;
use std::ops::Range;

/// Neighbouring rows of a section.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Keys, ascending.
    pub keys: &'a [u64],
    /// The values' bytes, in key order.
    pub values: &'a [u8],
    /// The state's bytes, in key order, where the file has any.
    pub state: Option<&'a [u8]>,
}

impl<'a> SectionView<'a> {
    /// The rows whose keys lie in `range`.
    #[must_use]
    pub fn rows(&self, range: KeyRange) -> Rows<'a> {
        let all = Rows { keys: self.keys, values: self.values, state: self.state };
        all.slice(range.slice_of(self.keys))
    }
}

impl<'a> Rows<'a> {
    /// Bytes of one row's state.
    #[must_use]
    pub fn state_size(&self) -> usize {
        self.state.map_or(0, |state| state.len() / self.keys.len().max(1))
    }

    /// Some of the rows, by place.
    ///
    /// # Panics
    /// When the places lie outside.
    #[must_use]
    pub fn slice(&self, places: Range<usize>) -> Rows<'a> {
        let value_size = self.values.len() / self.keys.len().max(1);
        let state_size = self.state_size();
        let bytes = |size: usize| places.start * size..places.end * size;
        Rows {
            keys: &self.keys[places.clone()],
            values: &self.values[bytes(value_size)],
            state: self.state.map(|state| &state[bytes(state_size)]),
        }
    }

    /// Looks ascending `wanted` keys up: calls `found(index of the key, its value's bytes)`.
    pub fn lookup(&self, wanted: &[u64], mut found: impl FnMut(usize, &'a [u8])) {
        let value_size = self.values.len() / self.keys.len().max(1);
        let mut row = 0;
        for (index, &key) in wanted.iter().enumerate() {
            row += gallop(&self.keys[row..], key);
            match self.keys.get(row) {
                Some(&own) if own == key => found(index, &self.values[row * value_size..(row + 1) * value_size]),
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// Number of keys below `key`, near the front.
fn gallop(keys: &[u64], key: u64) -> usize {
    let mut step = 1;
    while keys.get(step - 1).is_some_and(|&other| other < key) {
        step *= 2;
    }
    let begin = step / 2;
    let end = step.min(keys.len());
    begin + keys[begin..end].partition_point(|&other| other < key)
}
