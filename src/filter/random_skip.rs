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

    /// Whether this push leaves the key out.
    #[must_use]
    pub fn skips(self, timestamp: Timestamp, key: u64) -> bool {
        mix(mix(self.seed ^ mix(timestamp.0)) ^ key) < self.below
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
