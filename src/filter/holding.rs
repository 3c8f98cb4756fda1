//! Holding keys of a push back: `significant`, and what filters of the user's own decide.
//!
//! What is held back of a key is added to its next push before anybody decides, so a decision is always
//! about everything that was not sent yet. Sums of what was sent and what is held back are those of what
//! was pushed: exactly for integers (modulo their size), as exactly as numbers can be added for floats.

use crate::wire::{Bf16, DType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A number that can be held back.
trait Summand: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {
    fn plus(self, other: Self) -> Self;
    fn size(self) -> f64;
}

macro_rules! summand {
    ($($number:ty: $plus:expr, $size:expr;)*) => {$(
        impl Summand for $number {
            fn plus(self, other: $number) -> $number {
                $plus(self, other)
            }

            fn size(self) -> f64 {
                $size(self)
            }
        }
    )*};
}

summand! {
    f32: |one, other| one + other, |number: f32| f64::from(number.abs());
    f64: |one, other| one + other, f64::abs;
    i64: i64::wrapping_add, |number: i64| number.unsigned_abs() as f64;
    u32: u32::wrapping_add, f64::from;
    Bf16: |one: Bf16, other: Bf16| Bf16::from(f32::from(one) + f32::from(other)), |number| f64::from(f32::from(number).abs());
}

macro_rules! each {
    ($dtype:expr, $call:ident($($argument:expr),*)) => {
        match $dtype {
            DType::F32 => $call::<f32>($($argument),*),
            DType::F64 => $call::<f64>($($argument),*),
            DType::I64 => $call::<i64>($($argument),*),
            DType::U32 => $call::<u32>($($argument),*),
            DType::Bf16 => $call::<Bf16>($($argument),*),
        }
    };
}

/// Adds what was held back of each number. Both are whole numbers, aligned as such, equally many.
pub fn add_held(dtype: DType, values: &mut [u8], rest: &[u8]) {
    each!(dtype, add(values, rest));
}

/// Marks the keys of which no number is larger than `threshold`; other marks stay. `held` has one mark a
/// key, `values` as many numbers for each.
pub fn hold_small(dtype: DType, threshold: f64, values: &[u8], held: &mut [bool]) {
    each!(dtype, mark_small(threshold, values, held));
}

/// Marks the keys with the smaller values: at most half of all.
pub fn hold_smaller_half(dtype: DType, values: &[u8], held: &mut [bool]) {
    let sizes = each!(dtype, sizes(values, held.len()));
    let mut ordered = sizes.clone();
    let middle = ordered.len() / 2;
    if middle < ordered.len() {
        let (_, median, _) = ordered.select_nth_unstable_by(middle, f64::total_cmp);
        sizes.into_iter().zip(held).for_each(|(size, held)| *held = size < *median);
    }
}

/// The keys and values that are not held back, one behind the other at the beginning of `sent_keys` and
/// `sent_values`, which have room for as many; gives how many they are. Of those that are held back the
/// values go to their places in `rest`, the other places there become zero.
pub fn part(
    keys: &[u64],
    values: &[u8],
    held: &[bool],
    rest: &mut [u8],
    sent_keys: &mut [u64],
    sent_values: &mut [u8],
) -> usize {
    let size = values.len() / keys.len().max(1);
    let mut count = 0;
    for (place, (&key, &is_held)) in keys.iter().zip(held).enumerate() {
        let bytes = place * size..(place + 1) * size;
        let rest = &mut rest[bytes.clone()];
        if is_held {
            rest.copy_from_slice(&values[bytes]);
        } else {
            rest.fill(0);
            sent_keys[count] = key;
            sent_values[count * size..(count + 1) * size].copy_from_slice(&values[bytes]);
            count += 1;
        }
    }
    count
}

/// Moves the values that are held back to their places in `rest`, and leaves zeros in their stead; the other
/// places of `rest` become zero.
pub fn part_in_place(values: &mut [u8], held: &[bool], rest: &mut [u8]) {
    let size = (values.len() / held.len().max(1)).max(1);
    for ((value, rest), &is_held) in values.chunks_exact_mut(size).zip(rest.chunks_exact_mut(size)).zip(held) {
        if is_held {
            rest.copy_from_slice(value);
            value.fill(0);
        } else {
            rest.fill(0);
        }
    }
}

fn add<T: Summand>(values: &mut [u8], rest: &[u8]) {
    // No bytes may lie anywhere.
    if values.is_empty() {
        return;
    }
    let (Ok(values), Ok(rest)) = (<[T]>::mut_from_bytes(values), <[T]>::ref_from_bytes(rest)) else {
        unreachable!("blocks of whole numbers begin on their borders")
    };
    values.iter_mut().zip(rest).for_each(|(value, &rest)| *value = value.plus(rest));
}

fn mark_small<T: Summand>(threshold: f64, values: &[u8], held: &mut [bool]) {
    let rows = rows::<T>(values, held.len());
    rows.zip(held).for_each(|(row, held)| *held |= row.iter().all(|number| number.size() <= threshold));
}

/// The largest number of each key, by size.
fn sizes<T: Summand>(values: &[u8], count: usize) -> Vec<f64> {
    rows::<T>(values, count).map(|row| row.iter().map(|number| number.size()).fold(0.0, f64::max)).collect()
}

/// The numbers of each key.
fn rows<T: Summand>(values: &[u8], count: usize) -> std::slice::ChunksExact<'_, T> {
    // No bytes may lie anywhere.
    let numbers = if values.is_empty() { Ok(&[][..]) } else { <[T]>::ref_from_bytes(values) };
    let Ok(numbers) = numbers else { unreachable!("blocks of whole numbers begin on their borders") };
    numbers.chunks_exact((numbers.len() / count.max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_in_all_its_numbers_is_held_and_the_rest_closes_up() {
        let (keys, values) = ([2u64, 5, 7], [1i64, -1, 0, -3, 2, 2]);
        let mut held = [false; 3];
        hold_small(DType::I64, 2.0, values.as_bytes(), &mut held);
        assert_eq!(held, [true, false, true]);
        let (mut rest, mut sent_keys, mut sent) = ([9i64; 6], [0; 3], [0i64; 6]);
        let count = part(&keys, values.as_bytes(), &held, rest.as_mut_bytes(), &mut sent_keys, sent.as_mut_bytes());
        assert_eq!((count, sent_keys[0], &sent[..2]), (1, 5, &[0, -3][..]));
        assert_eq!(rest, [1, -1, 0, 0, 2, 2]);
        let (mut zeroed, mut same_rest) = (values, [9i64; 6]);
        part_in_place(zeroed.as_mut_bytes(), &held, same_rest.as_mut_bytes());
        assert_eq!((zeroed, same_rest), ([0, 0, 0, -3, 0, 0], rest));
        let mut sums = values;
        add_held(DType::I64, sums.as_mut_bytes(), rest.as_bytes());
        assert_eq!(sums, [2, -2, 0, -3, 4, 4]);
    }

    #[test]
    fn of_many_at_least_the_larger_half_is_not_held() {
        let mut held = [true; 5];
        hold_smaller_half(DType::F32, [0.5f32, -4.0, 1.0, 3.0, 0.25].as_bytes(), &mut held);
        assert_eq!(held, [true, false, false, false, true]);
        hold_smaller_half(DType::F32, [1.0f32; 5].as_bytes(), &mut held);
        assert_eq!(held, [false; 5]);
        hold_smaller_half(DType::F32, &[], &mut []);
    }
}
