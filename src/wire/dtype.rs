//! Types of numbers in a table.

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

    /// The place of the first NaN or infinity among `numbers`, which are whole numbers of this type.
    #[must_use]
    pub fn first_not_finite(self, numbers: &[u8]) -> Option<usize> {
        match self {
            DType::F32 => numbers.as_chunks().0.iter().position(|&bytes| !f32::from_le_bytes(bytes).is_finite()),
            DType::F64 => numbers.as_chunks().0.iter().position(|&bytes| !f64::from_le_bytes(bytes).is_finite()),
            // The upper half of a binary32 has all of its exponent.
            DType::Bf16 => {
                let number = |bytes: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
                numbers.as_chunks().0.iter().position(|&bytes| !number(bytes).is_finite())
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
    fn the_first_number_that_is_not_finite_is_found_in_every_type() {
        assert_eq!(DType::F32.first_not_finite([1.0f32, f32::MAX, f32::NAN].as_bytes()), Some(2));
        assert_eq!(DType::F64.first_not_finite([f64::NEG_INFINITY].as_bytes()), Some(0));
        assert_eq!(DType::Bf16.first_not_finite([0x3f80u16, 0x7f80].as_bytes()), Some(1));
        assert_eq!(DType::I64.first_not_finite([-1i64].as_bytes()), None);
    }
}
