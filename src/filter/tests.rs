//! Round trips of whole chains, at whatever borders, and bytes that no chain made.

use super::{Chain, FilterError, Rounding, Unpacked};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::Pool;
use crate::wire::{DType, FilterFlags, Filters, FixedPointBits, Quantize};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const DTYPES: [DType; 5] = [DType::F32, DType::F64, DType::Bf16, DType::U32, DType::I64];
const QUANTIZE: [Option<Quantize>; 4] = [
    None,
    Some(Quantize::Bf16),
    Some(Quantize::FixedPoint(FixedPointBits::Eight)),
    Some(Quantize::FixedPoint(FixedPointBits::Sixteen)),
];

fn filters() -> impl Strategy<Value = Filters> {
    (any::<[bool; 3]>(), prop::sample::select(QUANTIZE.as_slice())).prop_map(
        |([pack_keys, nonzero, snappy], quantize)| Filters {
            pack_keys,
            nonzero,
            snappy,
            quantize,
            ..Filters::default()
        },
    )
}

/// Ascending keys, close together or far apart.
fn keys() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![8 => 0u64..4, 8 => 0u64..1 << 20, 1 => any::<u64>()];
    let gaps = prop::collection::vec(gap, 0..3000);
    gaps.prop_map(|gaps| {
        let next = |key: &mut u64, gap: u64| {
            *key = key.checked_add(gap)?.checked_add(1)?;
            Some(*key - 1)
        };
        gaps.into_iter().scan(0, next).collect()
    })
}

/// Words with zeros among them, repeated ones and any others.
fn words() -> impl Strategy<Value = Vec<u64>> {
    let word = prop_oneof![4 => Just(0), 1 => Just(0x8000_0000), 2 => 1u64..50, 1 => any::<u64>()];
    prop_oneof![
        prop::collection::vec(word, 0..3000),
        (any::<u64>(), 0usize..3000).prop_map(|(word, count)| vec![word; count])
    ]
}

/// Values as gradients are: of sizes that vary from place to place, many of them zero.
fn gradients() -> impl Strategy<Value = Vec<f32>> {
    let part = (-30i32..30, prop::collection::vec(prop_oneof![1 => Just(0.0f32), 1 => -1.0f32..1.0], 1..500));
    let part = part.prop_map(|(exponent, values)| values.into_iter().map(move |value| value * 2f32.powi(exponent)));
    prop::collection::vec(part, 1..8).prop_map(|parts| parts.into_iter().flatten().collect())
}

