//! Numbers of a table as text.

use crate::node::DType;
use std::io::Write;

/// Appends the numbers of `bytes`, each behind a tab.
pub(super) fn push_numbers(dtype: DType, bytes: &[u8], text: &mut Vec<u8>) {
    for number in bytes.chunks_exact(dtype.bytes()) {
        text.push(b'\t');
        match (dtype, number) {
            (DType::F32, &[a, b, c, d]) => push_f32(f32::from_le_bytes([a, b, c, d]), text),
            (DType::U32, &[a, b, c, d]) => push_display(u32::from_le_bytes([a, b, c, d]), text),
            // The upper half of an f32 reads back to itself from the shortest form of the whole.
            (DType::Bf16, &[a, b]) => push_f32(f32::from_le_bytes([0, 0, a, b]), text),
            (DType::F64, number) => push_f64(f64::from_le_bytes(eight(number)), text),
            (_, number) => push_display(i64::from_le_bytes(eight(number)), text),
        }
    }
}

/// Appends the bytes of the number that `word` spells.
pub(super) fn parse_number(dtype: DType, word: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("{word:?} is no finite number of type {dtype}");
    match dtype {
        DType::F32 => {
            let number = word.parse::<f32>().ok().filter(|number| number.is_finite()).ok_or_else(wrong)?;
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        DType::F64 => {
            let number = word.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(wrong)?;
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        DType::Bf16 => {
            let number = word.parse::<f32>().ok().filter(|number| number.is_finite()).ok_or_else(wrong)?;
            let [0, 0, high @ ..] = number.to_le_bytes() else { return Err(wrong()) };
            bytes.extend_from_slice(&high);
        }
        DType::U32 => bytes.extend_from_slice(&word.parse::<u32>().map_err(|_| wrong())?.to_le_bytes()),
        DType::I64 => bytes.extend_from_slice(&word.parse::<i64>().map_err(|_| wrong())?.to_le_bytes()),
    }
    Ok(())
}

fn eight(number: &[u8]) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(number);
    bytes
}

fn push_display(number: impl std::fmt::Display, text: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = write!(text, "{number}");
}

/// Very small and very large numbers with an exponent, or their zeros would fill the line.
fn push_f32(number: f32, text: &mut Vec<u8>) {
    let plain = number == 0.0 || (1e-5..1e16).contains(&number.abs());
    let _ = if plain { write!(text, "{number}") } else { write!(text, "{number:e}") };
}

fn push_f64(number: f64, text: &mut Vec<u8>) {
    let plain = number == 0.0 || (1e-5..1e16).contains(&number.abs());
    let _ = if plain { write!(text, "{number}") } else { write!(text, "{number:e}") };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(dtype: DType, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        push_numbers(dtype, bytes, &mut text);
        let mut back = Vec::new();
        for word in str::from_utf8(&text).unwrap().split('\t').skip(1) {
            parse_number(dtype, word, &mut back)?;
        }
        Ok(back)
    }

    proptest! {
        #[test]
        fn every_finite_number_comes_back_bit_by_bit(bits: u64) {
            let bytes = bits.to_le_bytes();
            let floats = [f32::from_bits(bits as u32), f32::from_bits((bits >> 32) as u32)];
            for dtype in [DType::U32, DType::I64] {
                prop_assert_eq!(there_and_back(dtype, &bytes).unwrap(), &bytes);
            }
            if floats.iter().all(|number| number.is_finite()) {
                prop_assert_eq!(there_and_back(DType::F32, &bytes).unwrap(), &bytes);
            }
            if f64::from_bits(bits).is_finite() {
                prop_assert_eq!(there_and_back(DType::F64, &bytes).unwrap(), &bytes);
            }
            let half = &bytes[6..];
            if f32::from_le_bytes([0, 0, half[0], half[1]]).is_finite() {
                prop_assert_eq!(there_and_back(DType::Bf16, half).unwrap(), half);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for word in ["", "x", "NaN", "inf", "1e99", " 1"] {
            assert!(parse_number(DType::F32, word, &mut Vec::new()).unwrap_err().contains("f32"), "{word}");
        }
        assert!(parse_number(DType::U32, "-1", &mut Vec::new()).is_err());
        assert!(parse_number(DType::Bf16, "0.1", &mut Vec::new()).is_err());
        let mut zero = Vec::new();
        push_numbers(DType::F32, &(-0.0f32).to_le_bytes(), &mut zero);
        push_numbers(DType::F32, &1e-30f32.to_le_bytes(), &mut zero);
        assert_eq!(zero, b"\t-0\t1e-30");
    }
}
