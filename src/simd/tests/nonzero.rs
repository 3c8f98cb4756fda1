//! Numbers that are zero, left out.

use super::super::nonzero::COMPACT_SLACK_BYTES;
use super::super::scalar;
use super::{InstructionSet, Level};
use proptest::prelude::*;

/// Compacts and expands on every set, and compares with what the words say.
fn check<const N: usize>(numbers: &[[u8; N]]) {
    let is_kept = |number: &&[u8; N]| **number != [0; N];
    let expected: Vec<[u8; N]> = numbers.iter().filter(is_kept).copied().collect();
    let bits = |numbers: &[[u8; N]]| {
        numbers.iter().enumerate().fold(0, |bits, (index, number)| bits | u64::from(*number != [0; N]) << index)
    };
    let bitmap: Vec<u64> = numbers.chunks(64).map(|numbers| bits(numbers).to_le()).collect();
    let room = || (vec![3; bitmap.len()], vec![[9; N]; expected.len() + COMPACT_SLACK_BYTES / N]);
    let compared = |level: &str, count: usize, (found_bitmap, mut found): (Vec<u64>, Vec<[u8; N]>)| {
        found.truncate(count);
        assert_eq!((found_bitmap, found), (bitmap.clone(), expected.clone()), "{level}");
    };
    let (mut own_bitmap, mut own) = room();
    let count = scalar::compact_nonzero(numbers, &mut own_bitmap, &mut own);
    compared("oracle", count, (own_bitmap, own));
    on_each_set!(
        set,
        {
            let (mut bitmap, mut own) = room();
            (set.compact_nonzero(numbers, &mut bitmap, &mut own), (bitmap, own))
        },
        |level: Level, (count, found)| compared(&level.to_string(), count, found)
    );

    let words: Vec<[u8; 8]> = bitmap.iter().map(|word| word.to_ne_bytes()).collect();
    let mut expanded = vec![[5; N]; numbers.len()];
    assert_eq!(scalar::expand_nonzero(&words, &expected, &mut expanded), expected.len());
    assert_eq!(expanded, numbers);
    on_each_set!(
        set,
        {
            let mut expanded = vec![[5; N]; numbers.len()];
            (set.expand_nonzero(&words, &expected, &mut expanded), expanded)
        },
        |level, found: (usize, Vec<[u8; N]>)| assert_eq!(found, (expected.len(), numbers.to_vec()), "{level}")
    );

    assert_eq!(scalar::count_nonzero(numbers), expected.len());
    on_each_set!(set, set.count_nonzero(numbers), |level, found| assert_eq!(found, expected.len(), "{level}"));
}

proptest! {
    #[test]
    fn what_is_left_out_comes_back_on_every_set(
        bytes in prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..2000),
        dense in prop::collection::vec(1u8.., 0..500),
    ) {
        let bytes = [bytes, dense].concat();
        check(bytes.as_chunks::<1>().0);
        check(bytes.as_chunks::<2>().0);
        check(bytes.as_chunks::<4>().0);
        check(bytes.as_chunks::<8>().0);
    }
}
