//! What can be said of a request without a table, by the kernels.

use super::element::Element;
use super::typed::numbers;
use crate::simd;
use crate::wire::{Bf16, DType, TableSpec};

/// Whether each key is greater than the one before it.
#[must_use]
pub fn strictly_ascending(keys: &[u64]) -> bool {
    simd::strictly_ascending(keys)
}

/// The place of the first of the values, whole numbers of the table's type, that no push to it may
/// hold: NaN, infinite, or larger than its update function bears.
#[must_use]
pub fn first_beyond(spec: &TableSpec, values: &[u8]) -> Option<usize> {
    let largest = spec.push_max();
    let all_within = match spec.dtype {
        DType::F32 => f32::all_within(&numbers(values), largest),
        DType::F64 => f64::all_within(&numbers(values), largest),
        DType::Bf16 => Bf16::all_within(&numbers(values), largest),
        DType::U32 | DType::I64 => true,
    };
    // The slow way knows the place.
    if all_within { None } else { spec.dtype.first_beyond(largest, values) }
}
