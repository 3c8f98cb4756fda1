//! The trait of all text formats, and what their parsers share.

use super::batch::RowBatch;
use super::criteo::CriteoParser;
use super::error::BadLine;
use super::format::Format;
use super::libsvm::LibsvmParser;
use super::vw::VwParser;
use super::{BITS_MAX, Beyond, ReaderConfig};

/// Reads rows from whole lines of text.
pub trait RowParser: Send {
    /// Appends rows to `out` until it holds `rows_max` or the text ends. Gives the number of bytes
    /// read, always whole lines. The last line may lack its line end.
    ///
    /// # Errors
    /// [`BadLine`] names the first line that cannot be read. The rows before it are in `out`, of
    /// itself nothing is; parsing may go on behind it.
    fn parse(&mut self, text: &[u8], rows_max: usize, out: &mut RowBatch) -> Result<usize, BadLine>;
}

/// A parser of `format`; none for binary formats.
pub(super) fn parser_for(format: Format, config: &ReaderConfig) -> Option<Box<dyn RowParser>> {
    let key_end = match config.beyond {
        Beyond::Refuse => config.key_end.unwrap_or(u64::MAX),
        Beyond::Drop => u64::MAX,
    };
    match format {
        Format::Libsvm => Some(Box::new(LibsvmParser::new(key_end))),
        Format::Criteo => Some(Box::new(CriteoParser::new(config.bits.min(BITS_MAX)))),
        Format::Vw => Some(Box::new(VwParser::new(config.bits.min(BITS_MAX)))),
        Format::Block => None,
    }
}

/// Calls `line` for one line after the other: it appends at most one row and gives the place
/// behind the line, or the reason why there is none.
#[inline(always)]
pub(super) fn parse_lines(
    text: &[u8],
    rows_max: usize,
    out: &mut RowBatch,
    mut line: impl FnMut(usize, &mut RowBatch) -> Result<usize, String>,
) -> Result<usize, BadLine> {
    let mut at = 0;
    while at < text.len() && out.row_count() < rows_max {
        match line(at, out) {
            Ok(end) => at = end,
            Err(reason) => {
                out.drop_open_row();
                return Err(BadLine::new(at, reason));
            }
        }
    }
    Ok(at)
}

/// The byte at `at`; a line end behind the end of the text.
#[inline(always)]
pub(super) fn byte_at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b'\n')
}

/// Whether a byte separates tokens within a line.
#[inline(always)]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// The place of the first byte from `at` on that is no blank.
#[inline]
pub(super) fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while is_blank(byte_at(text, at)) {
        at += 1;
    }
    at
}

/// The place behind the line that `at` is in.
pub(super) fn line_end(text: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |count| at + count + 1)
}

/// Reads a number at `at` and the place behind it; NaN and infinities are refused.
#[inline]
pub(super) fn float_at(text: &[u8], at: usize) -> Result<(f32, usize), String> {
    let at = at + usize::from(byte_at(text, at) == b'+');
    match fast_float2::parse_partial::<f32, _>(text.get(at..).unwrap_or(&[])) {
        Ok((number, bytes)) if number.is_finite() => Ok((number, at + bytes)),
        _ => Err(format!("{} is no finite number", token_at(text, at))),
    }
}

/// Reads a label at `at` and the place behind it: every number above 0 means 1.
#[inline]
pub(super) fn label_at(text: &[u8], at: usize) -> Result<(f32, usize), String> {
    let (number, end) = match byte_at(text, at) {
        digit @ (b'0' | b'1') if is_token_end(byte_at(text, at + 1)) => (f32::from(digit - b'0'), at + 1),
        _ => float_at(text, at).map_err(|reason| format!("bad label: {reason}"))?,
    };
    if !is_token_end(byte_at(text, end)) {
        return Err(format!("bad label: {} is no number", token_at(text, at)));
    }
    Ok((if number > 0.0 { 1.0 } else { 0.0 }, end))
}

fn is_token_end(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'\n' | b'|')
}

/// The token at `at` for a message: quoted, printable and short.
#[cold]
pub(super) fn token_at(text: &[u8], at: usize) -> String {
    let rest = text.get(at..).unwrap_or(&[]);
    let bytes = rest.iter().take_while(|&&byte| !byte.is_ascii_whitespace()).take(24).count();
    format!("\"{}\"", rest[..bytes].escape_ascii())
}

/// Ends a row or says why that cannot be.
#[inline]
pub(super) fn end_row(out: &mut RowBatch, label: f32) -> Result<(), String> {
    if out.end_row(label) { Ok(()) } else { Err("a batch holds at most 2^32 features: use a smaller minibatch".into()) }
}
