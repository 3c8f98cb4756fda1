//! A stream of text that gives whole lines, up to a limit.
//!
//! One buffer: what was read and not yet consumed. `fill` moves the rest to its front and reads
//! behind it, so a view is always whole lines in one piece and nothing is copied but the rest of
//! one line. The limit is a place in the text: lines that begin at or behind it are not shown. For
//! units counted in lines the limit is found by counting line ends as they come in.

use crate::limit::DATA_LINE_BYTES;
use std::io::{self, Read};

/// Bytes that one read asks for: they stay in the cache until they are parsed.
const READ_BYTES: usize = 256 << 10;

/// Whole lines of a text that comes from a reader.
pub(super) struct LineStream {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// What is read but not consumed, in `buffer`.
    begin: usize,
    end: usize,
    /// Place of `buffer[begin]` in the text.
    offset: u64,
    /// No line that begins here or later is shown.
    limit: u64,
    /// Line ends that are still to come before the limit is known.
    lines_to_limit: Option<u64>,
    /// Lines consumed so far; counted only for packed text.
    lines_consumed: Option<u64>,
    is_at_end: bool,
}

impl LineStream {
    /// The lines of `source`, whose first byte has the place `offset` in the text, without a limit.
    pub(super) fn new(source: Box<dyn Read + Send>, offset: u64) -> LineStream {
        LineStream {
            source,
            buffer: Vec::new(),
            begin: 0,
            end: 0,
            offset,
            limit: u64::MAX,
            lines_to_limit: None,
            lines_consumed: None,
            is_at_end: false,
        }
    }

    /// Shows only lines that begin before `limit`.
    pub(super) fn with_limit(mut self, limit: u64) -> LineStream {
        self.limit = limit;
        self
    }

    /// Counts consumed lines, from 0.
    pub(super) fn counting(mut self) -> LineStream {
        self.lines_consumed = Some(0);
        self
    }

    /// Place in the text of the first byte that is not consumed.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Lines consumed so far, if they are counted.
    pub(super) fn lines_consumed(&self) -> Option<u64> {
        self.lines_consumed
    }

