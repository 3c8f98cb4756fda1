//! Vowpal Wabbit text: `label [importance] ['tag]|namespace[:scale] feature[:value] … |namespace …`.
//!
//! A key is the hash of namespace and name, cut to a number of bits. A name that is a number in the
//! unnamed namespace (`| 17:0.5`) is that key itself, as Vowpal Wabbit has it. Name and hash are
//! done in one go, eight bytes at a time. An importance other than 1 is refused: it would be ignored.

use super::batch::RowBatch;
use super::error::BadLine;
use super::parser::{RowParser, byte_at, end_row, float_at, is_blank, label_at, parse_lines, skip_blanks, token_at};
use super::swar::{digits_at, hash_seed, hash_token, name_end_mask};

/// Parser of Vowpal Wabbit text.
pub(super) struct VwParser {
    mask: u64,
}

/// The namespace that features belong to.
struct Namespace {
    seed: u64,
    /// Whether names that are numbers are keys.
    unnamed: bool,
    scale: f32,
}

impl RowParser for VwParser {
    fn parse(&mut self, text: &[u8], rows_max: usize, out: &mut RowBatch) -> Result<usize, BadLine> {
        parse_lines(text, rows_max, out, |at, out| self.line(text, at, out))
    }
}

impl VwParser {
    /// A parser with keys of `bits` bits.
    pub(super) fn new(bits: u8) -> VwParser {
        VwParser { mask: (1 << bits) - 1 }
    }

    #[inline(always)]
    fn line(&self, text: &[u8], begin: usize, out: &mut RowBatch) -> Result<usize, String> {
        let begin = skip_blanks(text, begin);
        if byte_at(text, begin) == b'\n' {
            return Ok((begin + 1).min(text.len()));
        }
        let (label, mut at) = header(text, begin)?;
        while byte_at(text, at) == b'|' {
            let (namespace, features) = namespace(text, at + 1)?;
            at = self.features(text, features, &namespace, out)?;
        }
        end_row(out, label)?;
        Ok((at + 1).min(text.len()))
    }

    /// Reads features up to the next `|` or line end and gives its place.
    #[inline(always)]
    fn features(&self, text: &[u8], mut at: usize, namespace: &Namespace, out: &mut RowBatch) -> Result<usize, String> {
        loop {
            let (hash, end) = hash_token(text, at, namespace.seed, name_end_mask);
            let delimiter = byte_at(text, end);
            if end == at {
                match delimiter {
                    b'|' | b'\n' => return Ok(at),
                    byte if is_blank(byte) => at += 1,
                    _ => return Err(format!("{} is no feature", token_at(text, at))),
                }
                continue;
            }
            let key = if namespace.unnamed { index_or(hash, text, at, end) } else { hash };
            out.keys.push(key & self.mask);
            if delimiter == b' ' && namespace.scale == 1.0 {
                at = end + 1;
            } else {
                at = value(text, at, end, namespace.scale, out)?;
            }
        }
    }
}

/// The number that a name is, or else its hash.
#[inline]
fn index_or(hash: u64, text: &[u8], begin: usize, end: usize) -> u64 {
    match digits_at(text, begin) {
        Some((number, number_end)) if number_end == end => number,
        _ => hash,
    }
}

/// Reads what follows a name: perhaps `:value`, then a blank, `|` or line end.
#[inline]
fn value(text: &[u8], begin: usize, name_end: usize, scale: f32, out: &mut RowBatch) -> Result<usize, String> {
    let (number, end) = match byte_at(text, name_end) {
        b':' => float_at(text, name_end + 1)?,
        _ => (1.0, name_end),
    };
    let scaled = number * scale;
    if !scaled.is_finite() {
        return Err(format!("{} times its namespace's scale is no finite number", token_at(text, begin)));
    }
    if scaled != 1.0 {
        out.value_last(scaled);
    }
    match byte_at(text, end) {
        b'\n' | b'|' => Ok(end),
        byte if is_blank(byte) => Ok(end + 1),
        _ => Err(format!("bad feature {}", token_at(text, begin))),
    }
}

/// Reads name and scale of a namespace, which begin directly behind its `|`.
#[inline]
fn namespace(text: &[u8], at: usize) -> Result<(Namespace, usize), String> {
    let (seed, end) = hash_token(text, at, hash_seed(0), name_end_mask);
    let mut namespace = Namespace { seed, unnamed: end == at, scale: 1.0 };
    match byte_at(text, end) {
        b':' => {
            let (scale, end) = float_at(text, end + 1)?;
            namespace.scale = scale;
            Ok((namespace, end))
        }
        _ => Ok((namespace, end)),
    }
}

