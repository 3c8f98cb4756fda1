//! Packed keys.

use super::super::packing::packed_bytes_max;
use super::super::scalar;
use super::{InstructionSet, Level, ascending};
use proptest::prelude::*;

/// What the oracle packs, after the other sets have packed the same.
fn packed(base: u64, keys: &[u64]) -> Vec<u8> {
    let target = || vec![0xa5; packed_bytes_max(keys.len())];
    let cut = |len: usize, mut target: Vec<u8>| {
        target.truncate(len);
        target
    };
    let mut own = target();
    let len = scalar::pack_keys(base, keys, &mut own);
    let own = cut(len, own);
    on_each_set!(
        set,
        {
            let mut own = target();
            (set.pack_keys(base, keys, &mut own), own)
        },
        |level, (len, found)| assert_eq!(cut(len, found), own, "{level}")
    );
    own
}

/// What the oracle makes of a block, after the other sets have made the same.
fn unpacked(base: u64, block: &[u8], count: usize) -> Option<(usize, Vec<u64>)> {
    let mut keys = vec![7; count];
    let found = scalar::unpack_keys(base, block, &mut keys).map(|len| (len, keys));
    on_each_set!(
        set,
        {
            let mut keys = vec![7; count];
            set.unpack_keys(base, block, &mut keys).map(|len| (len, keys))
        },
        |level, other| assert_eq!(other, found, "{level}")
    );
    found
}

/// Keys with gaps of up to so many bits.
fn spread(bits: u32) -> impl Strategy<Value = Vec<u64>> {
    let gaps = prop::collection::vec(0..=u64::MAX >> (64 - bits), 0..400);
    gaps.prop_map(|gaps| {
        let next = |key: &mut u64, gap: u64| {
            *key = key.checked_add(gap)?.checked_add(1)?;
            Some(*key - 1)
        };
        gaps.into_iter().scan(0, next).collect()
    })
}

proptest! {
    #[test]
    fn packed_keys_come_back_on_every_set(
        keys in prop_oneof![ascending(400), (1u32..=64).prop_flat_map(spread)],
        base in any::<u64>(),
        rest in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let base = keys.first().map_or(base, |&first| base % first.saturating_add(1));
        let mut block = packed(base, &keys);
        let len = block.len();
        // What follows, other bytes or nothing, makes no difference.
        block.extend(rest);
        prop_assert_eq!(unpacked(base, &block, keys.len()), Some((len, keys.clone())));
        if len > 0 {
            prop_assert_eq!(unpacked(base, &block[..len - 1], keys.len()), None);
        }
    }

    #[test]
    fn any_bytes_give_ascending_keys_or_nothing(
        widths in prop::collection::vec(0u8..=70, 1..4),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0xff)], 0..3000),
        base in prop_oneof![Just(0), any::<u64>(), u64::MAX - 500..=u64::MAX],
        count in 0usize..400,
    ) {
        let mut block = bytes;
        let mut at = 0;
        for width in widths {
            if let Some(byte) = block.get_mut(at) {
                *byte = width;
            }
            at += 1 + 16 * usize::from(width);
        }
        if let Some((len, keys)) = unpacked(base, &block, count) {
            prop_assert!(len <= block.len());
            prop_assert!(keys.first().is_none_or(|&first| first >= base));
            prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(keys.last() != Some(&u64::MAX));
        }
    }
}
