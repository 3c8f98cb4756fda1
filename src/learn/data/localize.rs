//! From keys to ordered distinct keys and places among them.
//!
//! A small key space is a set of bits with ranks: mark every key, walk the marked words in order
//! giving ranks, look every key up. A summary (one bit a word) makes the walk proportional to what
//! is marked, and a round number in each word saves clearing. A large key space is hashed into a
//! table of distinct keys, which are then sorted. The cost is a few nanoseconds a feature.

use super::batch::{LocalBatch, RowBatch};
use super::swar::hash_word;

/// Keys below this are looked up by bits: 16 MiB of words at most.
const BITS_KEY_END: u64 = 1 << 26;
/// A place in the table that is free. It is no key.
const FREE: u64 = u64::MAX;

/// Finds the distinct keys of batches; keeps its memory from batch to batch.
#[derive(Debug, Default)]
pub struct Localizer {
    ranks: RankSet,
    table: KeyTable,
}

impl Localizer {
    /// A localizer without memory yet.
    #[must_use]
    pub fn new() -> Localizer {
        Localizer::default()
    }

    /// Replaces `unique` by the distinct `keys` in order, and `local` by the place among them of
    /// each key. `u64::MAX` is no key and must not be among them.
    ///
    /// # Panics
    /// When there are 2^32 keys or more.
    pub fn localize(&mut self, keys: &[u64], unique: &mut Vec<u64>, local: &mut Vec<u32>) {
        assert!(u32::try_from(keys.len()).is_ok(), "a batch holds at most 2^32 features");
        let key_end = keys.iter().fold(0, |end, &key| end.max(key)).saturating_add(1);
        if key_end <= BITS_KEY_END {
            self.ranks.localize(keys.iter().map(|&key| key as usize), key_end as usize, unique, local);
        } else {
            self.table.localize(keys, unique, local);
        }
    }

    /// As [`Localizer::localize`] for numbers below `end`, such as places in a block's own list.
    pub(super) fn localize_places(&mut self, places: &[u32], end: usize, unique: &mut Vec<u64>, local: &mut Vec<u32>) {
        self.ranks.localize(places.iter().map(|&place| place as usize), end, unique, local);
    }

    /// Moves `rows` into `out` and gives it places instead of keys; `rows` is empty afterwards.
    pub fn localize_rows(&mut self, rows: &mut RowBatch, out: &mut LocalBatch) {
        self.localize(&rows.keys, &mut out.unique, &mut out.local);
        std::mem::swap(&mut rows.labels, &mut out.labels);
        std::mem::swap(&mut rows.offsets, &mut out.offsets);
        std::mem::swap(&mut rows.values, &mut out.values);
        rows.offsets.truncate(1);
        rows.clear();
    }
}

/// 64 keys: which of them are there, and how many distinct keys come before them.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    marks: u64,
    rank: u32,
    round: u32,
}

/// A set of small numbers with ranks.
#[derive(Debug, Default)]
struct RankSet {
    words: Vec<Word>,
    /// One bit a word that is marked in this round; all zero between rounds.
    summary: Vec<u64>,
    round: u32,
}

impl RankSet {
    fn localize(
        &mut self,
        numbers: impl Iterator<Item = usize> + Clone,
        end: usize,
        unique: &mut Vec<u64>,
        local: &mut Vec<u32>,
    ) {
        self.begin_round(end);
        numbers.clone().for_each(|number| self.mark(number));
        unique.clear();
        self.rank(unique);
        local.clear();
        local.extend(numbers.map(|number| self.place(number)));
    }