proptest! {
    #[test]
    fn keys_come_back(filters in filters(), keys in keys(), (before, behind) in (0u64..9, 0u64..9)) {
        let pool = Pool::unbounded();
        let begin = keys.first().map_or(5, |first| first.saturating_sub(before));
        let range = KeyRange::new(begin, keys.last().map_or(9, |last| last + 1).saturating_add(behind));
        let mut sender = Chain::new(&filters, DType::F32);
        let mut receiver = Chain::new(&Filters::default(), DType::F32);
        let encoded = sender.keys.encode(&pool, range, &keys);
        let is_close = keys.len() >= 40 && keys.windows(2).all(|pair| pair[1] - pair[0] <= 1 << 20);
        prop_assert!(encoded.is_some() || !filters.pack_keys || !is_close);
        if let Some((block, flags)) = encoded {
            prop_assert!(block.len() < keys.len() * 8 && block.len().is_multiple_of(8));
            prop_assert!(!flags.is_none() && FilterFlags::KEY_BLOCK.has(flags));
            let found = receiver.keys.decode(&pool, flags, range, keys.len(), &block).expect("as encoded");
            prop_assert_eq!(found.keys(), keys.as_slice());
            let (again, _) = sender.keys.encode(&pool, range, &keys).expect("as before");
            prop_assert_eq!(&*again, &*block);
            // Neither many more or less keys nor a shorter range are taken.
            prop_assert!(receiver.keys.decode(&pool, flags, range, keys.len() + 600, &block).is_err());
            prop_assert!(receiver.keys.decode(&pool, flags, range, keys.len().saturating_sub(600), &block).is_err());
            if flags.has(FilterFlags::PACKED_KEYS) {
                let short = KeyRange::new(range.begin, keys[keys.len() - 1]);
                prop_assert!(receiver.keys.decode(&pool, flags, short, keys.len(), &block).is_err());
            }
        }
        let plain = receiver.keys.decode(&pool, FilterFlags::NONE, range, keys.len(), keys.as_bytes());
        let plain = plain.expect("as they are");
        prop_assert!(matches!(plain, Unpacked::View(_)) && plain.keys() == keys);
    }

    #[test]
    fn values_of_any_bits_come_back(filters in filters(), words in words(), kind in 0usize..5, cut in 0usize..8) {
        let pool = Pool::unbounded();
        let dtype = DTYPES[kind];
        let size = dtype.bytes();
        let values = &words.as_bytes()[..words.as_bytes().len().saturating_sub(cut) / size * size];
        let mut sender = Chain::new(&filters, dtype);
        let mut receiver = Chain::new(&Filters::default(), dtype);
        if let Some((block, flags)) = sender.values.encode(&pool, values) {
            prop_assert!(block.len() < values.len());
            prop_assert!(!flags.is_none() && FilterFlags::VALUE_BLOCK.has(flags));
            let found = receiver.values.decode(&pool, flags, values.len(), &block).expect("as encoded");
            prop_assert_eq!(&*found, values);
            let mut target = vec![1; values.len()];
            prop_assert_eq!(receiver.values.decode_into(flags, &block, &mut target), Ok(()));
            prop_assert_eq!(&target, values);
            let more = values.len() + 64 * size;
            prop_assert!(receiver.values.decode(&pool, flags, more, &block).is_err());
        }
        let plain = receiver.values.decode(&pool, FilterFlags::NONE, values.len(), values).expect("as they are");
        prop_assert!(matches!(plain, Unpacked::View(_)) && *plain == *values);
    }

    #[test]
    fn rounded_values_travel_in_few_bits_wherever_the_push_is_cut(
        values in gradients(),
        quantize in prop::sample::select(&QUANTIZE[1..]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        (nonzero, snappy) in any::<(bool, bool)>(),
    ) {
        let quantize = quantize.expect("one that rounds");
        let (mut rounded, mut residual) = (values.clone(), vec![0.0; values.len()]);
        Rounding::new(quantize).round(&mut rounded, &mut residual).expect("finite");
        let pool = Pool::unbounded();
        let filters = Filters { quantize: Some(quantize), nonzero, snappy, ..Filters::default() };
        let mut chain = Chain::new(&filters, DType::F32);
        let mut borders: Vec<usize> = cuts.into_iter().map(|cut| cut.index(values.len())).collect();
        borders.extend([0, values.len()]);
        borders.sort_unstable();
        let narrow = FilterFlags::NARROW;
        for part in borders.windows(2).map(|pair| &rounded[pair[0]..pair[1]]).filter(|part| part.len() > 4) {
            let (block, flags) = chain.values.encode(&pool, part.as_bytes()).expect("rounded numbers fit");
            prop_assert!(!flags.only(narrow).is_none(), "a part was sent in all its bits");
            let decoded = chain.values.decode(&pool, flags, part.len() * 4, &block).expect("what was encoded");
            prop_assert_eq!(&*decoded, part.as_bytes());
        }
    }

    #[test]
    fn what_rounding_cuts_off_arrives_later(values in gradients(), quantize in prop::sample::select(&QUANTIZE[1..])) {
        let rounding = Rounding::new(quantize.expect("one that rounds"));
        let mut residual = vec![0.0; values.len()];
        let mut arrived = vec![0.0f64; values.len()];
        const PUSHES: usize = 20;
        for _ in 0..PUSHES {
            let mut pushed = values.clone();
            rounding.round(&mut pushed, &mut residual).expect("finite");
            arrived.iter_mut().zip(&pushed).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        for (values, (arrived, residual)) in values.chunks(256).zip(arrived.chunks(256).zip(residual.chunks(256))) {
            let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            for ((&value, &arrived), &rest) in values.iter().zip(arrived).zip(residual) {
                let sent = f64::from(value) * PUSHES as f64;
                prop_assert!((arrived + f64::from(rest) - sent).abs() <= f64::from(largest) * 1e-5);
                prop_assert!(rest.abs() <= largest / 60.0);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_give_what_was_asked_for(
        flags in 0u16..256,
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0xff)], 0..600),
        count in 0usize..500,
        kind in 0usize..5,
        (begin, span) in (any::<u64>(), any::<u64>()),
    ) {
        let flags = FilterFlags(flags);
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
        let block = &words.as_bytes()[..bytes.len()];
        let range = KeyRange::new(begin, begin.saturating_add(span));
        let mut chain = Chain::new(&Filters::default(), DTYPES[kind]);
        let pool = Pool::unbounded();
        if let Ok(unpacked) = chain.keys.decode(&pool, flags, range, count, block) {
            let keys = unpacked.keys();
            prop_assert_eq!(keys.len(), count);
            if flags.has(FilterFlags::PACKED_KEYS) {
                prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(keys.iter().all(|&key| range.contains(key)));
            }
        }
        if let Ok(values) = chain.values.decode(&pool, flags, count, block) {
            prop_assert_eq!(values.len(), count);
            prop_assert!(flags.only(FilterFlags::VALUE_BLOCK).is_none() || values.as_ptr().cast::<u64>().is_aligned());
        }
    }
}

#[test]
fn keys_and_values_are_decoded_side_by_side() {
    let pool = Pool::unbounded();
    let mut chain = Chain::new(&"pack_keys,nonzero".parse().expect("good names"), DType::F64);
    let (keys, range): (Vec<u64>, _) = ((0..1000).map(|key| key * 3).collect(), KeyRange::new(0, 3000));
    let values: Vec<f64> = keys.iter().map(|&key| if key % 2 == 0 { 0.0 } else { -1.5 }).collect();
    let Chain { keys: key_chain, values: value_chain } = &mut chain;
    let (key_block, key_flags) = key_chain.encode(&pool, range, &keys).expect("small gaps");
    let (value_block, value_flags) = value_chain.encode(&pool, values.as_bytes()).expect("half of them zero");
    let found_keys = key_chain.decode(&pool, key_flags, range, 1000, &key_block).expect("as encoded");
    let found_values = value_chain.decode(&pool, value_flags, 8000, &value_block).expect("as encoded");
    assert_eq!((found_keys.keys(), &*found_values), (keys.as_slice(), values.as_bytes()));
}

#[test]
fn a_small_block_cannot_claim_a_large_one() {
    let pool = Pool::unbounded();
    let mut chain = Chain::new(&Filters::default(), DType::F32);
    let too_large = limit::FRAME_BODY_BYTES + 8;
    let flags = FilterFlags::NONZERO | FilterFlags::PACKED_KEYS;
    let keys = chain.keys.decode(&pool, flags, KeyRange::ALL, too_large / 8, &[0; 64]);
    assert!(matches!(keys, Err(FilterError::TooLarge { what: "key block", .. })), "{keys:?}");
    let values = chain.values.decode(&pool, flags, too_large, &[0; 64]);
    assert!(matches!(values, Err(FilterError::TooLarge { what: "value block", .. })), "{values:?}");
    // A compressed block that says that it holds a gigabyte.
    let claim = [0x80, 0x80, 0x80, 0x80, 0x04, 0, 0, 3];
    let error = chain.values.decode(&pool, FilterFlags::SNAPPY_VALUES, 4096, &claim).expect_err("a claim");
    assert_eq!(error, FilterError::Length { filter: "snappy", found: 1 << 30, expected: 4096 });
}

#[test]
fn bits_that_exclude_each_other_are_refused() {
    let pool = Pool::unbounded();
    let mut chain = Chain::new(&Filters::default(), DType::F32);
    let both = FilterFlags::BF16 | FilterFlags::FIXED_POINT_8;
    assert_eq!(chain.values.decode(&pool, both, 8, &[0; 8]).err(), Some(FilterError::Flags(both)));
    let mut doubles = Chain::new(&Filters::default(), DType::F64);
    let error = doubles.values.decode(&pool, FilterFlags::BF16, 8, &[0; 2]).err();
    assert_eq!(error, Some(FilterError::Flags(FilterFlags::BF16)));
}

#[test]
fn numbers_that_are_not_finite_are_not_rounded() {
    for quantize in QUANTIZE.into_iter().flatten() {
        for (bad, rest) in [(f32::NAN, 0.0), (f32::INFINITY, 1.0), (f32::MAX, f32::MAX)] {
            let (mut values, mut residual) = (vec![1.1; 600], vec![0.1; 600]);
            (values[300], residual[300]) = (bad, rest);
            let error = Rounding::new(quantize).round(&mut values, &mut residual);
            assert_eq!(error, Err(FilterError::NotFinite { index: 300 }));
            assert!(values[..300].iter().all(|value| *value == 1.1), "a number was changed");
        }
        let (mut values, mut residual) = (vec![f32::MAX, -f32::MAX], vec![0.0; 2]);
        Rounding::new(quantize).round(&mut values, &mut residual).expect("finite");
        assert!(values.iter().all(|value| value.abs() > 3.3e38 && value.is_finite()), "{values:?}");
    }
}
