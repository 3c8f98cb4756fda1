//! A map from key ranges to values that splits where it must and merges where it can.

use super::key_range::KeyRange;

/// Values on disjoint key ranges, ordered by key. Writing to a part of a range splits it (into at
/// most three); equal neighbours merge again. Keys outside all ranges have no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeMap<V> {
    entries: Vec<(KeyRange, V)>,
}

impl<V> Default for RangeMap<V> {
    fn default() -> RangeMap<V> {
        RangeMap { entries: Vec::new() }
    }
}

impl<V: Clone + PartialEq> RangeMap<V> {
    /// One range with one value.
    #[must_use]
    pub fn single(range: KeyRange, value: V) -> RangeMap<V> {
        RangeMap { entries: vec![(range, value)] }
    }

    /// Number of ranges with a value of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no range has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (KeyRange, &V)> {
        self.entries.iter().map(|(range, value)| (*range, value))
    }

    /// The parts of `range` that have a value, cut to it, in order.
    pub fn overlapping(&self, range: KeyRange) -> impl Iterator<Item = (KeyRange, &V)> {
        let begin = self.entries.partition_point(|(own, _)| own.end <= range.begin);
        let inside = self.entries[begin..].iter().take_while(move |(own, _)| own.begin < range.end);
        inside.map(move |(own, value)| (own.intersection(range), value))
    }

    /// Calls `change` once for each part of `range` that has a value, splitting entries at the
    /// range's borders first and merging equal neighbours afterwards.
    pub fn update(&mut self, range: KeyRange, mut change: impl FnMut(KeyRange, &mut V)) {
        if range.is_empty() {
            return;
        }
        self.split(range.begin);
        self.split(range.end);
        let begin = self.entries.partition_point(|(own, _)| own.end <= range.begin);
        let end = self.entries.partition_point(|(own, _)| own.begin < range.end);
        self.entries[begin..end].iter_mut().for_each(|(own, value)| change(*own, value));
        self.merge(begin, end);
    }

    /// Calls `change` for every range, then merges equal neighbours.
    pub fn update_all(&mut self, mut change: impl FnMut(KeyRange, &mut V)) {
        self.entries.iter_mut().for_each(|(own, value)| change(*own, value));
        self.merge(0, self.entries.len());
    }

    /// Gives `range` this value, whatever was there.
    pub fn insert(&mut self, range: KeyRange, value: V) {
        if range.is_empty() {
            return;
        }
        self.split(range.begin);
        self.split(range.end);
        let begin = self.entries.partition_point(|(own, _)| own.end <= range.begin);
        let end = self.entries.partition_point(|(own, _)| own.begin < range.end);
        self.entries.splice(begin..end, std::iter::once((range, value)));
        self.merge(begin, begin + 1);
    }

    /// Cuts the entry that holds `key` and the key before it, if there is one.
    fn split(&mut self, key: u64) {
        let index = self.entries.partition_point(|(own, _)| own.end <= key);
        let Some((own, value)) = self.entries.get_mut(index) else { return };
        if own.begin < key {
            let right = (KeyRange::new(key, own.end), value.clone());
            own.end = key;
            self.entries.insert(index + 1, right);
        }
    }

    /// Merges equal neighbours among entries `begin..end` and with the ones beside them.
    fn merge(&mut self, begin: usize, end: usize) {
        let mut kept = begin.saturating_sub(1);
        let last = (end + 1).min(self.entries.len());
        let mut next = kept + 1;
        while next < last {
            let joins =
                self.entries[kept].0.end == self.entries[next].0.begin && self.entries[kept].1 == self.entries[next].1;
            if joins {
                self.entries[kept].0.end = self.entries[next].0.end;
            } else {
                kept += 1;
                self.entries.swap(kept, next);
            }
            next += 1;
        }
        if kept + 1 < last {
            self.entries.drain(kept + 1..last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_write_inside_a_range_splits_it_into_three_and_merges_again() {
        let mut map = RangeMap::single(KeyRange::new(0, 100), 0);
        map.update(KeyRange::new(40, 60), |_, value| *value += 1);
        assert_eq!(map.len(), 3);
        map.update(KeyRange::new(0, 40), |_, value| *value += 1);
        map.update(KeyRange::new(60, 100), |_, value| *value += 1);
        assert_eq!(map, RangeMap::single(KeyRange::new(0, 100), 1));
    }

    proptest! {
        #[test]
        fn the_map_equals_a_plain_array(steps in prop::collection::vec((0u64..50, 0u64..50, 0u8..3, any::<bool>()), 0..40)) {
            let mut map = RangeMap::default();
            let mut plain = [None; 50];
            for (begin, end, value, insert) in steps {
                let range = KeyRange::new(begin, end);
                if insert {
                    map.insert(range, value);
                    (begin..end).for_each(|key| plain[key as usize] = Some(value));
                } else {
                    map.update(range, |_, old| *old = (*old + value) % 3);
                    (begin..end).for_each(|key| plain[key as usize] = plain[key as usize].map(|old: u8| (old + value) % 3));
                }
                for key in 0..50u64 {
                    let found = map.overlapping(KeyRange::new(key, key + 1)).next().map(|(_, value)| *value);
                    prop_assert_eq!(found, plain[key as usize]);
                }
                let entries: Vec<_> = map.iter().collect();
                prop_assert!(entries.windows(2).all(|pair| pair[0].0.end < pair[1].0.begin
                    || pair[0].0.end == pair[1].0.begin && pair[0].1 != pair[1].1), "not merged: {:?}", entries);
            }
        }
    }
}
