//! Formats and compressions, and how they are told from a file's first bytes.

use super::block;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How rows are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// `label index:value …`, also known as svmlight.
    Libsvm,
    /// Criteo's tab-separated click logs: label, 13 integers, 26 categories.
    Criteo,
    /// Vowpal Wabbit text: `label |namespace feature …`.
    Vw,
    /// Parashard's own binary blocks.
    Block,
}

impl Format {
    /// Whether the keys are hashes of names, cut to a number of bits.
    #[must_use]
    pub fn is_hashed(self) -> bool {
        matches!(self, Format::Criteo | Format::Vw)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Libsvm => "libsvm",
            Format::Criteo => "criteo",
            Format::Vw => "vw",
            Format::Block => "block",
        })
    }
}

/// How a file's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, one or more members.
    Gzip,
    /// Zstandard, one or more frames.
    Zstd,
}

impl Compression {
    /// Told from the first bytes, whatever the file's name.
    #[must_use]
    pub fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::Plain,
        }
    }
}

/// The format of a file that begins with these (unpacked) bytes; none when its first line fits no format.
#[must_use]
pub fn detect(head: &[u8]) -> Option<Format> {
    if head.starts_with(block::MAGIC) {
        return Some(Format::Block);
    }
    let line = head.split(|&byte| byte == b'\n').find(|line| is_row(line))?;
    let tabs = line.iter().filter(|&&byte| byte == b'\t').count();
    if tabs == 39 && matches!(line, [b'0' | b'1', b'\t', ..]) {
        Some(Format::Criteo)
    } else if line.contains(&b'|') {
        Some(Format::Vw)
    } else if is_libsvm(line) {
        Some(Format::Libsvm)
    } else {
        None
    }
}

fn is_row(line: &[u8]) -> bool {
    !matches!(line.trim_ascii(), [] | [b'#', ..])
}

fn is_libsvm(line: &[u8]) -> bool {
    let mut tokens = line.split(u8::is_ascii_whitespace).filter(|token| !token.is_empty());
    let label = tokens.next().unwrap_or(&[]);
    // The line may be cut by the end of the head, so its last token is not judged.
    let feature = tokens.next().is_none_or(|token| token.contains(&b':') || token.starts_with(b"#"));
    feature && fast_float2::parse::<f32, _>(label).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_told_from_its_first_row() {
        assert_eq!(detect(b"# comment\n\n+1 3:1 7:0.5\n"), Some(Format::Libsvm));
        assert_eq!(detect(b"0\n"), Some(Format::Libsvm));
        assert_eq!(detect(b"1 qid:4 3:1"), Some(Format::Libsvm));
        assert_eq!(detect(b"1 |a b c:2\n"), Some(Format::Vw));
        assert_eq!(detect(b"-1 'tag|a b c:2\n"), Some(Format::Vw));
        let criteo = format!("0\t1\t\t5{}\n", "\t68fd1e64".repeat(36));
        assert_eq!(detect(criteo.as_bytes()), Some(Format::Criteo));
        let empty_at_the_end = format!("1\t1{}\n", "\t".repeat(38));
        assert_eq!(detect(empty_at_the_end.as_bytes()), Some(Format::Criteo));
        assert_eq!(detect(b"PSHDBLCK\x01\0\0\0"), Some(Format::Block));
        assert_eq!(detect(b"name,age\nx,3\n"), None);
        assert_eq!(detect(b""), None);
    }

    #[test]
    fn compression_is_told_by_content() {
        assert_eq!(Compression::of(&[0x1f, 0x8b, 8, 0]), Compression::Gzip);
        assert_eq!(Compression::of(&[0x28, 0xb5, 0x2f, 0xfd]), Compression::Zstd);
        assert_eq!(Compression::of(b"1 2:3"), Compression::Plain);
    }
}
