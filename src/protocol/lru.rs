//! What was used last stays: values under 128-bit digests, bounded in bytes.
//!
//! Used on both sides of key caching: by shards for the lists themselves, by workers for what they
//! believe a shard to hold. A lookup moves the value to the front of a list of links; what is at the
//! back goes first. Nothing is allocated by a lookup.
//!
//! Invariant: the links visit each value once, and `bytes` is the sum of what the values were said to cost.

use std::collections::BTreeMap;

/// No value.
const NOTHING: u32 = u32::MAX;

#[derive(Debug)]
struct Entry<V> {
    digest: u128,
    value: V,
    bytes: usize,
    newer: u32,
    older: u32,
}

/// Values by digest, the least recently used last.
#[derive(Debug)]
pub(super) struct Lru<V> {
    places: BTreeMap<u128, u32>,
    entries: Vec<Option<Entry<V>>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    bytes: usize,
}

impl<V> Default for Lru<V> {
    fn default() -> Lru<V> {
        Lru {
            places: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            newest: NOTHING,
            oldest: NOTHING,
            bytes: 0,
        }
    }
}

impl<V> Lru<V> {
    /// Sum of what the values cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The value under `digest`, which is now the last used.
    pub(super) fn touch(&mut self, digest: u128) -> Option<&mut V> {
        let place = *self.places.get(&digest)?;
        if self.newest != place {
            self.unlink(place);
            self.link_newest(place);
        }
        self.entries[place as usize].as_mut().map(|entry| &mut entry.value)
    }

    /// Puts a value of `bytes` under `digest`, as the last used; an old one there goes.
    pub(super) fn insert(&mut self, digest: u128, value: V, bytes: usize) {
        self.remove(digest);
        let entry = Entry { digest, value, bytes, newer: NOTHING, older: NOTHING };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = Some(entry);
                place
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() as u32 - 1
            }
        };
        self.places.insert(digest, place);
        self.bytes += bytes;
        self.link_newest(place);
    }

    /// The value under `digest` costs this much now.
    pub(super) fn resize(&mut self, digest: u128, bytes: usize) {
        let Some(&place) = self.places.get(&digest) else { return };
        if let Some(entry) = &mut self.entries[place as usize] {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    /// Forgets the value under `digest`.
    pub(super) fn remove(&mut self, digest: u128) -> Option<V> {
        let place = self.places.remove(&digest)?;
        self.unlink(place);
        self.free.push(place);
        let entry = self.entries[place as usize].take()?;
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// Forgets the values that were not used for longest until at most `bytes_max` are left; gives
    /// the number of these.
    pub(super) fn evict(&mut self, bytes_max: usize) -> usize {
        let mut evicted = 0;
        while self.bytes > bytes_max
            && let Some(oldest) = self.entries.get(self.oldest as usize).and_then(Option::as_ref)
        {
            let digest = oldest.digest;
            self.remove(digest);
            evicted += 1;
        }
        evicted
    }

    fn unlink(&mut self, place: u32) {
        let Some(entry) = &self.entries[place as usize] else { return };
        let (newer, older) = (entry.newer, entry.older);
        match self.entry_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entry_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, place: u32) {
        let before = std::mem::replace(&mut self.newest, place);
        match self.entry_mut(before) {
            Some(entry) => entry.newer = place,
            None => self.oldest = place,
        }
        if let Some(entry) = self.entry_mut(place) {
            (entry.newer, entry.older) = (NOTHING, before);
        }
    }

    fn entry_mut(&mut self, place: u32) -> Option<&mut Entry<V>> {
        self.entries.get_mut(place as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_equals_a_plain_list_in_the_order_of_use(steps in prop::collection::vec((0u8..5, 0u128..9, 1usize..50), 0..150)) {
            let mut lru = Lru::default();
            // Oldest first: digest, bytes.
            let mut plain: Vec<(u128, usize)> = Vec::new();
            for (what, digest, bytes) in steps {
                let at = plain.iter().position(|entry| entry.0 == digest);
                match what {
                    0 => {
                        lru.insert(digest, digest, bytes);
                        plain.retain(|entry| entry.0 != digest);
                        plain.push((digest, bytes));
                    }
                    1 => {
                        prop_assert_eq!(lru.touch(digest).copied(), at.map(|_| digest));
                        if let Some(at) = at {
                            let entry = plain.remove(at);
                            plain.push(entry);
                        }
                    }
                    2 => {
                        prop_assert_eq!(lru.remove(digest), at.map(|_| digest));
                        plain.retain(|entry| entry.0 != digest);
                    }
                    3 => {
                        lru.resize(digest, bytes);
                        plain.iter_mut().filter(|entry| entry.0 == digest).for_each(|entry| entry.1 = bytes);
                    }
                    _ => {
                        let before = plain.len();
                        while plain.iter().map(|entry| entry.1).sum::<usize>() > 2 * bytes {
                            plain.remove(0);
                        }
                        prop_assert_eq!(lru.evict(2 * bytes), before - plain.len());
                    }
                }
                prop_assert_eq!(lru.bytes(), plain.iter().map(|entry| entry.1).sum::<usize>());
                prop_assert_eq!(lru.len(), plain.len());
            }
        }
    }
}