    /// Whether the text is consumed to its end.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_at_end && self.begin == self.end
    }

    /// From here on shows `count` lines.
    pub(super) fn limit_lines(&mut self, count: u64) {
        self.limit = if count == 0 { self.offset } else { u64::MAX };
        self.lines_to_limit = (count > 0).then_some(count);
        self.count_to_limit(self.begin);
    }

    /// Consumes `count` lines without showing them, or all there are.
    pub(super) fn skip_lines(&mut self, count: u64) -> io::Result<()> {
        self.limit_lines(count);
        loop {
            let bytes = self.lines()?.len();
            if bytes == 0 {
                return Ok(());
            }
            self.consume(bytes);
        }
    }

    /// Consumes everything up to and with the next line end.
    pub(super) fn skip_line_rest(&mut self) -> io::Result<()> {
        let limit = std::mem::replace(&mut self.limit, u64::MAX);
        loop {
            let rest = &self.buffer[self.begin..self.end];
            let line_end = memchr::memchr(b'\n', rest);
            let bytes = line_end.map_or(rest.len(), |count| count + 1);
            self.consume(bytes);
            if line_end.is_some() || self.is_at_end {
                self.limit = limit;
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Whole lines that were not consumed yet, as many as are at hand; empty at the end or limit.
    pub(super) fn lines(&mut self) -> io::Result<&[u8]> {
        let whole = loop {
            let whole = self.whole_lines();
            if whole > 0 || self.is_at_end || self.offset >= self.limit {
                break whole;
            }
            self.fill()?;
        };
        Ok(&self.buffer[self.begin..self.begin + whole])
    }

    /// Takes `bytes` of the lines shown off.
    pub(super) fn consume(&mut self, bytes: usize) {
        let consumed = &self.buffer[self.begin..self.begin + bytes];
        if let Some(lines) = &mut self.lines_consumed {
            let unended = !consumed.is_empty() && !consumed.ends_with(b"\n");
            *lines += memchr::memchr_iter(b'\n', consumed).count() as u64 + u64::from(unended);
        }
        self.begin += bytes;
        self.offset += bytes as u64;
    }

    /// Bytes of the whole lines in the buffer that begin before the limit.
    fn whole_lines(&self) -> usize {
        if self.offset >= self.limit {
            return 0;
        }
        let text = &self.buffer[self.begin..self.end];
        let before_limit = usize::try_from(self.limit - 1 - self.offset).unwrap_or(usize::MAX);
        if let Some(behind) = text.get(before_limit..)
            && let Some(count) = memchr::memchr(b'\n', behind)
        {
            return before_limit + count + 1;
        }
        if self.is_at_end { text.len() } else { memchr::memrchr(b'\n', text).map_or(0, |last| last + 1) }
    }

    /// Reads more text behind what is there.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.end > DATA_LINE_BYTES {
            let message = format!("a line is longer than {DATA_LINE_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let wanted = self.read_bytes();
        if self.buffer.len() < self.end + wanted {
            self.buffer.resize(self.end + wanted, 0);
        }
        let bytes = loop {
            match self.source.read(&mut self.buffer[self.end..self.end + wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let fresh = self.end;
        self.end += bytes;
        self.is_at_end = bytes == 0;
        self.count_to_limit(fresh);
        Ok(())
    }

    /// How much to read next: not much behind the limit, and more and more of one long line.
    fn read_bytes(&self) -> usize {
        let to_limit = self.limit.saturating_sub(self.offset + self.end as u64);
        let needed = usize::try_from(to_limit).unwrap_or(usize::MAX).saturating_add(4096);
        needed.min(READ_BYTES).max(self.end)
    }

    /// Looks for the limit in the bytes from `fresh` on.
    fn count_to_limit(&mut self, fresh: usize) {
        let Some(left) = self.lines_to_limit else { return };
        let text = &self.buffer[fresh..self.end];
        let mut line_ends = memchr::memchr_iter(b'\n', text);
        let wanted = usize::try_from(left - 1).unwrap_or(usize::MAX);
        // Counting all is much faster than visiting each, and the limit is rarely in the piece.
        let count = line_ends.clone().count();
        if count as u64 >= left {
            let place = line_ends.nth(wanted).map_or(text.len(), |place| place + 1);
            self.limit = self.offset + (fresh - self.begin + place) as u64;
            self.lines_to_limit = None;
        } else {
            self.lines_to_limit = Some(left - count as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a few bytes a read, whatever is asked for.
    struct Trickle(io::Cursor<Vec<u8>>, usize);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let bytes = out.len().min(self.1);
            self.0.read(&mut out[..bytes])
        }
    }

    fn stream(text: &[u8], piece: usize) -> LineStream {
        LineStream::new(Box::new(Trickle(io::Cursor::new(text.to_vec()), piece)), 0)
    }

    fn rest(stream: &mut LineStream) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let lines = stream.lines().unwrap();
            if lines.is_empty() {
                return out;
            }
            out.extend_from_slice(lines);
            let bytes = lines.len();
            stream.consume(bytes);
        }
    }

    proptest! {
        #[test]
        fn limits_by_place_and_by_count_show_the_same_lines(
            text in "(a{0,5}\n){0,8}b{0,3}", limit in 0u64..60, piece in 1usize..9) {
            let text = text.as_bytes();
            let starts: Vec<_> = std::iter::once(0)
                .chain(memchr::memchr_iter(b'\n', text).map(|place| place + 1))
                .filter(|&start| start < text.len())
                .collect();
            let shown = starts.iter().filter(|&&start| (start as u64) < limit).count();
            let end = starts.get(shown).copied().unwrap_or(text.len());
            let mut by_place = stream(text, piece).with_limit(limit);
            prop_assert_eq!(rest(&mut by_place), &text[..end]);
            let mut by_count = stream(text, piece).counting();
            by_count.limit_lines(shown as u64);
            prop_assert_eq!(rest(&mut by_count), &text[..end]);
            prop_assert_eq!(by_count.lines_consumed(), Some(shown as u64));
            by_count.limit_lines(1000);
            prop_assert_eq!(rest(&mut by_count), &text[end..]);
            prop_assert_eq!(by_count.lines_consumed(), Some(starts.len() as u64));
            prop_assert!(by_count.is_exhausted());
        }

        #[test]
        fn skipped_lines_are_not_shown(skipped in 0u64..12, piece in 1usize..9) {
            let text: String = (0..9).map(|line| format!("line {line}\n")).collect();
            let mut stream = stream(text.as_bytes(), piece).counting();
            stream.skip_lines(skipped).unwrap();
            stream.limit_lines(100);
            let expected: String = (skipped.min(9)..9).map(|line| format!("line {line}\n")).collect();
            prop_assert_eq!(rest(&mut stream), expected.as_bytes());
        }
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let mut stream = LineStream::new(Box::new(io::repeat(b'a')), 0);
        assert!(stream.lines().is_err());
    }
}
