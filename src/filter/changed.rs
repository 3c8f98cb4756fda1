//! `changed`: of an answer only what differs from an earlier one is told.
//!
//! Two blocks of the same numbers are told apart by exclusive or: zeros where they agree, which `nonzero` leaves
//! out, and from either block and the difference comes the other, bit by bit.

use crate::memory::copy_counted;
use crate::wire::{Bf16, DType};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Marks the keys none of whose numbers differs from the earlier one by more than `threshold`; other marks stay.
/// `kept` has one mark a key. Both blocks are whole numbers on their borders, equally many.
pub fn keep_unchanged(dtype: DType, threshold: f64, before: &[u8], values: &[u8], kept: &mut [bool]) {
    match dtype {
        DType::F32 => {
            mark(threshold, before, values, kept, |before: f32, now: f32| (f64::from(now) - f64::from(before)).abs());
        }
        DType::F64 => mark(threshold, before, values, kept, |before: f64, now: f64| (now - before).abs()),
        DType::I64 => mark(threshold, before, values, kept, |before: i64, now: i64| now.abs_diff(before) as f64),
        DType::U32 => mark(threshold, before, values, kept, |before: u32, now: u32| f64::from(now.abs_diff(before))),
        DType::Bf16 => mark(threshold, before, values, kept, |before: Bf16, now: Bf16| {
            f64::from((f32::from(now) - f32::from(before)).abs())
        }),
    }
}

fn mark<T: FromBytes + Immutable + KnownLayout + Copy>(
    threshold: f64,
    before: &[u8],
    values: &[u8],
    kept: &mut [bool],
    distance: impl Fn(T, T) -> f64,
) {
    // No bytes may lie anywhere.
    if values.is_empty() {
        return;
    }
    let (Ok(before), Ok(values)) = (<[T]>::ref_from_bytes(before), <[T]>::ref_from_bytes(values)) else {
        unreachable!("blocks of whole numbers begin on their borders")
    };
    let width = (values.len() / kept.len().max(1)).max(1);
    for ((before, values), kept) in before.chunks_exact(width).zip(values.chunks_exact(width)).zip(kept) {
        *kept |= before.iter().zip(values).all(|(&before, &now)| distance(before, now) <= threshold);
    }
}

/// Gives the keys that are marked the rows that they had before.
pub fn put_back(before: &[u8], values: &mut [u8], kept: &[bool]) {
    let size = (values.len() / kept.len().max(1)).max(1);
    let rows = before.chunks_exact(size).zip(values.chunks_exact_mut(size)).zip(kept);
    rows.filter(|(_, kept)| **kept).for_each(|((before, row), _)| copy_counted(row, before));
}

/// Makes of a block its difference to another of the same length, or of a difference the block.
pub fn exclusive_or(block: &mut [u8], other: &[u8]) {
    block.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    #[test]
    fn a_key_is_kept_when_all_its_numbers_are_near_and_other_marks_stay() {
        let (before, now) = ([1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [1.5f32, 2.0, 3.0, 4.6, 5.0, 9.0]);
        let mut kept = [false, false, true];
        keep_unchanged(DType::F32, 0.5, before.as_bytes(), now.as_bytes(), &mut kept);
        assert_eq!(kept, [true, false, true]);
        let mut told = now;
        put_back(before.as_bytes(), told.as_mut_bytes(), &kept);
        assert_eq!(told, [1.0, 2.0, 3.0, 4.6, 5.0, 6.0]);
        let mut kept = [false; 3];
        keep_unchanged(DType::I64, 2.0, [i64::MIN, 7, -1].as_bytes(), [i64::MAX, 5, 1].as_bytes(), &mut kept);
        assert_eq!(kept, [false, true, true]);
        keep_unchanged(DType::F64, 2.0, &[], &[], &mut []);
    }

    proptest! {
        #[test]
        fn what_is_told_is_never_farther_off_than_the_threshold(
            rows in prop::collection::vec([-4i16..4, -4i16..4, -4i16..4, -4i16..4], 0..40), threshold in 0u8..4,
        ) {
            let before: Vec<f64> = rows.iter().flat_map(|row| [row[0], row[1]]).map(f64::from).collect();
            let now: Vec<f64> = rows.iter().flat_map(|row| [row[2], row[3]]).map(f64::from).collect();
            let (mut told, mut kept, threshold) = (now.clone(), vec![false; rows.len()], f64::from(threshold));
            keep_unchanged(DType::F64, threshold, before.as_bytes(), now.as_bytes(), &mut kept);
            put_back(before.as_bytes(), told.as_mut_bytes(), &kept);
            prop_assert!(told.iter().zip(&now).all(|(told, now)| (told - now).abs() <= threshold));
            let mut difference = told.clone();
            exclusive_or(difference.as_mut_bytes(), before.as_bytes());
            prop_assert!(difference.chunks(2).zip(&kept).all(|(row, kept)| !kept || row.iter().all(|x| x.to_bits() == 0)));
            exclusive_or(difference.as_mut_bytes(), before.as_bytes());
            prop_assert_eq!(difference, told);
        }
    }
}
