//! Criteo click logs: label, 13 integers and 26 categories, separated by tabs. Any may be missing.
//!
//! Every field that is there gives one feature of value 1: the hash of field and category. An
//! integer x from 3 on falls into the category floor(ln(x)^2), a smaller one is its own category.

use super::batch::RowBatch;
use super::error::BadLine;
use super::parser::{RowParser, byte_at, end_row, parse_lines, token_at};
use super::swar::{control_mask, digits_at, hash_seed, hash_token, hash_word};
use std::sync::LazyLock;

/// Integer fields of a row; they come first.
pub(super) const INTEGER_FIELDS: usize = 13;
/// Categorical fields of a row.
pub(super) const CATEGORY_FIELDS: usize = 26;
/// Integers from here on are binned by their logarithm.
const BINNED_FROM: u64 = 3;

/// `BIN_STARTS[b]` is the smallest integer x with ln(x)^2 >= b, as far as 64 bits reach.
static BIN_STARTS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let starts = (0..).map(|bin| libm::ceil(libm::exp(libm::sqrt(f64::from(bin)))));
    starts.take_while(|&start| start < 9e18).map(|start| start as u64).collect()
});

/// The category of an integer.
fn integer_category(integer: i64) -> u64 {
    match u64::try_from(integer) {
        Ok(integer) if integer >= BINNED_FROM => {
            let bin = BIN_STARTS.partition_point(|&start| start <= integer) - 1;
            (1 << 32) | bin as u64
        }
        _ => integer as u64,
    }
}

/// One integer of each category, in ascending order, from 0 on.
pub(super) fn integer_examples() -> Vec<u64> {
    let mut examples: Vec<u64> =
        (0..BINNED_FROM).chain(BIN_STARTS.iter().copied().filter(|&start| start >= BINNED_FROM)).collect();
    examples.dedup();
    examples
}

/// Parser of Criteo text.
pub(super) struct CriteoParser {
    mask: u64,
    seeds: [u64; INTEGER_FIELDS + CATEGORY_FIELDS],
    /// Categories of the small integers.
    small: Vec<u64>,
}

impl RowParser for CriteoParser {
    fn parse(&mut self, text: &[u8], rows_max: usize, out: &mut RowBatch) -> Result<usize, BadLine> {
        parse_lines(text, rows_max, out, |at, out| self.line(text, at, out))
    }
}

impl CriteoParser {
    /// A parser with keys of `bits` bits.
    pub(super) fn new(bits: u8) -> CriteoParser {
        CriteoParser {
            mask: (1 << bits) - 1,
            seeds: std::array::from_fn(|field| hash_seed(field as u64 + 1)),
            small: (0..4096).map(integer_category).collect(),
        }
    }

    #[inline(always)]
    fn line(&self, text: &[u8], begin: usize, out: &mut RowBatch) -> Result<usize, String> {
        let label = match (byte_at(text, begin), byte_at(text, begin + 1)) {
            (b'\n', _) => return Ok((begin + 1).min(text.len())),
            (b'\r', b'\n') => return Ok((begin + 2).min(text.len())),
            (digit @ (b'0' | b'1'), b'\t') => f32::from(digit - b'0'),
            _ => return Err(format!("bad label: {} is neither 0 nor 1", token_at(text, begin))),
        };
        let mut at = begin + 1;
        for (field, &seed) in self.seeds.iter().enumerate() {
            if byte_at(text, at) != b'\t' {
                return Err(column_error(text, at, field));
            }
            at += 1;
            at = if field < INTEGER_FIELDS {
                self.integer(text, at, field, seed, out)?
            } else {
                let (hash, end) = hash_token(text, at, seed, control_mask);
                if end != at {
                    out.keys.push(hash & self.mask);
                }
                end
            };
        }
        at += usize::from(byte_at(text, at) == b'\r');
        if byte_at(text, at) != b'\n' {
            return Err(column_error(text, at, self.seeds.len()));
        }
        end_row(out, label)?;
        Ok((at + 1).min(text.len()))
    }

    /// Reads an integer field, which may be empty, and gives the place behind it.
    #[inline]
    fn integer(&self, text: &[u8], at: usize, field: usize, seed: u64, out: &mut RowBatch) -> Result<usize, String> {
        if byte_at(text, at) == b'\t' {
            return Ok(at);
        }
        let negative = byte_at(text, at) == b'-';
        let read = digits_at(text, at + usize::from(negative));
        let integer = read.and_then(|(digits, end)| Some((i64::try_from(digits).ok()?, end)));
        let Some((digits, end)) = integer.filter(|&(_, end)| byte_at(text, end) == b'\t') else {
            return Err(format!("column {}: {} is no integer", field + 2, token_at(text, at)));
        };
        let category = match usize::try_from(digits).ok().and_then(|digits| self.small.get(digits)) {
            Some(&category) if !negative => category,
            _ => integer_category(if negative { -digits } else { digits }),
        };
        out.keys.push(hash_word(seed, category) & self.mask);
        Ok(end)
    }
}

