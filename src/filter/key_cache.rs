//! key_cache: a key list that was sent once is afterwards its digest.
//!
//! Loses nothing: who does not know a digest says so, and gets the keys. The lists themselves are
//! kept by `protocol`; here is what names them.

use xxhash_rust::xxh3::xxh3_128;
use zerocopy::IntoBytes;

/// Names the keys of one slice of a table: 128 bits over table, range, number of keys and all keys
/// (XXH3, which is no defence against somebody who looks for collisions; peers have proved the
/// job's secret, and a shard computes the digest of what it keeps itself). Never zero, which means
/// that there is none.
#[must_use]
pub fn key_digest(table: u16, begin: u64, end: u64, keys: &[u64]) -> u128 {
    let keys_digest = xxh3_128(keys.as_bytes());
    let (low, high) = (keys_digest as u64, (keys_digest >> 64) as u64);
    xxh3_128([u64::from(table), begin, end, keys.len() as u64, low, high].as_bytes()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_table_range_and_every_key_apart() {
        let keys: Vec<u64> = (0..1000).map(|key| key * 7).collect();
        let base = key_digest(1, 0, 7000, &keys);
        assert_eq!(base, key_digest(1, 0, 7000, &keys));
        let mut others =
            vec![key_digest(2, 0, 7000, &keys), key_digest(1, 1, 7000, &keys), key_digest(1, 0, 7001, &keys)];
        others.push(key_digest(1, 0, 7000, &keys[..999]));
        for place in [0, 500, 999] {
            let mut changed = keys.clone();
            changed[place] += 1;
            others.push(key_digest(1, 0, 7000, &changed));
        }
        assert!(others.iter().all(|&other| other != base && other != 0));
    }
}
