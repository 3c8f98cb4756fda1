//! The number types that a table can hold.

use super::function::{Functions, Numbers};
use super::update::{Update, float, user_float};
use crate::simd;
use crate::wire::{Bf16, DType, UpdateFunction, UserUpdate};
use std::fmt::Debug;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A number of a table's values. Zero is the initial value of every key.
///
/// Numbers are *stored* and pushed as this type, and summed and updated as [`Sum`](Element::Sum),
/// which is another type only for bf16: f32, so that many small pushes are not lost to rounding.
pub(super) trait Element:
    FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Default + PartialEq + Debug + Send + Sync + 'static
{
    /// The type of sums and update state.
    type Sum: Element<Sum = Self::Sum>;

    /// The type's name in specs and on the wire.
    const DTYPE: DType;

    /// The number for computing.
    fn widen(self) -> Self::Sum;

    /// The stored number that is nearest to a computed one.
    fn narrow(sum: Self::Sum) -> Self;

    /// `sum + self`; integers wrap.
    fn plus(self, sum: Self::Sum) -> Self::Sum;

    /// `target += source`, element by element, rounded to what is stored.
    fn add(target: &mut [Self], source: &[Self::Sum]);

    /// Widens all numbers, into as many.
    fn widen_all(source: &[Self], target: &mut [Self::Sum]);

    /// Narrows all numbers, into as many.
    fn narrow_all(source: &[Self::Sum], target: &mut [Self]);

    /// The numbers themselves, where they need no widening.
    fn as_sums(numbers: &[Self]) -> Option<&[Self::Sum]>;

    /// As [`as_sums`](Self::as_sums), for writing.
    fn as_sums_mut(numbers: &mut [Self]) -> Option<&mut [Self::Sum]>;

    /// Whether no number is NaN or, by size, beyond `largest`. Integers always are within.
    fn all_within(numbers: &[Self], largest: f64) -> bool;

    /// The numbers for a function that takes every type.
    fn numbers(numbers: &mut [Self]) -> Numbers<'_>;

    /// What `function` does to such numbers, where this type has it.
    fn update(function: UpdateFunction) -> Option<Update<Self>>;

    /// A user's function for such numbers, or one line that says why there is none.
    fn user_update(user: &UserUpdate, functions: &Functions) -> Result<Update<Self>, String>;
}

/// What holds for numbers that are computed as they are stored.
macro_rules! stored_as_computed {
    ($add:path) => {
        fn widen(self) -> Self {
            self
        }

        fn narrow(sum: Self) -> Self {
            sum
        }

        fn add(target: &mut [Self], source: &[Self]) {
            $add(target, source);
        }

        fn widen_all(source: &[Self], target: &mut [Self]) {
            target.copy_from_slice(source);
        }

        fn narrow_all(source: &[Self], target: &mut [Self]) {
            target.copy_from_slice(source);
        }

        fn as_sums(numbers: &[Self]) -> Option<&[Self]> {
            Some(numbers)
        }

        fn as_sums_mut(numbers: &mut [Self]) -> Option<&mut [Self]> {
            Some(numbers)
        }
    };
}

impl Element for f32 {
    type Sum = f32;

    const DTYPE: DType = DType::F32;

    stored_as_computed!(simd::add_f32);

    fn plus(self, sum: f32) -> f32 {
        sum + self
    }

    fn all_within(numbers: &[f32], largest: f64) -> bool {
        simd::all_within_f32(numbers, largest as f32)
    }

    fn numbers(numbers: &mut [f32]) -> Numbers<'_> {
        Numbers::F32(numbers)
    }

    fn update(function: UpdateFunction) -> Option<Update<f32>> {
        float(function)
    }

    fn user_update(user: &UserUpdate, functions: &Functions) -> Result<Update<f32>, String> {
        user_float(user, functions)
    }
}

impl Element for f64 {
    type Sum = f64;

    const DTYPE: DType = DType::F64;

    stored_as_computed!(simd::add_f64);

    fn plus(self, sum: f64) -> f64 {
        sum + self
    }

    fn all_within(numbers: &[f64], largest: f64) -> bool {
        simd::all_within_f64(numbers, largest)
    }

    fn numbers(numbers: &mut [f64]) -> Numbers<'_> {
        Numbers::F64(numbers)
    }

    fn update(function: UpdateFunction) -> Option<Update<f64>> {
        float(function)
    }

    fn user_update(user: &UserUpdate, functions: &Functions) -> Result<Update<f64>, String> {
        user_float(user, functions)
    }
}

impl Element for Bf16 {
    type Sum = f32;

    const DTYPE: DType = DType::Bf16;

    fn widen(self) -> f32 {
        self.into()
    }

    fn narrow(sum: f32) -> Bf16 {
        Bf16(simd::nearest_bf16(sum))
    }

    fn plus(self, sum: f32) -> f32 {
        sum + f32::from(self)
    }

    fn add(target: &mut [Bf16], source: &[f32]) {
        simd::add_bf16(Bf16::bits_mut(target), source);
    }

    fn widen_all(source: &[Bf16], target: &mut [f32]) {
        simd::widen_bf16(Bf16::bits(source), target);
    }

    fn narrow_all(source: &[f32], target: &mut [Bf16]) {
        simd::narrow_bf16(source, Bf16::bits_mut(target));
    }

    fn as_sums(_: &[Bf16]) -> Option<&[f32]> {
        None
    }

    fn as_sums_mut(_: &mut [Bf16]) -> Option<&mut [f32]> {
        None
    }

    fn all_within(numbers: &[Bf16], largest: f64) -> bool {
        simd::all_within_bf16(Bf16::bits(numbers), largest as f32)
    }

    fn numbers(numbers: &mut [Bf16]) -> Numbers<'_> {
        Numbers::Bf16(numbers)
    }

    fn update(function: UpdateFunction) -> Option<Update<Bf16>> {
        float(function)
    }

    fn user_update(user: &UserUpdate, functions: &Functions) -> Result<Update<Bf16>, String> {
        user_float(user, functions)
    }
}

/// What holds for integers, whose only functions are sum and assign.
macro_rules! integer {
    ($number:ident, $dtype:path, $numbers:path, $add:path) => {
        impl Element for $number {
            type Sum = $number;

            const DTYPE: DType = $dtype;

            stored_as_computed!($add);

            fn plus(self, sum: $number) -> $number {
                sum.wrapping_add(self)
            }

            fn all_within(_: &[$number], _: f64) -> bool {
                true
            }

            fn numbers(numbers: &mut [$number]) -> Numbers<'_> {
                $numbers(numbers)
            }

            fn update(function: UpdateFunction) -> Option<Update<$number>> {
                match function {
                    UpdateFunction::Sum => Some(Update::Sum),
                    UpdateFunction::Assign => Some(Update::Assign),
                    _ => None,
                }
            }

            fn user_update(_: &UserUpdate, _: &Functions) -> Result<Update<$number>, String> {
                Err(format!("dtype {} has only the update functions sum and assign", $dtype))
            }
        }
    };
}

integer!(i64, DType::I64, Numbers::I64, simd::add_i64);
integer!(u32, DType::U32, Numbers::U32, simd::add_u32);
