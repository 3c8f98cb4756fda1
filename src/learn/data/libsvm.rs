//! libsvm or svmlight text: `label index:value index:value … # comment`.
//!
//! Indexes are keys as they stand. They may come in any order, but only once a row. `qid:` is
//! passed over. The common feature, an index of up to seven digits with the value 1, is read
//! without a branch that depends on its length.

use super::batch::RowBatch;
use super::error::BadLine;
use super::parser::{
    RowParser, byte_at, end_row, float_at, is_blank, label_at, line_end, parse_lines, skip_blanks, token_at,
};
use super::swar::{digit_count, digits_at, number, word_at};

/// `:1` as the low bytes of a word.
const COLON_ONE: u64 = b':' as u64 | (b'1' as u64) << 8;

/// Parser of libsvm text.
pub(super) struct LibsvmParser {
    key_end: u64,
    sorted: Vec<u64>,
}

/// What stands at a place where a feature of common shape does not.
enum Odd {
    Key(u64, usize),
    Nothing(usize),
    LineEnd(usize),
}

impl RowParser for LibsvmParser {
    fn parse(&mut self, text: &[u8], rows_max: usize, out: &mut RowBatch) -> Result<usize, BadLine> {
        parse_lines(text, rows_max, out, |at, out| self.line(text, at, out))
    }
}

impl LibsvmParser {
    /// A parser that refuses keys from `key_end` on.
    pub(super) fn new(key_end: u64) -> LibsvmParser {
        LibsvmParser { key_end, sorted: Vec::new() }
    }

    #[inline(always)]
    fn line(&mut self, text: &[u8], begin: usize, out: &mut RowBatch) -> Result<usize, String> {
        let begin = skip_blanks(text, begin);
        match byte_at(text, begin) {
            b'\n' => return Ok((begin + 1).min(text.len())),
            b'#' => return Ok(line_end(text, begin)),
            _ => {}
        }
        let (label, mut at) = label_at(text, begin)?;
        let mut next_key = 0;
        let mut ordered = true;
        let end = loop {
            let word = word_at(text, at);
            let count = digit_count(word);
            let (key, key_end) = if (1..8).contains(&count) {
                (number(word, count), at + count)
            } else {
                match odd_token(text, at)? {
                    Odd::Key(key, key_end) => (key, key_end),
                    Odd::Nothing(place) => {
                        at = place;
                        continue;
                    }
                    Odd::LineEnd(end) => break end,
                }
            };
            ordered &= key >= next_key;
            next_key = key + 1;
            out.keys.push(key);
            let tail = word_at(text, key_end);
            if tail & 0x00ff_ffff == COLON_ONE | (b' ' as u64) << 16 {
                at = key_end + 3;
            } else {
                at = value(text, key_end, key, out)?;
            }
        };
        self.check_keys(ordered, next_key, &out.keys[out.open_row_begin()..])?;
        end_row(out, label)?;
        Ok(end)
    }

    fn check_keys(&mut self, ordered: bool, mut next_key: u64, keys: &[u64]) -> Result<(), String> {
        if !ordered {
            self.sorted.clear();
            self.sorted.extend_from_slice(keys);
            self.sorted.sort_unstable();
            if let Some(pair) = self.sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("index {} appears twice", pair[0]));
            }
            next_key = self.sorted.last().map_or(0, |key| key + 1);
        }
        if next_key > self.key_end {
            return Err(format!("index {} is outside the key space, which ends at {}", next_key - 1, self.key_end));
        }
        Ok(())
    }
}

/// Reads `:value` at `at` for the key that was pushed last.
#[inline]
fn value(text: &[u8], at: usize, key: u64, out: &mut RowBatch) -> Result<usize, String> {
    if byte_at(text, at) != b':' {
        return Err(format!("no value behind index {key}: index:value expected"));
    }
    let (number, end) = match (byte_at(text, at + 1), byte_at(text, at + 2)) {
        (b'1', b'\n' | b'\r') => (1.0, at + 2),
        _ => float_at(text, at + 1)?,
    };
    if number != 1.0 {
        out.value_last(number);
    }
    match byte_at(text, end) {
        b'\n' => Ok(end),
        byte if is_blank(byte) => Ok(end + 1),
        _ => Err(format!("bad value of index {key}: {}", token_at(text, at + 1))),
    }
}

