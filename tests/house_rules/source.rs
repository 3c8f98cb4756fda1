//! A source file as the rules see it: code and comments apart, line by line, and which lines are tests.
//!
//! Comments, strings and characters are blanked out of the code at equal places, so that a brace in
//! a string closes nothing and a word in a comment is no path. This is a scanner, not a parser: it
//! knows just enough of the language to keep the rules honest.

use std::fmt;
use std::path::Path;

/// What a rule found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.found)
    }
}

/// One file. Lines count from zero here and from one in violations.
pub(crate) struct Source {
    /// Path below the repository's root, with slashes.
    pub(crate) path: String,
    /// The whole code with everything else blanked out.
    pub(crate) code: String,
    /// The comments of each line; empty where there are none.
    pub(crate) comments: Vec<String>,
    /// Whether a line belongs to tests.
    pub(crate) in_test: Vec<bool>,
    starts: Vec<usize>,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Source {
        let (code, comments) = split(text);
        let starts = std::iter::once(0).chain(code.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut source =
            Source { path: path.to_owned(), code, in_test: vec![is_test_file(path); comments.len()], comments, starts };
        source.mark_tests();
        source
    }

    /// The line of a place in the code.
    pub(crate) fn line_at(&self, place: usize) -> usize {
        self.starts.partition_point(|&start| start <= place) - 1
    }

    pub(crate) fn is_test_at(&self, place: usize) -> bool {
        self.in_test[self.line_at(place)]
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.code.lines()
    }

    pub(crate) fn violation(&self, place: usize, rule: &'static str, found: impl Into<String>) -> Violation {
        Violation { file: self.path.clone(), line: self.line_at(place) + 1, rule, found: found.into() }
    }

    /// The layer: the first folder or file below `src`.
    pub(crate) fn layer(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        Some(below.split('/').next().unwrap_or(below).trim_end_matches(".rs"))
    }

    /// Whether a comment in the lines just above, or in this line, satisfies `test`: the three lines
    /// above, and the whole of a comment block or attributes that touch the line.
    pub(crate) fn has_comment_near(&self, line: usize, test: impl Fn(&str) -> bool) -> bool {
        let lines: Vec<&str> = self.lines().collect();
        let stands_alone = |at: usize| {
            let code = lines.get(at).map_or("", |code| code.trim());
            (code.is_empty() && !self.comments[at].is_empty()) || code.starts_with("#[")
        };
        let mut touching = true;
        for distance in 0..=line {
            let at = line - distance;
            if distance > 0 {
                touching = touching && stands_alone(at);
            }
            if (distance <= 3 || touching) && test(&self.comments[at]) {
                return true;
            }
            if distance > 3 && !touching {
                return false;
            }
        }
        false
    }

    /// Places where `word` stands as a whole word.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            let before = at.checked_sub(1).map(|at| bytes[at]);
            let after = bytes.get(at + word.len()).copied();
            !before.is_some_and(is_word_byte) && !after.is_some_and(is_word_byte)
        })
    }

    /// The place behind the brace that closes the first one at or after `place`; `None` when a
    /// semicolon ends the item first.
    pub(crate) fn end_of_item(&self, place: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut round = 0isize;
        for (at, byte) in self.code.bytes().enumerate().skip(place) {
            match byte {
                b'(' | b'[' => round += 1,
                b')' | b']' => round -= 1,
                b';' if depth == 0 && round == 0 => return None,
                b'{' => depth += 1,
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The place of the keyword of the innermost function whose body holds `place`.
    pub(crate) fn enclosing_function(&self, place: usize) -> Option<usize> {
        let before = self.words("fn").take_while(|&keyword| keyword < place);
        before.filter(|&keyword| self.end_of_item(keyword).is_some_and(|end| place < end)).last()
    }

    fn mark_tests(&mut self) {
        let marks: Vec<usize> = self.code.match_indices("#[cfg(").map(|(at, _)| at).collect();
        for at in marks {
            let Some(length) = self.code[at..].find(']') else { continue };
            let attribute = &self.code[at..at + length];
            let names_test = attribute.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "test");
            if !names_test || attribute.contains("not(test") {
                continue;
            }
            let first = self.line_at(at);
            let last = match self.end_of_item(at + length + 1) {
                Some(end) => self.line_at(end - 1),
                None => first + 1,
            };
            let last = last.min(self.in_test.len() - 1);
            self.in_test[first..=last].fill(true);
        }
    }
}

pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// All Rust files below `folder` of `root`, in order of their paths.
pub(crate) fn read_all(root: &Path, folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable source file");
                let name = path.strip_prefix(root).expect("a path below the root").display().to_string();
                sources.push(Source::parse(&name, &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// Splits a text into its code, all else blanked, and the comments of each line.
fn split(text: &str) -> (String, Vec<String>) {
    let mut scanner = Scanner { rest: text, code: String::with_capacity(text.len()), comments: vec![String::new()] };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    (scanner.code, scanner.comments)
}

struct Scanner<'a> {
    rest: &'a str,
    code: String,
    comments: Vec<String>,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(length, true, 0);
        } else if self.rest.starts_with("/*") {
            let length = block_comment_length(self.rest);
            self.take(length, true, 0);
        } else if let Some((quote, length)) = self.string_length() {
            self.take(length, false, quote);
        } else if let Some(length) = character_length(self.rest) {
            self.take(length, false, 1);
        } else {
            let character = self.rest.chars().next().expect("the rest is not empty");
            self.code.push(character);
            if character == '\n' {
                self.comments.push(String::new());
            }
            self.rest = &self.rest[character.len_utf8()..];
        }
    }

    /// Blanks `length` bytes, but for the line ends and `kept` bytes at both sides.
    fn take(&mut self, length: usize, is_comment: bool, kept: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        for (at, character) in taken.char_indices() {
            if character == '\n' {
                self.code.push('\n');
                self.comments.push(String::new());
            } else if at < kept || at + kept >= length {
                self.code.push(character);
            } else {
                // One blank a byte keeps the places of code and text equal.
                self.code.extend(std::iter::repeat_n(' ', character.len_utf8()));
                if is_comment {
                    self.comments.last_mut().expect("one entry a line").push(character);
                }
            }
        }
    }

    /// Length of a string literal at the start, and of its quotes when they are single.
    fn string_length(&self) -> Option<(usize, usize)> {
        let in_word = self.code.bytes().last().is_some_and(is_word_byte);
        let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
            self.rest.strip_prefix(*prefix).is_some_and(|rest| {
                let hashes = rest.bytes().take_while(|&byte| byte == b'#').count();
                rest[hashes..].starts_with('"') && (hashes == 0 || prefix.ends_with('r'))
            })
        })?;
        if in_word && !prefix.is_empty() {
            return None;
        }
        let rest = &self.rest[prefix.len()..];
        if !prefix.ends_with('r') {
            return Some((prefix.len() + 1, prefix.len() + plain_string_length(rest))).map(|(_, length)| (1, length));
        }
        let hashes = rest.bytes().take_while(|&byte| byte == b'#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &rest[hashes + 1..];
        let length = body.find(&end).map_or(rest.len(), |at| hashes + 1 + at + end.len());
        Some((1, prefix.len() + length))
    }
}