#[cold]
fn column_error(text: &[u8], at: usize, field: usize) -> String {
    let columns = 1 + INTEGER_FIELDS + CATEGORY_FIELDS;
    match byte_at(text, at) {
        b'\n' | b'\r' => format!("{} columns, {columns} expected", field + 1),
        b'\t' => format!("more than {columns} columns"),
        _ => format!("column {}: control character", field + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<RowBatch, BadLine> {
        let mut out = RowBatch::default();
        let consumed = CriteoParser::new(24).parse(text.as_bytes(), usize::MAX, &mut out)?;
        assert_eq!(consumed, text.len());
        Ok(out)
    }

    fn row(label: u8, integers: &[&str; 13], categories: &[&str; 26]) -> String {
        format!("{label}\t{}\t{}", integers.join("\t"), categories.join("\t"))
    }

    fn first_integer(integer: &str) -> String {
        let mut integers = [""; 13];
        integers[0] = integer;
        row(1, &integers, &[""; 26])
    }

    #[test]
    fn missing_fields_give_no_feature() {
        let full = row(1, &["5"; 13], &["68fd1e64"; 26]);
        let mut integers = ["5"; 13];
        integers[12] = "";
        let mut categories = ["68fd1e64"; 26];
        categories[0] = "";
        categories[25] = "";
        let partial = row(0, &integers, &categories);
        let batch = parse(&format!("{full}\n{partial}\r\n\n{}", row(0, &[""; 13], &[""; 26]))).unwrap();
        assert_eq!(batch.labels, [1.0, 0.0, 0.0]);
        assert_eq!(batch.offsets, [0, 39, 75, 75]);
        assert_eq!(batch.row_keys(1)[..12], batch.row_keys(0)[..12]);
        assert_eq!(batch.row_keys(1)[12..], batch.row_keys(0)[14..38]);
        let mut keys = batch.row_keys(0).to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 39, "equal tokens in different fields are different features");
    }

    #[test]
    fn integers_fall_into_logarithmic_bins() {
        let keys: Vec<_> = ["-1", "0", "2", "3", "4", "5", "1000", "1009", "900", "5000000000", "5000000001"]
            .iter()
            .map(|integer| parse(&first_integer(integer)).unwrap().keys[0])
            .collect();
        assert_eq!(keys[3], keys[4], "ln(3)^2 and ln(4)^2 lie in [1, 2)");
        assert_ne!(keys[4], keys[5], "ln(5)^2 is 2.6");
        assert_eq!(keys[6], keys[7]);
        assert_ne!(keys[6], keys[8]);
        assert_eq!(keys[9], keys[10]);
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[2] != keys[3]);
    }

    #[test]
    fn examples_of_integers_are_one_a_category() {
        let examples = integer_examples();
        let categories: Vec<_> = examples.iter().map(|&example| integer_category(example as i64)).collect();
        assert!(categories.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(examples.len() > 200);
    }

    #[test]
    fn bad_lines_say_why() {
        let reason = |text: &str| parse(text).expect_err("bad").reason;
        assert_eq!(reason("1\t2\t3\n"), "column 3: \"3\" is no integer");
        assert_eq!(reason("7\t2\n"), "bad label: \"7\" is neither 0 nor 1");
        assert_eq!(reason(&first_integer("x1")), "column 2: \"x1\" is no integer");
        assert_eq!(reason(&first_integer("99999999999999999999")), "column 2: \"99999999999999999999\" is no integer");
        let long = format!("{}\tx\n", row(1, &["5"; 13], &["a"; 26]));
        assert_eq!(reason(&long), "more than 40 columns");
        let short = format!("1{}{}\n", "\t".repeat(13), "\ta".repeat(25));
        assert_eq!(reason(&short), "39 columns, 40 expected");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(
            prop_oneof![4 => Just(b'\t'), 1 => Just(b'\n'), 2 => b'0'..=b'1', 1 => any::<u8>()], 0..120)) {
            let mut out = RowBatch::default();
            let _ = CriteoParser::new(24).parse(&text, 50, &mut out);
            prop_assert_eq!(out.offsets.len(), out.labels.len() + 1);
            prop_assert_eq!(out.offsets.last().copied(), u32::try_from(out.keys.len()).ok());
        }
    }
}
