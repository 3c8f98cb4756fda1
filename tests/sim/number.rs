//! Numbers of either dtype, held as the bits of 64.

use parashard::memory::TxBuf;
use parashard::wire::DType;

/// `first + second` as the store adds them.
pub(crate) fn plus(dtype: DType, first: u64, second: u64) -> u64 {
    match dtype {
        DType::I64 => first.wrapping_add(second),
        _ => u64::from((f32::from_bits(first as u32) + f32::from_bits(second as u32)).to_bits()),
    }
}

/// The bits of a whole number.
pub(crate) fn whole(dtype: DType, number: i64) -> u64 {
    match dtype {
        DType::I64 => number as u64,
        _ => u64::from((number as f32).to_bits()),
    }
}

/// The whole number with these bits.
pub(crate) fn to_whole(dtype: DType, bits: u64) -> i64 {
    match dtype {
        DType::I64 => bits as i64,
        _ => {
            let number = f32::from_bits(bits as u32);
            assert!(number.fract() == 0.0 && number.abs() < 16_777_216.0, "{number} is no exact whole number");
            number as i64
        }
    }
}

/// The value block with these numbers.
pub(crate) fn encode(dtype: DType, numbers: &[u64]) -> TxBuf {
    match dtype {
        DType::I64 => TxBuf::from_vec(numbers.to_vec()),
        _ => TxBuf::from_vec(numbers.iter().map(|&bits| bits as u32).collect::<Vec<_>>()),
    }
}

/// The numbers of a value block.
pub(crate) fn decode(dtype: DType, bytes: &[u8]) -> Vec<u64> {
    match dtype {
        DType::I64 => bytes.as_chunks::<8>().0.iter().map(|&chunk| u64::from_le_bytes(chunk)).collect(),
        _ => bytes.as_chunks::<4>().0.iter().map(|&chunk| u64::from(u32::from_le_bytes(chunk))).collect(),
    }
}