fn plain_string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal at the start; `None` for a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let skipped = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skipped..].find('\'').map(|at| 1 + 1 + skipped + at + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(1 + first + 1)
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let text =
            "let a = \"crate::x {\"; // crate::y\nlet b = '{'; /* a /* b */ } */ let c: &'static str = r#\"\"}\"#;\n";
        let source = Source::parse("src/wire/a.rs", text);
        assert_eq!(source.code.len(), text.len());
        for gone in ["crate", "{", "}"] {
            assert!(!source.code.contains(gone), "{gone} in {}", source.code);
        }
        assert!(source.code.contains("&'static str"));
        assert!(source.comments[0].contains("crate::y"));
    }

    #[test]
    fn a_byte_character_and_an_escape_do_not_open_a_string() {
        let source = Source::parse("src/a.rs", "let a = [b'\"', b'\\'', '\\u{7b}'];\nlet panics = 1;\n");
        assert!(source.code.contains("let panics = 1;"), "{}", source.code);
        assert!(!source.code.contains('{'));
    }

    #[test]
    fn the_lines_of_a_test_module_are_tests_and_those_after_it_are_not() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x { } }\n}\nfn c() {}\n#[cfg(not(test))]\nfn d() {}\n";
        let source = Source::parse("src/a.rs", text);
        assert_eq!(source.in_test[..8], [false, true, true, true, true, false, false, false]);
        assert!(Source::parse("src/a/tests.rs", "fn a() {}").in_test[0]);
    }

    #[test]
    fn a_module_in_a_file_of_its_own_ends_at_its_semicolon() {
        let source = Source::parse("src/a.rs", "#[cfg(test)]\nmod tests;\n\nfn a() {}\n");
        assert_eq!(source.in_test[..4], [true, true, false, false]);
    }
}
