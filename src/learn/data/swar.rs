//! Eight bytes of text at a time in one register: digits, delimiters, hashing.
//!
//! A word holds the bytes in their order from its lowest byte on. All functions work on every
//! machine alike, so that a feature has the same key everywhere.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const TAIL_MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

const fn repeat(byte: u8) -> u64 {
    LOW * byte as u64
}

/// The eight bytes from `at` on; bytes behind the end read as line ends.
#[inline(always)]
pub(super) fn word_at(text: &[u8], at: usize) -> u64 {
    match text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => word_at_end(text, at),
    }
}

#[cold]
fn word_at_end(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or(&[]);
    let mut bytes = [b'\n'; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

/// How many digits the word begins with.
#[inline(always)]
pub(super) fn digit_count(word: u64) -> usize {
    let numbers = word ^ repeat(b'0');
    let above_nine = ((numbers & !HIGH) + repeat(0x80 - 10)) | numbers;
    (above_nine & HIGH).trailing_zeros() as usize / 8
}

/// The number that the first `count` bytes spell; they are 1 to 8 digits.
#[inline(always)]
pub(super) fn number(word: u64, count: usize) -> u64 {
    debug_assert!((1..=8).contains(&count));
    let digits = (word ^ repeat(b'0')) << (64 - 8 * count);
    let pairs = (digits.wrapping_mul(10 * 256 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs.wrapping_mul(100 * 65536 + 1) >> 16) & 0x0000_ffff_0000_ffff;
    quads.wrapping_mul((10_000 << 32) + 1) >> 32
}

/// Reads digits from `at` on: the number and the place behind them. None without a digit or beyond 64 bits.
#[inline]
pub(super) fn digits_at(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let word = word_at(text, at);
    match digit_count(word) {
        0 => None,
        8 => long_digits_at(text, at),
        count => Some((number(word, count), at + count)),
    }
}

#[inline(never)]
fn long_digits_at(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let end = text[at..].iter().position(|byte| !byte.is_ascii_digit()).map_or(text.len(), |count| at + count);
    let number = text[at..end]
        .iter()
        .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    Some((number, end))
}

/// Marks the high bit of the first byte that is a blank, a control character, `:` or `|`; bytes
/// above it may be marked wrongly.
#[inline(always)]
pub(super) fn name_end_mask(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    let blank = word.wrapping_sub(repeat(b' ' + 1)) & !word;
    (blank | zero(word ^ repeat(b':')) | zero(word ^ repeat(b'|'))) & HIGH
}

/// Marks the high bit of the first control character, tab and line end among them; bytes above it
/// may be marked wrongly.
#[inline(always)]
pub(super) fn control_mask(word: u64) -> u64 {
    word.wrapping_sub(repeat(b' ')) & !word & HIGH
}

/// Mixes two numbers into one; every bit depends on all bits of both.
#[inline(always)]
pub(super) fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Ends a hash with the last 0 to 7 bytes, the low `count` bytes of `word`.
#[inline(always)]
pub(super) fn hash_tail(state: u64, word: u64, count: usize) -> u64 {
    let tail = word & ((1 << (8 * count)) - 1);
    fold(state ^ tail, TAIL_MULTIPLIER ^ ((count as u64) << 32))
}

/// Goes on with a hash by eight bytes.
#[inline(always)]
pub(super) fn hash_word(state: u64, word: u64) -> u64 {
    fold(state ^ word, MULTIPLIER)
}

/// The state from which the names of a field or namespace are hashed.
#[inline]
pub(super) fn hash_seed(number: u64) -> u64 {
    fold(number ^ 0xa076_1d64_78bd_642f, MULTIPLIER)
}

/// Hashes a token up to the first byte that `end_mask` marks: the hash and the place of that byte.
#[inline(always)]
pub(super) fn hash_token(text: &[u8], mut at: usize, seed: u64, end_mask: impl Fn(u64) -> u64) -> (u64, usize) {
    let mut state = seed;
    loop {
        let word = word_at(text, at);
        let mask = end_mask(word);
        if mask != 0 {
            let count = mask.trailing_zeros() as usize / 8;
            return (hash_tail(state, word, count), at + count);
        }
        state = hash_word(state, word);
        at += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash_oracle(seed: u64, name: &[u8]) -> u64 {
        let chunks = name.chunks_exact(8);
        let tail = chunks.remainder();
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        let state = chunks.fold(seed, |state, chunk| hash_word(state, u64::from_le_bytes(chunk.try_into().unwrap())));
        hash_tail(state, u64::from_le_bytes(word), tail.len())
    }

    proptest! {
        #[test]
        fn digits_are_counted_and_read_like_the_standard_does(text in "[0-9]{0,9}[^0-9]?.{0,9}") {
            let text = text.as_bytes();
            let count = text.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
            let word = word_at(text, 0);
            prop_assert_eq!(digit_count(word), count);
            if count > 0 {
                let expected: u64 = std::str::from_utf8(&text[..count]).unwrap().parse().unwrap();
                prop_assert_eq!(number(word, count), expected);
            }
        }

        #[test]
        fn long_numbers_are_read_or_refused(number in any::<u128>()) {
            let number = number >> (number % 100);
            let text = format!("{number}:");
            let read = digits_at(text.as_bytes(), 0);
            prop_assert_eq!(read, u64::try_from(number).ok().map(|number| (number, text.len() - 1)));
        }

        #[test]
        fn a_token_ends_at_the_first_delimiter(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let ends = |byte: &u8| *byte <= b' ' || *byte == b':' || *byte == b'|';
            let end = bytes.iter().position(ends).unwrap_or(bytes.len());
            let expected = (hash_oracle(7, &bytes[..end]), end);
            prop_assert_eq!(hash_token(&bytes, 0, 7, name_end_mask), expected);
            let end = bytes.iter().position(|byte| *byte < b' ').unwrap_or(bytes.len());
            prop_assert_eq!(hash_token(&bytes, 0, 9, control_mask), (hash_oracle(9, &bytes[..end]), end));
        }
    }
}
