//! Drawn keys and medians.

/// A stream of numbers that depends on its seed alone (SplitMix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `count` different keys below `end`, ascending.
    pub(crate) fn keys(&mut self, count: usize, end: u64) -> Vec<u64> {
        let mut keys: Vec<u64> = Vec::with_capacity(count + count / 64);
        while keys.len() < count {
            let missing = count - keys.len();
            keys.extend((0..missing + missing / 64 + 1).map(|_| self.bits() % end));
            keys.sort_unstable();
            keys.dedup();
        }
        // What is too much is taken out evenly, not from one end.
        let surplus = keys.len() - count;
        let distance = keys.len() / (surplus + 1);
        let mut index = 0;
        keys.retain(|_| {
            index += 1;
            surplus == 0 || index % distance != 0 || index / distance > surplus
        });
        keys
    }

    /// `count` of the ascending `keys`, ascending.
    pub(crate) fn choose(&mut self, keys: &[u64], count: usize) -> Vec<u64> {
        let mut left = count;
        let mut chosen = Vec::with_capacity(count);
        for (index, &key) in keys.iter().enumerate() {
            if self.bits() % ((keys.len() - index) as u64) < left as u64 {
                chosen.push(key);
                left -= 1;
            }
        }
        chosen
    }
}

/// The middle number.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_keys_are_as_many_as_asked_for_and_in_order() {
        let mut draw = Draw::new(7);
        for (count, end) in [(1, 10), (1000, 1200), (5000, 1 << 40)] {
            let keys = draw.keys(count, end);
            assert_eq!(keys.len(), count);
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]) && keys.iter().all(|key| *key < end));
            let chosen = draw.choose(&keys, count / 3);
            assert!(chosen.len() == count / 3 && chosen.iter().all(|key| keys.binary_search(key).is_ok()));
        }
    }
}
