//! Every instruction set of this machine against the oracle, bit for bit.

use super::chunk::{CHUNK_UNITS, Hints, KeyChunk, LINE_KEYS, NO_LANE, NO_PLACE, UNIT_KEYS};
use super::level::{InstructionSet, Level};
use super::scalar;
use proptest::prelude::*;

macro_rules! on_each_set {
    ($set:ident, $call:expr, $check:expr) => {
        for level in [Level::Avx2, Level::Avx512] {
            match InstructionSet::of(level) {
                #[cfg(target_arch = "x86_64")]
                Some(InstructionSet::Avx2($set)) => $check(level, $call),
                #[cfg(target_arch = "x86_64")]
                Some(InstructionSet::Avx512($set)) => $check(level, $call),
                _ => {}
            }
        }
    };
}

mod nonzero;
mod packing;
mod rounding;
mod update;

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Numbers as training meets them, with zeros, signed zeros and denormal ones among them.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![4 => -3.0f32..3.0, 1 => Just(0.0), 1 => Just(-0.0), 1 => -1e-40f32..1e-40, 1 => -1e15f32..1e15]
}

/// Any bits: NaN and infinities too.
fn any_f32() -> impl Strategy<Value = f32> {
    prop_oneof![8 => number(), 1 => any::<u32>().prop_map(f32::from_bits)]
}

proptest! {
    #[test]
    fn additions_have_the_oracles_bits(rows in prop::collection::vec((number(), number(), any::<i64>(), any::<i64>()), 0..100)) {
        let target: Vec<f32> = rows.iter().map(|row| row.0).collect();
        let source: Vec<f32> = rows.iter().map(|row| row.1).collect();
        let mut oracle = target.clone();
        scalar::add_f32(&mut oracle, &source);
        on_each_set!(set, { let mut sum = target.clone(); set.add_f32(&mut sum, &source); bits(&sum) },
            |level, found| assert_eq!(found, bits(&oracle), "{level}"));

        let wide = |numbers: &[f32]| numbers.iter().map(|&number| f64::from(number) * 1.1).collect::<Vec<f64>>();
        let (target, source) = (wide(&target), wide(&source));
        let mut oracle = target.clone();
        scalar::add_f64(&mut oracle, &source);
        on_each_set!(set, { let mut sum = target.clone(); set.add_f64(&mut sum, &source); sum },
            |level, found: Vec<f64>| assert!(found.iter().zip(&oracle).all(|(a, b)| a.to_bits() == b.to_bits()), "{level}"));

        let (target, source): (Vec<i64>, Vec<i64>) = rows.iter().map(|row| (row.2, row.3)).unzip();
        let mut oracle = target.clone();
        scalar::add_i64(&mut oracle, &source);
        on_each_set!(set, { let mut sum = target.clone(); set.add_i64(&mut sum, &source); sum },
            |level, found| assert_eq!(found, oracle, "{level}"));

        let half = |numbers: &[i64]| numbers.iter().map(|&number| number as u32).collect::<Vec<u32>>();
        let (target, source) = (half(&target), half(&source));
        let mut oracle = target.clone();
        scalar::add_u32(&mut oracle, &source);
        on_each_set!(set, { let mut sum = target.clone(); set.add_u32(&mut sum, &source); sum },
            |level, found| assert_eq!(found, oracle, "{level}"));
    }

    #[test]
    fn checks_agree_with_the_standard_library(
        numbers in prop::collection::vec(any_f32(), 0..80), keys in prop::collection::vec(0u64..200, 0..12),
        largest in prop_oneof![Just(f32::MAX), 0.0f32..10.0],
    ) {
        let within = numbers.iter().all(|number| number.abs() <= largest);
        prop_assert_eq!(scalar::all_within_f32(&numbers, largest), within);
        on_each_set!(set, set.all_within_f32(&numbers, largest), |level, found| assert_eq!(found, within, "{level}"));

        let half: Vec<u16> = numbers.iter().map(|number| (number.to_bits() >> 16) as u16).collect();
        let half_within = half.iter().all(|&bits| f32::from_bits(u32::from(bits) << 16).abs() <= largest);
        prop_assert_eq!(scalar::all_within_bf16(&half, largest), half_within);
        on_each_set!(set, set.all_within_bf16(&half, largest), |level, found| assert_eq!(found, half_within, "{level}"));

        let (numbers, largest): (Vec<f64>, f64) = (numbers.iter().map(|&number| number.into()).collect(), largest.into());
        prop_assert_eq!(scalar::all_within_f64(&numbers, largest), within);
        on_each_set!(set, set.all_within_f64(&numbers, largest), |level, found| assert_eq!(found, within, "{level}"));

        let ascending = keys.windows(2).all(|pair| pair[0] < pair[1]);
        prop_assert_eq!(scalar::strictly_ascending(&keys), ascending);
        on_each_set!(set, set.strictly_ascending(&keys), |level, found| assert_eq!(found, ascending, "{level}"));
    }
}

