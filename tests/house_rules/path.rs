//! Paths in code: `root::a`, and each member of `root::{a::b, c}`, over as many lines as it takes.

use super::source::{Source, is_word_byte};

/// The first name behind `root::` with its place, for every use of `root` in the code.
pub(crate) fn first_names(source: &Source, root: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for at in source.words(root) {
        if let Some(rest) = after_colons(source, at + root.len()) {
            collect(source, rest, &mut names);
        }
    }
    names
}

/// The place behind `::` and blanks, if that is what comes next.
fn after_colons(source: &Source, place: usize) -> Option<usize> {
    let place = skip_blanks(source, place);
    source.code[place..].starts_with("::").then(|| skip_blanks(source, place + 2))
}

fn skip_blanks(source: &Source, place: usize) -> usize {
    place + source.code[place..].bytes().take_while(u8::is_ascii_whitespace).count()
}

fn collect(source: &Source, place: usize, names: &mut Vec<(usize, String)>) {
    let code = source.code.as_bytes();
    if code.get(place) != Some(&b'{') {
        names.extend(name_at(source, place));
        return;
    }
    let (mut depth, mut at, mut expects_name) = (0usize, place, false);
    while at < code.len() {
        match code[at] {
            b'{' => {
                depth += 1;
                expects_name = depth == 1;
            }
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
            b',' => expects_name = depth == 1,
            byte if is_word_byte(byte) && expects_name => {
                names.extend(name_at(source, at));
                expects_name = false;
            }
            _ => {}
        }
        at += 1;
    }
}

fn name_at(source: &Source, place: usize) -> Option<(usize, String)> {
    let length = source.code[place..].bytes().take_while(|&byte| is_word_byte(byte)).count();
    (length > 0).then(|| (place, source.code[place..place + length].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_grouped_nested_and_broken_paths_are_found() {
        let text = "use crate::wire::{A, B};\nuse crate::{\n    store::{Table, x},\n    id,\n};\nlet a = crate\n    ::node::B;";
        let source = Source::parse("src/a.rs", text);
        let names: Vec<String> = first_names(&source, "crate").into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["wire", "store", "id", "node"]);
    }

    #[test]
    fn pub_crate_is_no_path() {
        assert!(first_names(&Source::parse("src/a.rs", "pub(crate) fn a() {}"), "crate").is_empty());
    }
}