/// Reads label, importance and tag: gives the label and the place of the first `|`.
#[inline]
fn header(text: &[u8], begin: usize) -> Result<(f32, usize), String> {
    if byte_at(text, begin) == b'|' {
        return Err("no label before the first |".into());
    }
    let (label, end) = label_at(text, begin)?;
    let at = skip_blanks(text, end);
    if byte_at(text, at) == b'|' { Ok((label, at)) } else { Ok((label, rest_of_header(text, at)?)) }
}

/// Passes over importance and tag. A token that touches the `|` is a tag.
#[inline(never)]
fn rest_of_header(text: &[u8], begin: usize) -> Result<usize, String> {
    let mut at = begin;
    let mut numbers = 0;
    while byte_at(text, at) != b'|' {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'|';
        let end = text[at..].iter().position(ends).map_or(text.len(), |count| at + count);
        if end == at {
            return Err("no | in the line".into());
        }
        let is_tag = text[at] == b'\'' || byte_at(text, end) == b'|';
        if !is_tag {
            numbers += 1;
            let importance = fast_float2::parse::<f32, _>(&text[at..end]);
            if numbers > 1 || importance != Ok(1.0) {
                return Err(format!("{}: importance other than 1 is not supported", token_at(text, at)));
            }
        }
        at = skip_blanks(text, end);
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<RowBatch, BadLine> {
        let mut out = RowBatch::default();
        let consumed = VwParser::new(20).parse(text.as_bytes(), usize::MAX, &mut out)?;
        assert_eq!(consumed, text.len());
        Ok(out)
    }

    fn reason(text: &str) -> String {
        parse(text).expect_err("bad").reason
    }

    #[test]
    fn label_importance_and_tag_are_understood() {
        let batch = parse("1 |a x\n-1 1 |a x\n0 1.0 'tag |a x\n2 tag|a x\n1 'tag|a x\n\n1|a x\r\n").unwrap();
        assert_eq!(batch.labels, [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(batch.keys, [batch.keys[0]; 6]);
        assert!(batch.values.is_empty());
    }

    #[test]
    fn a_key_depends_on_namespace_and_name_alone() {
        let batch = parse("1 |a x y |b x\n1 |b x|a   y x:1 \n0 |a a_rather_long_name |long_namespace x").unwrap();
        assert_eq!(batch.offsets, [0, 3, 6, 8]);
        let row = |row: usize| {
            let mut keys = batch.row_keys(row).to_vec();
            keys.sort_unstable();
            keys
        };
        assert_eq!(row(0), row(1));
        assert!(row(0).windows(2).all(|pair| pair[0] < pair[1]));
        assert!(batch.keys.iter().all(|&key| key < 1 << 20));
    }

    #[test]
    fn hashes_stay_what_they_are() {
        let batch = parse("1 |a x name_of_11 name_of_eight_plus\n").unwrap();
        assert_eq!(batch.keys, [619_816, 586_623, 293_838], "a model is of no use under other keys");
    }

    #[test]
    fn numbers_in_the_unnamed_namespace_are_keys() {
        let batch = parse("1 | 17:0.5 123456789 9x\n").unwrap();
        assert_eq!(batch.keys[..2], [17, 123_456_789 & 0xf_ffff]);
        assert_eq!(batch.values, [0.5, 1.0, 1.0]);
    }

    #[test]
    fn a_namespace_scales_its_values() {
        let batch = parse("1 |a:2 x y:3 |b z\n").unwrap();
        assert_eq!(batch.values, [2.0, 6.0, 1.0]);
    }

    #[test]
    fn bad_lines_say_why() {
        assert_eq!(reason("|a x\n"), "no label before the first |");
        assert_eq!(reason("1 a x\n"), "\"a\": importance other than 1 is not supported");
        assert_eq!(reason("1 2.5 |a x\n"), "\"2.5\": importance other than 1 is not supported");
        assert_eq!(reason("1\n"), "no | in the line");
        assert_eq!(reason("1 |a :3\n"), "\":3\" is no feature");
        assert_eq!(reason("1 |a x:inf\n"), "\"inf\" is no finite number");
        assert_eq!(reason("1 |a x:1:2\n"), "bad feature \"x:1:2\"");
        assert_eq!(reason("1 |a:1e30 x:1e30\n"), "\"x:1e30\" times its namespace's scale is no finite number");
        assert_eq!(reason("1 |a x\u{1}y\n"), "bad feature \"x\\x01y\"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(
            prop_oneof![Just(b' '), Just(b'\n'), Just(b':'), Just(b'|'), b'0'..=b'1', any::<u8>()], 0..80)) {
            let mut out = RowBatch::default();
            let _ = VwParser::new(20).parse(&text, 50, &mut out);
            prop_assert_eq!(out.offsets.len(), out.labels.len() + 1);
            prop_assert_eq!(out.offsets.last().copied(), u32::try_from(out.keys.len()).ok());
        }
    }
}
