//! `random_skip`: leaves out the values of some keys of a push.
//!
//! **What it skips is lost.** Which keys it skips depends on seed, timestamp and key alone: a retry
//! skips the same ones, however the push is cut, and another push others.

use crate::id::Timestamp;

/// Skips a share of the keys.
#[derive(Debug, Clone, Copy)]
pub struct RandomSkip {
    seed: u64,
    /// Keys whose hash is below are skipped.
    below: u64,
}

impl RandomSkip {
    /// Skips `share` (0 to 1) of the keys, chosen by `seed`.
    #[must_use]
    pub fn new(share: f32, seed: u64) -> RandomSkip {
        // A conversion from a float stays inside the integer's range.
        RandomSkip { seed, below: (f64::from(share) * 2f64.powi(64)) as u64 }
    }

    /// Makes the values of skipped keys zero. `values` holds `value_size` bytes for each of `keys`.
    pub fn zero_skipped(
        self,
        timestamp: Timestamp,
        keys: impl IntoIterator<Item = u64>,
        value_size: usize,
        values: &mut [u8],
    ) {
        let stream = mix(self.seed ^ mix(timestamp.0));
        for (key, value) in keys.into_iter().zip(values.chunks_exact_mut(value_size)) {
            if mix(stream ^ key) < self.below {
                value.fill(0);
            }
        }
    }
}

/// Spreads the bits of a number: the finalizer of SplitMix64 after one step of its sequence.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of 10000 keys are skipped.
    fn skipped(skip: RandomSkip, timestamp: u64, begin: u64) -> Vec<bool> {
        let mut values = vec![1; 20_000];
        skip.zero_skipped(Timestamp(timestamp), begin..begin + 10_000, 2, &mut values);
        let (values, _) = values.as_chunks::<2>();
        assert!(values.iter().all(|value| [[0, 0], [1, 1]].contains(value)), "a key was skipped in part");
        values.iter().map(|value| value[0] == 0).collect()
    }

    #[test]
    fn a_retry_skips_the_same_keys_however_it_is_cut_and_another_push_skips_others() {
        let skip = RandomSkip::new(0.25, 7);
        let first = skipped(skip, 3, 0);
        assert_eq!(skipped(skip, 3, 0), first);
        assert_eq!(skipped(skip, 3, 5000)[..5000], first[5000..]);
        for other in [skipped(skip, 4, 0), skipped(RandomSkip::new(0.25, 8), 3, 0)] {
            let both = other.iter().zip(&first).filter(|(other, first)| **other && **first).count();
            assert!((450..800).contains(&both), "{both} of 10000 skipped twice");
        }
    }

    #[test]
    fn the_share_is_what_was_asked_for() {
        for share in [0.01f32, 0.5, 0.99] {
            let count = skipped(RandomSkip::new(share, 1), 1, 1 << 40).iter().filter(|skipped| **skipped).count();
            assert!((count as f32 - share * 10_000.0).abs() < 200.0, "{count} of 10000 at {share}");
        }
    }
}
