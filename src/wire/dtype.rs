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