/// Reads whatever is no index of one to seven digits.
#[inline(never)]
fn odd_token(text: &[u8], at: usize) -> Result<Odd, String> {
    match byte_at(text, at) {
        b'\n' => Ok(Odd::LineEnd((at + 1).min(text.len()))),
        b'#' => Ok(Odd::LineEnd(line_end(text, at))),
        byte if is_blank(byte) => Ok(Odd::Nothing(at + 1)),
        b'0'..=b'9' => match digits_at(text, at) {
            Some((key, end)) if key < u64::MAX => Ok(Odd::Key(key, end)),
            _ => Err(format!("index {} does not fit 64 bits", token_at(text, at))),
        },
        b'q' if text[at..].starts_with(b"qid:") => {
            let token_bytes = text[at..].iter().position(u8::is_ascii_whitespace).unwrap_or(text.len() - at);
            Ok(Odd::Nothing(at + token_bytes))
        }
        _ => Err(format!("{} is no index:value", token_at(text, at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<RowBatch, BadLine> {
        let mut out = RowBatch::default();
        let consumed = LibsvmParser::new(u64::MAX).parse(text.as_bytes(), usize::MAX, &mut out)?;
        assert_eq!(consumed, text.len());
        Ok(out)
    }

    fn reason(text: &str) -> String {
        parse(text).expect_err("bad").reason
    }

    #[test]
    fn rows_are_read_with_all_that_may_stand_between_them() {
        let batch =
            parse("# head\n+1 1:1 7:1\n\n-1 qid:3 2:0.5 123456789012:1 # why\r\n  0\n3.5\t9:1e2\r\n1 5:1").unwrap();
        assert_eq!(batch.labels, [1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(batch.offsets, [0, 2, 4, 4, 5, 6]);
        assert_eq!(batch.keys, [1, 7, 2, 123_456_789_012, 9, 5]);
        assert_eq!(batch.values, [1.0, 1.0, 0.5, 1.0, 100.0, 1.0]);
    }

    #[test]
    fn rows_of_ones_have_no_values() {
        let batch = parse("1 10:1 12345678:1 3:1.0\r\n0 7:1\n").unwrap();
        assert_eq!(batch.keys, [10, 12_345_678, 3, 7]);
        assert!(batch.values.is_empty());
    }

    #[test]
    fn bad_lines_say_why() {
        assert_eq!(reason("1 3:1 3:2\n"), "index 3 appears twice");
        assert_eq!(reason("1 4:1 3:1 4:1\n"), "index 4 appears twice");
        assert_eq!(reason("1 3\n"), "no value behind index 3: index:value expected");
        assert_eq!(reason("1 3:nan\n"), "\"nan\" is no finite number");
        assert_eq!(reason("1 3:1e60\n"), "\"1e60\" is no finite number");
        assert_eq!(reason("1 3:\n"), "\"\" is no finite number");
        assert_eq!(reason("1 3:1x 4:1\n"), "bad value of index 3: \"1x\"");
        assert_eq!(reason("yes 3:1\n"), "bad label: \"yes\" is no finite number");
        assert_eq!(reason("1x 3:1\n"), "bad label: \"1x\" is no number");
        assert_eq!(reason("1 -3:1\n"), "\"-3:1\" is no index:value");
        assert_eq!(reason("1 18446744073709551615:1"), "index \"18446744073709551615:1\" does not fit 64 bits");
    }

    #[test]
    fn a_bad_line_leaves_the_rows_before_it() {
        let text = b"1 3:1\n0 4:2 4:1\n1 5:1\n";
        let mut out = RowBatch::default();
        let bad = LibsvmParser::new(u64::MAX).parse(text, 9, &mut out).expect_err("bad");
        assert_eq!(bad.begin, 6);
        assert_eq!((out.row_count(), out.keys.as_slice(), out.values.len()), (1, &[3][..], 0));
    }

    #[test]
    fn a_key_outside_the_key_space_is_a_bad_line() {
        let mut out = RowBatch::default();
        let mut parser = LibsvmParser::new(100);
        assert_eq!(parser.parse(b"1 99:1\n", 9, &mut out), Ok(7));
        assert!(parser.parse(b"1 100:1\n", 9, &mut out).is_err());
        assert!(parser.parse(b"1 100:1 3:1\n", 9, &mut out).is_err());
    }

    #[test]
    fn parsing_stops_at_the_wanted_number_of_rows() {
        let mut out = RowBatch::default();
        assert_eq!(LibsvmParser::new(u64::MAX).parse(b"1 3:1\n0 4:1\n1 5:1\n", 2, &mut out), Ok(12));
        assert_eq!(out.row_count(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(
            prop_oneof![Just(b' '), Just(b'\n'), Just(b':'), Just(b'#'), b'0'..=b'9', any::<u8>()], 0..80)) {
            let mut out = RowBatch::default();
            let _ = LibsvmParser::new(u64::MAX).parse(&text, 50, &mut out);
            prop_assert_eq!(out.offsets.len(), out.labels.len() + 1);
            prop_assert_eq!(out.offsets.last().copied(), u32::try_from(out.keys.len()).ok());
        }
    }
}
