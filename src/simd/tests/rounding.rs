//! Numbers in fewer bits.

use super::super::rounding::{CodeBits, Scale};
use super::super::scalar;
use super::{InstructionSet, Level, bits, number};
use proptest::prelude::*;

/// Numbers of any size, most of them close together.
fn sized() -> impl Strategy<Value = f32> {
    prop_oneof![8 => number(), 1 => any::<f32>().prop_filter("finite", |number| number.is_finite())]
}

/// What is left of `values + residual` after rounding, and the rest; the same on every set.
fn rounded(code_bits: CodeBits, values: &[f32], residual: &[f32]) -> (Scale, Vec<f32>, Vec<f32>) {
    let largest = scalar::largest_sum(values, residual);
    on_each_set!(set, set.largest_sum(values, residual), |level, found: f32| assert_eq!(
        found.to_bits(),
        largest.to_bits(),
        "{level}"
    ));
    let scale = Scale::holding(code_bits, largest);
    let (mut own, mut rest) = (values.to_vec(), residual.to_vec());
    scalar::round_to_scale(scale, code_bits, &mut own, &mut rest);
    on_each_set!(
        set,
        {
            let (mut own, mut rest) = (values.to_vec(), residual.to_vec());
            set.round_to_scale(scale, code_bits, &mut own, &mut rest);
            (bits(&own), bits(&rest))
        },
        |level, found| assert_eq!(found, (bits(&own), bits(&rest)), "{level}")
    );
    (scale, own, rest)
}

fn bytes(values: &[f32]) -> Vec<[u8; 4]> {
    values.iter().map(|value| value.to_le_bytes()).collect()
}

/// How many of the values one scale holds, after their integers were found to be those values.
fn coded<const N: usize>(code_bits: CodeBits, values: &[f32]) -> usize {
    let values = bytes(values);
    let encoded = |result: Option<(usize, Scale)>, mut codes: Vec<[u8; N]>| {
        codes.truncate(result.map_or(0, |(count, _)| count));
        (result, codes)
    };
    let mut codes = vec![[0; N]; values.len()];
    let result = scalar::exact_codes(code_bits, &values, &mut codes);
    let (result, codes) = encoded(result, codes);
    on_each_set!(
        set,
        {
            let mut codes = vec![[0; N]; values.len()];
            encoded(set.exact_codes(code_bits, &values, &mut codes), codes)
        },
        |level, found| assert_eq!(found, (result, codes.clone()), "{level}")
    );
    let Some((count, scale)) = result else { return 0 };
    let mut decoded = vec![[1; 4]; count];
    scalar::decode_codes(scale, &codes, &mut decoded);
    assert_eq!(decoded, values[..count]);
    on_each_set!(
        set,
        {
            let mut decoded = vec![[1; 4]; count];
            set.decode_codes(scale, &codes, &mut decoded);
            decoded
        },
        |level, found| assert_eq!(found, decoded, "{level}")
    );
    count
}

proptest! {
    #[test]
    fn rounded_numbers_are_near_and_every_part_of_them_is_held_exactly(
        rows in prop::collection::vec((sized(), -1.0f32..1.0), 1..256),
        (begin, end) in (0usize..256, 0usize..256),
    ) {
        let (values, residual): (Vec<f32>, Vec<f32>) = rows.into_iter().unzip();
        for code_bits in [CodeBits::Eight, CodeBits::Sixteen] {
            let (scale, own, rest) = rounded(code_bits, &values, &residual);
            let unit = 2f32.powi(i32::from(scale.exponent()));
            let holds = |((value, rest), (own, left)): ((&f32, &f32), (&f32, &f32))| {
                let sum = value + rest;
                sum - own == *left && (left.abs() <= unit / 2.0 || sum.abs() > 1.9e38 || unit < 1e-37)
            };
            prop_assert!(values.iter().zip(&residual).zip(own.iter().zip(&rest)).all(holds));
            let part = &own[begin.min(end).min(own.len())..begin.max(end).min(own.len())];
            let count = match code_bits {
                CodeBits::Eight => coded::<1>(code_bits, part),
                CodeBits::Sixteen => coded::<2>(code_bits, part),
            };
            prop_assert_eq!(count, part.len());
        }
    }

    #[test]
    fn numbers_that_no_scale_holds_are_cut_at_the_same_place(
        values in prop::collection::vec(prop_oneof![
            6 => (-127i8..=127).prop_map(|code| f32::from(code) * 0.25),
            2 => (-127i8..=127).prop_map(|code| f32::from(code) * 8.0),
            1 => any::<u32>().prop_map(f32::from_bits),
        ], 1..256),
    ) {
        coded::<1>(CodeBits::Eight, &values);
        coded::<2>(CodeBits::Sixteen, &values);
    }

    #[test]
    fn halves_are_the_nearest_and_come_back(rows in prop::collection::vec((sized(), -1.0f32..1.0), 0..100)) {
        let (values, residual): (Vec<f32>, Vec<f32>) = rows.into_iter().unzip();
        let (mut own, mut rest) = (values.clone(), residual.clone());
        scalar::round_to_halves(&mut own, &mut rest);
        on_each_set!(set, {
            let (mut own, mut rest) = (values.clone(), residual.clone());
            set.round_to_halves(&mut own, &mut rest);
            (bits(&own), bits(&rest))
        }, |level, found| assert_eq!(found, (bits(&own), bits(&rest)), "{level}"));
        for ((own, rest), sum) in own.iter().zip(&rest).zip(values.iter().zip(&residual).map(|(value, rest)| value + rest)) {
            prop_assert!(own.is_finite() && own.to_bits() & 0xffff == 0 && sum - own == *rest);
            prop_assert!(rest.abs() <= sum.abs() / 256.0 || sum.abs() < 1e-35);
        }
        let wide = bytes(&own);
        let mut halves = vec![[0; 2]; wide.len()];
        prop_assert!(scalar::upper_halves(&wide, &mut halves));
        let mut back = vec![[0; 4]; wide.len()];
        scalar::widen_halves(&halves, &mut back);
        prop_assert_eq!(&back, &wide);
        on_each_set!(set, {
            let (mut found, mut back) = (vec![[0; 2]; wide.len()], vec![[0; 4]; wide.len()]);
            let is_exact = set.upper_halves(&wide, &mut found);
            set.widen_halves(&found, &mut back);
            (is_exact, found, back)
        }, |level, found| assert_eq!(found, (true, halves.clone(), wide.clone()), "{level}"));
        let raw = bytes(&values);
        let is_exact = values.iter().all(|value| value.to_bits() & 0xffff == 0);
        prop_assert_eq!(scalar::upper_halves(&raw, &mut halves), is_exact);
        on_each_set!(set, set.upper_halves(&raw, &mut vec![[0; 2]; raw.len()]), |level, found| assert_eq!(found, is_exact, "{level}"));
    }
}
