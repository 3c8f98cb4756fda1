//! From keys to ordered distinct keys and places among them.
//!
//! Keys are hashed into a table that finds each one's number in order of arrival; only the distinct
//! ones are sorted, digit by digit, and numbers of arrival become places. The table is as large as
//! the distinct keys ask for, not the batch, so it stays in the cache. Places within a block's list
//! are small numbers: they are marked and ranked in a set of bits instead, where a summary (one bit
//! a word) makes the walk over what is marked short and a round number in each word saves clearing.

use super::batch::{LocalBatch, RowBatch};

/// A slot without a key; no number of arrival reaches it.
const FREE: u32 = u32::MAX;
/// Slots of the smallest table.
const SLOTS_MIN: usize = 1 << 10;
/// Bits of a digit that keys are sorted by.
const DIGIT_BITS: u32 = 11;
/// Fewer keys are sorted by comparing.
const DIGIT_SORT_MIN: usize = 512;

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
        self.table.localize(keys, unique, local);
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

/// A distinct key and its number in order of arrival.
#[derive(Debug, Clone, Copy, Default)]
struct Arrival {
    key: u64,
    number: u32,
}

/// An open-addressed table of distinct keys.
#[derive(Debug, Default)]
struct KeyTable {
    /// Numbers of arrival; a power of two of slots, at least twice as many as keys.
    slots: Vec<u32>,
    arrivals: Vec<Arrival>,
    /// Where arrivals are sorted to, and back.
    sorted: Vec<Arrival>,
    /// Place in key order by number of arrival.
    places: Vec<u32>,
}

impl KeyTable {
    fn localize(&mut self, keys: &[u64], unique: &mut Vec<u64>, local: &mut Vec<u32>) {
        self.begin();
        local.clear();
        local.extend(keys.iter().map(|&key| self.arrival(key)));
        self.sort();
        self.places.resize(self.arrivals.len(), 0);
        unique.clear();
        for (place, arrival) in (0..).zip(&self.arrivals) {
            unique.push(arrival.key);
            self.places[arrival.number as usize] = place;
        }
        local.iter_mut().for_each(|number| *number = self.places[*number as usize]);
    }

    /// Empties the table; one that was far too large for the batch before becomes smaller.
    fn begin(&mut self) {
        let wanted = (self.arrivals.len() * 2).next_power_of_two().max(SLOTS_MIN);
        if self.slots.len() < wanted || self.slots.len() > 8 * wanted {
            self.slots.resize(wanted, FREE);
        }
        self.slots.fill(FREE);
        self.arrivals.clear();
    }

    /// The number of `key` in order of arrival.
    #[inline(always)]
    fn arrival(&mut self, key: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut index = home(key, self.slots.len());
        loop {
            let number = self.slots[index & mask];
            match self.arrivals.get(number as usize) {
                Some(arrival) if arrival.key == key => return number,
                Some(_) => index += 1,
                None => return self.arrive(key, index & mask),
            }
        }
    }

    /// Puts a new key into a free slot.
    #[inline]
    fn arrive(&mut self, key: u64, index: usize) -> u32 {
        let number = self.arrivals.len() as u32;
        self.slots[index] = number;
        self.arrivals.push(Arrival { key, number });
        if self.arrivals.len() * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    /// Makes the table twice as large.
    #[cold]
    fn grow(&mut self) {
        let slot_count = self.slots.len() * 2;
        self.slots.clear();
        self.slots.resize(slot_count, FREE);
        for arrival in &self.arrivals {
            let mut index = home(arrival.key, slot_count);
            while self.slots[index] != FREE {
                index = (index + 1) % slot_count;
            }
            self.slots[index] = arrival.number;
        }
    }

    /// Brings the arrivals into key order, lowest digit first.
    fn sort(&mut self) {
        if self.arrivals.len() < DIGIT_SORT_MIN {
            self.arrivals.sort_unstable_by_key(|arrival| arrival.key);
            return;
        }
        let all_bits = self.arrivals.iter().fold(0, |bits, arrival| bits | arrival.key);
        self.sorted.resize(self.arrivals.len(), Arrival::default());
        for shift in (0..u64::BITS - all_bits.leading_zeros()).step_by(DIGIT_BITS as usize) {
            sort_by_digit(&self.arrivals, &mut self.sorted, shift);
            std::mem::swap(&mut self.arrivals, &mut self.sorted);
        }
    }
}

/// The slot where the search for a key begins.
#[inline(always)]
fn home(key: u64, slot_count: usize) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - slot_count.trailing_zeros())) as usize
}

/// Copies `source` to `target` in the order of one digit of the keys; equal digits keep their order.
fn sort_by_digit(source: &[Arrival], target: &mut [Arrival], shift: u32) {
    let digit = |arrival: &Arrival| (arrival.key >> shift) as usize % (1 << DIGIT_BITS);
    let mut places = [0u32; 1 << DIGIT_BITS];
    source.iter().for_each(|arrival| places[digit(arrival)] += 1);
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    for arrival in source {
        let place = &mut places[digit(arrival)];
        target[*place as usize] = *arrival;
        *place += 1;
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
    fn tables_grow_with_their_keys() {
        let mut localizer = Localizer::new();
        let keys: Vec<_> = (0..50_000u64).map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (key % 40)).collect();
        check(&mut localizer, &keys);
        check(&mut localizer, &keys[..2000]);
        check(&mut localizer, &[]);
        check(&mut localizer, &[u64::MAX - 1, 0]);
    }

    #[test]
    fn places_of_a_list_are_ranked() {
        let mut localizer = Localizer::new();
        let (mut unique, mut local) = (Vec::new(), Vec::new());
        for round in [1, u32::MAX - 1, 5] {
            localizer.ranks.round = round;
            for places in [&[5u32, 900, 70, 5][..], &[6, 900], &[5], &[]] {
                localizer.localize_places(places, 1000, &mut unique, &mut local);
                let restored: Vec<_> = local.iter().map(|&place| unique[place as usize] as u32).collect();
                assert_eq!(restored, places);
                assert!(unique.is_sorted_by(|left, right| left < right));
            }
        }
    }
}