    fn begin_round(&mut self, end: usize) {
        if self.words.len() < end.div_ceil(64) {
            self.words.resize(end.div_ceil(64), Word::default());
            self.summary.resize(end.div_ceil(64 * 64), 0);
        }
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.words.fill(Word::default());
            self.round = 1;
        }
    }

    #[inline(always)]
    fn mark(&mut self, number: usize) {
        let word = &mut self.words[number / 64];
        let before = if word.round == self.round { word.marks } else { 0 };
        word.marks = before | 1 << (number % 64);
        word.round = self.round;
        self.summary[number / 4096] |= 1 << (number / 64 % 64);
    }

    fn rank(&mut self, unique: &mut Vec<u64>) {
        for (group, summary) in self.summary.iter_mut().enumerate() {
            let mut marked_words = std::mem::take(summary);
            while marked_words != 0 {
                let index = group * 64 + marked_words.trailing_zeros() as usize;
                marked_words &= marked_words - 1;
                let word = &mut self.words[index];
                word.rank = unique.len() as u32;
                let mut marks = word.marks;
                while marks != 0 {
                    unique.push(index as u64 * 64 + u64::from(marks.trailing_zeros()));
                    marks &= marks - 1;
                }
            }
        }
    }

    #[inline(always)]
    fn place(&self, number: usize) -> u32 {
        let word = self.words[number / 64];
        let below = (1u64 << (number % 64)) - 1;
        word.rank + (word.marks & below).count_ones()
    }
}

/// An open-addressed table of distinct keys.
#[derive(Debug, Default)]
struct KeyTable {
    /// Key and its number in order of arrival; a power of two long.
    slots: Vec<(u64, u32)>,
    /// Distinct keys with their number in order of arrival.
    arrivals: Vec<(u64, u32)>,
    /// Place in key order by number of arrival.
    places: Vec<u32>,
}

impl KeyTable {
    fn localize(&mut self, keys: &[u64], unique: &mut Vec<u64>, local: &mut Vec<u32>) {
        let slot_count = (keys.len() * 2).next_power_of_two();
        self.slots.clear();
        self.slots.resize(slot_count, (FREE, 0));
        self.arrivals.clear();
        local.clear();
        local.extend(keys.iter().map(|&key| self.arrival(key)));
        self.arrivals.sort_unstable();
        self.places.resize(self.arrivals.len(), 0);
        unique.clear();
        for (place, &(key, arrival)) in (0..).zip(&self.arrivals) {
            unique.push(key);
            self.places[arrival as usize] = place;
        }
        local.iter_mut().for_each(|arrival| *arrival = self.places[*arrival as usize]);
    }

    /// The number of `key` in order of arrival.
    #[inline(always)]
    fn arrival(&mut self, key: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut index = hash_word(0, key) as usize & mask;
        loop {
            let slot = &mut self.slots[index & mask];
            if slot.0 == key {
                return slot.1;
            }
            if slot.0 == FREE {
                *slot = (key, self.arrivals.len() as u32);
                self.arrivals.push(*slot);
                return slot.1;
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(localizer: &mut Localizer, keys: &[u64]) {
        let (mut unique, mut local) = (vec![77], vec![77]);
        localizer.localize(keys, &mut unique, &mut local);
        let mut expected = keys.to_vec();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(unique, expected);
        let restored: Vec<_> = local.iter().map(|&place| unique[place as usize]).collect();
        assert_eq!(restored, keys);
    }

    proptest! {
        #[test]
        fn every_key_is_found_at_its_place(batches in proptest::collection::vec(
            (1u32..64, proptest::collection::vec(any::<u64>(), 0..300)), 1..6)) {
            let mut localizer = Localizer::new();
            for (shift, keys) in batches {
                let keys: Vec<_> = keys.iter().map(|key| key >> shift).collect();
                check(&mut localizer, &keys);
            }
        }
    }

    #[test]
    fn rounds_that_wrap_around_forget_older_marks() {
        let mut localizer = Localizer::new();
        check(&mut localizer, &[5, 900, 70]);
        localizer.ranks.round = u32::MAX - 1;
        check(&mut localizer, &[6, 900]);
        check(&mut localizer, &[5]);
        check(&mut localizer, &[5, 7, 901]);
    }
}
