//! The number types that a table can hold.

use super::update::{FtrlUpdate, StateUpdate};
use crate::simd;
use crate::wire::{DType, UpdateFunction};
use std::fmt::Debug;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A number of a table's values. Zero is the initial value of every key.
pub(super) trait Element:
    FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Default + PartialEq + Debug + Send + Sync + 'static
{
    /// The type's name in specs and on the wire.
    const DTYPE: DType;

    /// `self + other`; integers wrap.
    fn plus(self, other: Self) -> Self;

    /// `target += source`, element by element.
    fn add(target: &mut [Self], source: &[Self]);

    /// Whether no number is infinite or NaN.
    fn all_finite(numbers: &[Self]) -> bool;

    /// The update function with state of its own that `function` names, if this type has it.
    fn stateful(function: UpdateFunction) -> Option<Box<dyn StateUpdate<Self>>> {
        let _ = function;
        None
    }
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;

    fn plus(self, other: f32) -> f32 {
        self + other
    }

    fn add(target: &mut [f32], source: &[f32]) {
        simd::add_f32(target, source);
    }

    fn all_finite(numbers: &[f32]) -> bool {
        simd::all_finite_f32(numbers)
    }

    fn stateful(function: UpdateFunction) -> Option<Box<dyn StateUpdate<f32>>> {
        match function {
            UpdateFunction::Ftrl(parameters) => Some(Box::new(FtrlUpdate::new(parameters))),
            UpdateFunction::Sum | UpdateFunction::Assign => None,
        }
    }
}

impl Element for f64 {
    const DTYPE: DType = DType::F64;

    fn plus(self, other: f64) -> f64 {
        self + other
    }

    fn add(target: &mut [f64], source: &[f64]) {
        simd::add_f64(target, source);
    }

    fn all_finite(numbers: &[f64]) -> bool {
        simd::all_finite_f64(numbers)
    }
}

impl Element for i64 {
    const DTYPE: DType = DType::I64;

    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }

    fn add(target: &mut [i64], source: &[i64]) {
        simd::add_i64(target, source);
    }

    fn all_finite(_: &[i64]) -> bool {
        true
    }
}

impl Element for u32 {
    const DTYPE: DType = DType::U32;

    fn plus(self, other: u32) -> u32 {
        self.wrapping_add(other)
    }

    fn add(target: &mut [u32], source: &[u32]) {
        simd::add_u32(target, source);
    }

    fn all_finite(_: &[u32]) -> bool {
        true
    }
}
