//! What can be said of a request without a table, by the kernels.

use super::element::Element;
use super::typed::numbers;
use crate::simd;
use crate::wire::DType;

/// Whether each key is greater than the one before it.
#[must_use]
pub fn strictly_ascending(keys: &[u64]) -> bool {
    simd::strictly_ascending(keys)
}

/// The place of the first NaN or infinity among `values`, which are whole numbers of this type.
#[must_use]
pub fn first_not_finite(dtype: DType, values: &[u8]) -> Option<usize> {
    let all_finite = match dtype {
        DType::F32 => f32::all_finite(&numbers(values)),
        DType::F64 => f64::all_finite(&numbers(values)),
        DType::Bf16 => false,
        DType::U32 | DType::I64 => true,
    };
    // The slow way knows the place.
    if all_finite { None } else { dtype.first_not_finite(values) }
}