/// Ascending keys, close together or far apart, up to the largest there is.
fn ascending(count_max: usize) -> impl Strategy<Value = Vec<u64>> {
    let key = prop_oneof![0u64..700, any::<u64>(), u64::MAX - 300..u64::MAX];
    prop::collection::btree_set(key, 0..count_max)
        .prop_map(|keys| keys.into_iter().filter(|&key| key < u64::MAX).collect())
}

proptest! {
    #[test]
    fn keys_are_found_where_they_are(
        own in ascending(UNIT_KEYS * CHUNK_UNITS),
        others in ascending(100),
    ) {
        let units = own.len().div_ceil(UNIT_KEYS).max(1);
        let mut lines = vec![[u64::MAX; LINE_KEYS]; units * UNIT_KEYS / LINE_KEYS];
        lines.as_flattened_mut()[..own.len()].copy_from_slice(&own);
        let firsts: Vec<u64> = own.iter().copied().step_by(LINE_KEYS).collect();
        let hints = own.last().map_or(Hints::EMPTY, |&last| Hints::new(&firsts, last));
        let places = std::array::from_fn(|unit| 1000 * unit as u32);
        let chunk = KeyChunk { hints: &hints, lines: &lines, places };
        let mut keys: Vec<u64> = others.into_iter().chain(own.iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        let place = |key: u64| match own.binary_search(&key) {
            Ok(row) => (1000 * (row / UNIT_KEYS) + row % UNIT_KEYS) as u32,
            Err(_) => NO_PLACE,
        };
        let expected: Vec<u32> = keys.iter().map(|&key| place(key)).collect();
        let missing = expected.iter().filter(|&&place| place == NO_PLACE).count();
        let mut found = vec![7; keys.len()];
        prop_assert_eq!(scalar::locate(&chunk, &keys, &mut found), missing);
        prop_assert_eq!(&found, &expected);
        on_each_set!(set, { let mut found = vec![7; keys.len()]; (set.locate(&chunk, &keys, &mut found), found) },
            |level, found: (usize, Vec<u32>)| assert_eq!(found, (missing, expected.clone()), "{level}"));
    }

    #[test]
    fn two_runs_become_one_that_says_where_each_key_was(own in ascending(300), new in ascending(300), count in 0usize..700) {
        let new: Vec<u64> = new.into_iter().filter(|key| own.binary_search(key).is_err()).collect();
        let mut expected: Vec<u64> = own.iter().chain(&new).copied().collect();
        expected.sort_unstable();
        expected.truncate(count);
        let place = |key: &u64| own.binary_search(key).map_or(NO_PLACE, |place| place as u32);
        let places: Vec<u32> = expected.iter().map(place).collect();
        let from_own = places.iter().filter(|&&place| place != NO_PLACE).count();
        let expected = (from_own, expected, places);
        let room = || (vec![7; expected.1.len()], vec![7; expected.1.len()]);
        let (mut keys, mut sources) = room();
        let found = scalar::merge_keys(&own, &new, &mut keys, &mut sources);
        prop_assert_eq!(&(found, keys, sources), &expected);
        on_each_set!(set, { let (mut keys, mut sources) = room(); (set.merge_keys(&own, &new, &mut keys, &mut sources), keys, sources) },
            |level, found| assert_eq!(found, expected, "{level}"));
    }

    #[test]
    fn a_key_has_the_first_lane_of_two_lines_that_holds_it(
        pairs in prop::collection::vec((any::<[u64; 8]>(), any::<[u64; 8]>(), 0usize..24), 0..20),
    ) {
        let wanted = |(line, next, lane): &([u64; 8], [u64; 8], usize)| {
            line.iter().chain(next).nth(*lane).copied().unwrap_or(9)
        };
        let keys: Vec<u64> = pairs.iter().map(wanted).collect();
        let lines: Vec<[&[u64; LINE_KEYS]; 2]> = pairs.iter().map(|(line, next, _)| [line, next]).collect();
        let lane = |(pair, key): (&[&[u64; 8]; 2], &u64)| {
            pair[0].iter().chain(pair[1]).position(|own| own == key).map_or(NO_LANE, |lane| lane as u8)
        };
        let expected: Vec<u8> = lines.iter().zip(&keys).map(lane).collect();
        let mut found = vec![7; keys.len()];
        scalar::match_lines(&lines, &keys, &mut found);
        prop_assert_eq!(&found, &expected);
        on_each_set!(set, { let mut found = vec![7; keys.len()]; set.match_lines(&lines, &keys, &mut found); found },
            |level, found| assert_eq!(found, expected, "{level}"));
    }
}
