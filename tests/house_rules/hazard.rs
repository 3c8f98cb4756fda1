//! `unsafe` stands only where the layers allow it, with its reason; nothing panics without one.

use super::source::{Source, Violation, is_word_byte};

pub(crate) const UNSAFE_PLACE: &str = "unsafe stands outside the files that may have it";
pub(crate) const UNSAFE_REASON: &str = "unsafe without a SAFETY comment within three lines above";
pub(crate) const PANIC: &str = "a panic with neither a comment that states the invariant nor a # Panics section";
pub(crate) const UNFINISHED: &str = "unfinished work is left in the code";

pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let mut found = unsafe_code(source);
    found.extend(unfinished(source));
    if source.path.starts_with("src/") || source.path.starts_with("ffi/src/") {
        found.extend(panics(source));
    }
    found
}

fn may_be_unsafe(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    ["src/memory/", "src/transport/", "ffi/"].iter().any(|folder| path.starts_with(folder))
        || (path.starts_with("src/simd/")
            && matches!(file, "avx2.rs" | "avx512.rs" | "neon.rs" | "prefetch.rs" | "mod.rs"))
        || matches!(path, "src/node/plugin.rs" | "src/node/munge.rs")
        // An allocator is an unsafe trait, and counting needs one.
        || path == "tests/allocation/counter.rs"
}

fn unsafe_code(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for place in source.words("unsafe").filter(|&place| !is_function_type(source, place)) {
        if !may_be_unsafe(&source.path) {
            found.push(source.violation(place, UNSAFE_PLACE, first_line(&source.code[place..])));
        }
        let reason = |comment: &str| comment.contains("SAFETY:") || comment.contains("# Safety");
        if !source.has_comment_near(source.line_at(place), reason) {
            found.push(source.violation(place, UNSAFE_REASON, first_line(&source.code[place..])));
        }
    }
    found
}

/// `unsafe fn(u8)` and `unsafe extern "C" fn(u8)` name a type and do nothing.
fn is_function_type(source: &Source, place: usize) -> bool {
    let rest = &source.code[place..];
    let Some(at) = rest.find("fn") else { return false };
    let between = rest["unsafe".len()..at].split_whitespace().all(|word| word == "extern" || word.contains('"'));
    between && rest[at + 2..].trim_start().starts_with('(')
}

fn panics(source: &Source) -> Vec<Violation> {
    let message_is_reason = source.path.starts_with("src/memory/");
    let stated = |place: usize| {
        let states = |comment: &str| comment.to_lowercase().contains("invariant");
        let documented = |function| source.has_comment_near(source.line_at(function), |doc| doc.contains("# Panics"));
        source.has_comment_near(source.line_at(place), states)
            || source.enclosing_function(place).is_some_and(documented)
    };
    let mut found = Vec::new();
    for (word, has_message) in [("unwrap", false), ("panic", message_is_reason), ("unreachable", true)] {
        for place in source.words(word) {
            let rest = &source.code[place + word.len()..];
            let is_call = match word {
                "unwrap" => rest.starts_with("()") && source.code[..place].trim_end().ends_with('.'),
                _ => rest.starts_with('!'),
            };
            let message = rest.trim_start_matches('!').trim_start_matches(['(', '[', '{']).trim_start();
            let excused = has_message && message.starts_with('"');
            if is_call && !excused && !source.is_test_at(place) && !stated(place) {
                found.push(source.violation(place, PANIC, first_line(&source.code[place..])));
            }
        }
    }
    found
}

fn unfinished(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, comment) in source.comments.iter().enumerate() {
        for mark in ["TODO", "FIXME", "XXX"] {
            if is_whole_word(comment, mark) {
                found.push(Violation {
                    file: source.path.clone(),
                    line: line + 1,
                    rule: UNFINISHED,
                    found: mark.into(),
                });
            }
        }
    }
    for name in ["todo", "unimplemented"] {
        let macros = source.words(name).filter(|&place| source.code[place + name.len()..].starts_with('!'));
        found.extend(macros.map(|place| source.violation(place, UNFINISHED, name)));
    }
    found
}

fn is_whole_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).is_some_and(|at| is_word_byte(bytes[at]));
        let after = bytes.get(at + word.len()).is_some_and(|&byte| is_word_byte(byte));
        !before && !after
    })
}

fn first_line(code: &str) -> String {
    code.lines().next().unwrap_or_default().trim().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&Source::parse(path, text)).into_iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn unsafe_in_a_wrong_file_or_without_a_reason_is_found() {
        let reasoned = "// SAFETY: the block is ours.\nunsafe { a() }";
        assert_eq!(rules("src/store/a.rs", reasoned), [(2, UNSAFE_PLACE)]);
        assert_eq!(rules("src/simd/scalar.rs", reasoned), [(2, UNSAFE_PLACE)]);
        assert_eq!(rules("src/simd/avx2.rs", reasoned), []);
        assert_eq!(rules("src/memory/a.rs", "fn a() {\n    unsafe { b() }\n}"), [(2, UNSAFE_REASON)]);
        let far = "// SAFETY: too far away.\na();\nb();\nc();\nunsafe { d() }";
        assert_eq!(rules("src/memory/a.rs", far), [(5, UNSAFE_REASON)]);
    }

    #[test]
    fn an_unsafe_function_states_its_contract_and_a_type_needs_none() {
        let text = "/// Reads.\n///\n/// # Safety\n/// `a` must be valid, and\n/// aligned, and\n/// alive.\n#[inline]\npub unsafe fn a() {}\n";
        assert_eq!(rules("src/memory/a.rs", text), []);
        assert_eq!(rules("src/store/a.rs", "type A = unsafe fn(u8);\n"), []);
        assert_eq!(rules("src/simd/mod.rs", "struct A { b: unsafe extern \"C\" fn(u8) }"), []);
    }

    #[test]
    fn a_panic_needs_a_stated_invariant() {
        assert_eq!(
            rules("src/store/a.rs", "fn a() {\n    b.unwrap();\n    panic!(\"no\");\n}"),
            [(2, PANIC), (3, PANIC)]
        );
        assert_eq!(rules("src/store/a.rs", "// Invariant: the list is never empty.\nb.unwrap();"), []);
        assert_eq!(rules("src/store/a.rs", "unreachable!(\"keys are ordered\"); b.unwrap_or(3);"), []);
        assert_eq!(rules("src/store/a.rs", "unreachable!()"), [(1, PANIC)]);
        let documented = "/// # Panics\n/// When a is b.\nfn a() {\n    c();\n    d();\n    panic!(\"a is b\")\n}\n";
        assert_eq!(rules("src/store/a.rs", documented), []);
        let other = format!("{documented}fn e() {{\n    panic!(\"no\")\n}}\n");
        assert_eq!(rules("src/store/a.rs", &other), [(9, PANIC)]);
        assert_eq!(rules("src/memory/a.rs", "panic!(\"out of memory: {a}\")"), []);
        assert_eq!(rules("src/store/a.rs", "#[cfg(test)]\nmod tests {\n    fn a() { b.unwrap(); }\n}"), []);
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(rules("tests/a.rs", "fn a() {}\n// TODO: more\n"), [(2, UNFINISHED)]);
        assert_eq!(rules("src/a.rs", "fn a() { todo!() }"), [(1, UNFINISHED)]);
        assert_eq!(rules("src/a.rs", "// the method\nlet todo = 3;"), []);
    }
}
