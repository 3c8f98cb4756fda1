//! Which chunk a key belongs to: first keys in order, and a table over the top bits of the key.
//!
//! The table has about two slots a chunk. Each gives the first chunk that can hold a key with these
//! top bits, so that evenly spread keys need one or two comparisons; where keys crowd, a binary
//! search inside the slot takes over.

use crate::keyspace::KeyRange;

/// More chunks than this in one slot are searched by halves.
const LINEAR: usize = 4;

/// The order of chunks.
pub(super) struct Directory {
    span: KeyRange,
    /// First key that belongs to each chunk, ascending; the first entry is 0.
    starts: Vec<u64>,
    /// Chunk ids in the same order.
    order: Vec<u32>,
    shift: u32,
    /// For each slot the last entry that starts at or below the slot's first key; one slot more at the end.
    table: Vec<u32>,
}

impl Directory {
    /// Chunk 0 alone, for keys in `span`.
    pub(super) fn new(span: KeyRange) -> Directory {
        let mut directory = Directory { span, starts: vec![0], order: vec![0], shift: 0, table: Vec::new() };
        directory.rebuild_table();
        directory
    }

    /// Bytes behind the directory.
    pub(super) fn bytes(&self) -> u64 {
        (self.starts.capacity() * 8 + self.order.capacity() * 4 + self.table.capacity() * 4) as u64
    }

    /// The chunk that `key` belongs to.
    #[inline]
    pub(super) fn chunk_of(&self, key: u64) -> u32 {
        self.order[self.entry_of(key)]
    }

    /// The chunk that `key` belongs to, and the first key that does not.
    pub(super) fn chunk_and_end(&self, key: u64) -> (u32, u64) {
        let entry = self.entry_of(key);
        (self.order[entry], self.starts.get(entry + 1).copied().unwrap_or(u64::MAX))
    }

    /// Number of chunks from the one of `first` to the one of `last`.
    pub(super) fn chunks_between(&self, first: u64, last: u64) -> usize {
        self.entry_of(last) - self.entry_of(first) + 1
    }

    /// All chunks from the one of `key` on.
    pub(super) fn chunks_from(&self, key: u64) -> impl Iterator<Item = u32> {
        self.order[self.entry_of(key)..].iter().copied()
    }

    /// Takes new chunks over, given with their first keys in ascending order.
    pub(super) fn add(&mut self, fresh: &mut Vec<(u64, u32)>) {
        if fresh.is_empty() {
            return;
        }
        let mut old = self.starts.len();
        // Doubling would leave up to half of them empty.
        self.starts.reserve_exact(fresh.len());
        self.order.reserve_exact(fresh.len());
        self.starts.resize(old + fresh.len(), 0);
        self.order.resize(old + fresh.len(), 0);
        let mut target = self.starts.len();
        while let Some((start, chunk)) = fresh.pop() {
            let kept = self.starts[..old].partition_point(|&other| other < start);
            let moved = old - kept;
            self.starts.copy_within(kept..old, target - moved);
            self.order.copy_within(kept..old, target - moved);
            target -= moved + 1;
            old = kept;
            self.starts[target] = start;
            self.order[target] = chunk;
        }
        self.rebuild_table();
    }

    #[inline]
    fn entry_of(&self, key: u64) -> usize {
        let slot = (key.saturating_sub(self.span.begin) >> self.shift) as usize;
        let slot = slot.min(self.table.len() - 2);
        let (mut entry, last) = (self.table[slot] as usize, self.table[slot + 1] as usize);
        if last - entry > LINEAR {
            return entry + self.starts[entry + 1..=last].partition_point(|&start| start <= key);
        }
        while entry < last && self.starts[entry + 1] <= key {
            entry += 1;
        }
        entry
    }

    fn rebuild_table(&mut self) {
        let slots = (self.starts.len() * 2).next_power_of_two();
        let bits = u64::BITS - self.span.span().saturating_sub(1).leading_zeros();
        self.shift = bits.saturating_sub(slots.trailing_zeros());
        self.table.clear();
        let mut entry = 0;
        for slot in 0..slots as u64 {
            let first = self.span.begin.saturating_add(slot.checked_shl(self.shift).unwrap_or(u64::MAX));
            while entry + 1 < self.starts.len() && self.starts[entry + 1] <= first {
                entry += 1;
            }
            self.table.push(entry as u32);
        }
        self.table.push(self.starts.len() as u32 - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_belongs_to_the_last_chunk_that_starts_at_or_below_it(
            starts in prop::collection::btree_set(prop_oneof![1u64..5000, Just(1 << 40), 1u64..u64::MAX], 0..60),
            keys in prop::collection::vec(prop_oneof![0u64..5000, any::<u64>()], 0..40),
            cut in 0usize..60,
        ) {
            let mut directory = Directory::new(KeyRange::ALL);
            let entries: Vec<(u64, u32)> = starts.iter().zip(1u32..).map(|(&start, id)| (start, id)).collect();
            let (later, sooner): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, id)| (*id as usize).is_multiple_of(cut + 1));
            for mut fresh in [sooner, later] {
                directory.add(&mut fresh);
            }
            for key in keys.into_iter().chain(starts.iter().copied()) {
                let expected = entries.iter().rev().find(|(start, _)| *start <= key).map_or(0, |(_, id)| *id);
                prop_assert_eq!(directory.chunk_of(key), expected);
            }
        }
    }
}
