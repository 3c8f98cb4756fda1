//! How long files and functions may be, and which names say nothing.

use super::source::{Source, Violation, is_word_byte};

pub(crate) const FILE_LENGTH: &str = "a file of more than 500 lines";
pub(crate) const FUNCTION_LENGTH: &str = "a function of more than 70 lines";
pub(crate) const GETTER: &str = "a function name begins with get_";
pub(crate) const EMPTY_NAME: &str = "a module name says nothing about what is in it";

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_GOOD: usize = 350;
const FUNCTION_LINES_GOOD: usize = 50;
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "misc", "shared", "tools"];

pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let lines = source.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(source.violation(0, FILE_LENGTH, format!("{lines} lines")));
    }
    for (place, name, lines) in functions(source) {
        if lines > FUNCTION_LINES_MAX {
            found.push(source.violation(place, FUNCTION_LENGTH, format!("{name}, {lines} lines")));
        }
    }
    let getters = named(source, "fn").filter(|(_, name)| name.starts_with("get_"));
    found.extend(getters.map(|(place, name)| source.violation(place, GETTER, name)));
    let names = source.path.split('/').map(|part| (0, part.trim_end_matches(".rs").to_owned()));
    for (place, name) in names.chain(named(source, "mod")) {
        if EMPTY_NAMES.contains(&name.as_str()) {
            found.push(source.violation(place, EMPTY_NAME, name));
        }
    }
    found
}

/// What is still allowed and already long, one line each.
pub(crate) fn warnings(source: &Source) -> Vec<String> {
    let lines = source.lines().count();
    let file = (lines > FILE_LINES_GOOD).then(|| format!("{}: {lines} lines", source.path));
    let long = functions(source).into_iter().filter(|(_, _, lines)| *lines > FUNCTION_LINES_GOOD);
    let functions = long
        .map(|(place, name, lines)| format!("{}:{}: {name} has {lines} lines", source.path, source.line_at(place) + 1));
    file.into_iter().chain(functions).collect()
}

/// Place, name and number of lines of every function with a body.
fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    let measured = named(source, "fn").filter_map(|(place, name)| {
        let end = source.end_of_item(place)?;
        Some((place, name, source.line_at(end - 1) - source.line_at(place) + 1))
    });
    measured.collect()
}

/// Names that follow a keyword, with the keyword's place.
fn named<'a>(source: &'a Source, keyword: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    source.words(keyword).filter_map(move |place| {
        let rest = source.code[place + keyword.len()..].strip_prefix(' ')?;
        let length = rest.bytes().take_while(|&byte| is_word_byte(byte)).count();
        (length > 0).then(|| (place, rest[..length].to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&Source::parse(path, text)).into_iter().map(|found| (found.line, found.rule)).collect()
    }

    fn function_of(lines: usize) -> String {
        format!("\nfn a(b: [u8; 3]) -> u8\n{{\n{}}}\n", "    c();\n".repeat(lines - 3))
    }

    #[test]
    fn a_long_function_is_found_and_one_at_the_limit_passes() {
        assert_eq!(rules("src/a.rs", &function_of(70)), []);
        assert_eq!(rules("src/a.rs", &function_of(71)), [(2, FUNCTION_LENGTH)]);
        assert_eq!(warnings(&Source::parse("src/a.rs", &function_of(51))).len(), 1);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(rules("src/a.rs", &"a();\n".repeat(500)), []);
        assert_eq!(rules("src/a.rs", &"a();\n".repeat(501)), [(1, FILE_LENGTH)]);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(rules("src/a.rs", "trait A {\n    fn get_length(&self) -> usize;\n}"), [(2, GETTER)]);
        assert_eq!(rules("src/a.rs", "fn get_length() -> usize { 3 }"), [(1, GETTER)]);
        assert_eq!(rules("src/store/utils.rs", "fn a() {}"), [(1, EMPTY_NAME)]);
        assert_eq!(rules("src/store/mod.rs", "fn a() {}\nmod helper;"), [(2, EMPTY_NAME)]);
    }
}
