//! Types of numbers in a table.

use super::bf16::Bf16;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of one number of a value; carried in every frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum DType {
    /// IEEE 754 binary32.
    F32 = 1,
    /// IEEE 754 binary64.
    F64 = 2,
    /// The upper half of a binary32; accumulated in f32.
    Bf16 = 3,
    /// Unsigned, wraps.
    U32 = 4,
    /// Signed, wraps.
    I64 = 5,
}

impl DType {
    /// Bytes of one number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::F64 | DType::I64 => 8,
            DType::Bf16 => 2,
        }
    }

    /// The type of sums and update state of such numbers.
    #[must_use]
    pub const fn accumulator(self) -> DType {
        match self {
            DType::Bf16 => DType::F32,
            same => same,
        }
    }

    /// The largest finite number, for floats.
    #[must_use]
    pub const fn largest(self) -> f64 {
        match self {
            DType::F64 => f64::MAX,
            _ => f32::MAX as f64,
        }
    }

    /// The place of the first NaN, infinity or number beyond `largest` in size among `numbers`,
    /// which are whole numbers of this type.
    #[must_use]
    pub fn first_beyond(self, largest: f64, numbers: &[u8]) -> Option<usize> {
        // A comparison with NaN is false.
        let is_within = |number: f64| number.abs() <= largest;
        let within = |number: f32| number.abs() <= largest as f32;
        match self {
            DType::F32 => numbers.as_chunks().0.iter().position(|&bytes| !within(f32::from_le_bytes(bytes))),
            DType::F64 => numbers.as_chunks().0.iter().position(|&bytes| !is_within(f64::from_le_bytes(bytes))),
            DType::Bf16 => {
                let number = |bytes: [u8; 2]| f32::from(Bf16(u16::from_le_bytes(bytes)));
                numbers.as_chunks().0.iter().position(|&bytes| !within(number(bytes)))
            }
            DType::U32 | DType::I64 => None,
        }
    }

    /// The type with this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<DType> {
        match number {
            1 => Some(DType::F32),
            2 => Some(DType::F64),
            3 => Some(DType::Bf16),
            4 => Some(DType::U32),
            5 => Some(DType::I64),
            _ => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::Bf16 => "bf16",
            DType::U32 => "u32",
            DType::I64 => "i64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    #[test]
    fn the_first_number_that_is_not_finite_or_too_large_is_found_in_every_type() {
        let first = |dtype: DType, numbers: &[u8]| dtype.first_beyond(f64::from(f32::MAX), numbers);
        assert_eq!(first(DType::F32, [1.0f32, f32::MAX, f32::NAN].as_bytes()), Some(2));
        assert_eq!(first(DType::F64, [f64::NEG_INFINITY].as_bytes()), Some(0));
        assert_eq!(first(DType::Bf16, [0x3f80u16, 0x7f80].as_bytes()), Some(1));
        assert_eq!(first(DType::I64, [-1i64].as_bytes()), None);
        assert_eq!(DType::F32.first_beyond(1e15, [-1e15f32, 2e15].as_bytes()), Some(1));
        assert_eq!(DType::F64.first_beyond(1e15, [1e15, f64::NAN].as_bytes()), Some(1));
        assert_eq!(DType::Bf16.first_beyond(1.0, [0x3f80u16, 0xbf81].as_bytes()), Some(1));
    }
}
