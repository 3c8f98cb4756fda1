//! The key lists that a shard keeps, with the positions of their keys.
//!
//! A list comes once with its keys and the wish to be kept; the shard computes its digest itself.
//! Later requests name it by the digest, and go from the payload to the rows by its remembered
//! positions. What was not used for longest goes when the bound is reached; a request for it is
//! answered `need keys`. The bytes are counted apart from the tables'.
//!
//! Invariant: a kept list is strictly ascending and lies inside the range that its digest covers. A
//! request that waits holds its list itself, so that forgetting one here takes it from nobody.

use crate::keyspace::KeyRange;
use crate::memory::keep_counted;
use crate::protocol::lru::Lru;
use crate::store::Positions;
use std::sync::Arc;

/// Bytes of a list besides keys and positions.
const LIST_BYTES: usize = 256;

/// An immutable list of keys.
#[derive(Debug)]
pub(super) struct List {
    pub(super) digest: u128,
    pub(super) keys: Box<[u64]>,
}

impl List {
    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.keys) + LIST_BYTES
    }
}

struct Entry {
    list: Arc<List>,
    table: u16,
    range: KeyRange,
    positions: Positions,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.list.bytes() + self.positions.bytes()
    }
}

/// Figures of a shard's key cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyCacheFigures {
    /// Lists kept now.
    pub lists: usize,
    /// Their bytes, positions included.
    pub bytes: usize,
    /// Requests whose list was there.
    pub hits: u64,
    /// Requests whose list was not there.
    pub misses: u64,
    /// Lists that had to go.
    pub evicted: u64,
}

/// The lists by digest.
pub(super) struct KeyCache {
    lists: Lru<Entry>,
    bytes_max: usize,
    hits: u64,
    misses: u64,
    evicted: u64,
}

impl KeyCache {
    pub(super) fn new(bytes_max: usize) -> KeyCache {
        KeyCache { lists: Lru::default(), bytes_max, hits: 0, misses: 0, evicted: 0 }
    }

    /// Changes the bound; lists over it go.
    pub(super) fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.evict();
    }

    /// The list that a request names by its digest alone.
    pub(super) fn find(&mut self, digest: u128, table: u16, range: KeyRange, key_count: usize) -> Option<Arc<List>> {
        let entry = self.lists.touch(digest);
        let fits =
            |entry: &&mut Entry| entry.table == table && entry.range == range && entry.list.keys.len() == key_count;
        let found = entry.filter(fits).map(|entry| Arc::clone(&entry.list));
        if found.is_some() {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        found
    }

    /// Keeps a checked list, unless it is larger than the bound; gives the kept one.
    pub(super) fn keep(&mut self, digest: u128, table: u16, range: KeyRange, keys: &[u64]) -> Option<Arc<List>> {
        if let Some(entry) = self.lists.touch(digest) {
            return Some(Arc::clone(&entry.list));
        }
        // Positions take half as much as keys.
        let bytes = std::mem::size_of_val(keys) / 2 * 3 + LIST_BYTES;
        if bytes > self.bytes_max {
            return None;
        }
        let list = Arc::new(List { digest, keys: keep_counted(keys) });
        let entry = Entry { list: Arc::clone(&list), table, range, positions: Positions::default() };
        self.lists.insert(digest, entry, bytes);
        self.evict();
        Some(list)
    }

    /// The remembered positions of a list, if it is still kept. Call [`KeyCache::changed`] after
    /// they were used.
    pub(super) fn positions(&mut self, digest: u128) -> Option<&mut Positions> {
        self.lists.touch(digest).map(|entry| &mut entry.positions)
    }

    /// Counts the list's bytes again.
    pub(super) fn changed(&mut self, digest: u128) {
        if let Some(bytes) = self.lists.touch(digest).map(|entry| entry.bytes()) {
            self.lists.resize(digest, bytes);
            self.evict();
        }
    }

    pub(super) fn figures(&self) -> KeyCacheFigures {
        let (lists, bytes) = (self.lists.len(), self.lists.bytes());
        KeyCacheFigures { lists, bytes, hits: self.hits, misses: self.misses, evicted: self.evicted }
    }

    fn evict(&mut self) {
        self.evicted += self.lists.evict(self.bytes_max) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_found_for_its_own_purpose_alone_and_goes_when_others_come() {
        let mut cache = KeyCache::new(4000);
        let (range, keys) = (KeyRange::new(0, 500), (0..100).collect::<Vec<u64>>());
        let list = cache.keep(7, 0, range, &keys).expect("it fits");
        assert_eq!(*list.keys, *keys);
        assert!(cache.find(7, 1, range, 100).is_none() && cache.find(7, 0, KeyRange::new(0, 9), 100).is_none());
        assert!(cache.find(7, 0, range, 100).is_some());
        (8..11).for_each(|digest| assert!(cache.keep(digest, 0, range, &keys).is_some()));
        assert!(cache.find(7, 0, range, 100).is_none() && cache.find(10, 0, range, 100).is_some());
        assert!(cache.keep(12, 0, range, &(0..1000).collect::<Vec<u64>>()).is_none(), "larger than the bound");
        let figures = cache.figures();
        assert_eq!((figures.hits, figures.misses, figures.evicted), (2, 3, 2));
        assert!(figures.bytes <= 4000);
    }
}
