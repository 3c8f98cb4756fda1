//! Numbers of any dtype, held as the bits of 64.

use parashard::memory::TxBuf;
use parashard::wire::{Bf16, DType};

/// `first + second` as the store adds them.
pub(crate) fn plus(dtype: DType, first: u64, second: u64) -> u64 {
    match dtype {
        DType::I64 => first.wrapping_add(second),
        DType::U32 => u64::from((first as u32).wrapping_add(second as u32)),
        DType::F64 => (f64::from_bits(first) + f64::from_bits(second)).to_bits(),
        DType::F32 => single(f32::from_bits(first as u32) + f32::from_bits(second as u32)),
        DType::Bf16 => half(wide(first) + wide(second)),
    }
}

/// The same number as the sum of a step holds it.
pub(crate) fn widen(dtype: DType, bits: u64) -> u64 {
    if dtype == DType::Bf16 { single(wide(bits)) } else { bits }
}

/// What becomes of a value when the sum of a step is added.
pub(crate) fn commit(dtype: DType, value: u64, sum: u64) -> u64 {
    if dtype == DType::Bf16 { half(wide(value) + f32::from_bits(sum as u32)) } else { plus(dtype, value, sum) }
}

fn single(number: f32) -> u64 {
    u64::from(number.to_bits())
}

fn half(number: f32) -> u64 {
    u64::from(Bf16::from(number).0)
}

fn wide(bits: u64) -> f32 {
    Bf16(bits as u16).into()
}

/// The bits of a whole number.
pub(crate) fn whole(dtype: DType, number: i64) -> u64 {
    match dtype {
        DType::I64 => number as u64,
        DType::U32 => u64::from(number as u32),
        DType::F64 => (number as f64).to_bits(),
        DType::F32 => single(number as f32),
        DType::Bf16 => half(number as f32),
    }
}

/// The number nearest to `number`, or near it.
pub(crate) fn near(dtype: DType, number: f64) -> u64 {
    match dtype {
        DType::F64 => number.to_bits(),
        DType::Bf16 => half(number as f32),
        _ => single(number as f32),
    }
}

/// The whole number with these bits.
pub(crate) fn to_whole(dtype: DType, bits: u64) -> i64 {
    let exact = |number: f64, limit: f64| {
        assert!(number.fract() == 0.0 && number.abs() < limit, "{number} is no exact whole number");
        number as i64
    };
    match dtype {
        DType::I64 | DType::U32 => bits as i64,
        DType::F64 => exact(f64::from_bits(bits), 9e15),
        DType::F32 => exact(f64::from(f32::from_bits(bits as u32)), 16_777_216.0),
        DType::Bf16 => exact(f64::from(wide(bits)), 256.0),
    }
}

/// The value block with these numbers.
pub(crate) fn encode(dtype: DType, numbers: &[u64]) -> TxBuf {
    match dtype.bytes() {
        8 => TxBuf::from_vec(numbers.to_vec()),
        4 => TxBuf::from_vec(numbers.iter().map(|&bits| bits as u32).collect::<Vec<_>>()),
        _ => TxBuf::from_vec(numbers.iter().map(|&bits| bits as u16).collect::<Vec<_>>()),
    }
}

/// The numbers of a value block.
pub(crate) fn decode(dtype: DType, bytes: &[u8]) -> Vec<u64> {
    match dtype.bytes() {
        8 => bytes.as_chunks::<8>().0.iter().map(|&chunk| u64::from_le_bytes(chunk)).collect(),
        4 => bytes.as_chunks::<4>().0.iter().map(|&chunk| u64::from(u32::from_le_bytes(chunk))).collect(),
        _ => bytes.as_chunks::<2>().0.iter().map(|&chunk| u64::from(u16::from_le_bytes(chunk))).collect(),
    }
}
