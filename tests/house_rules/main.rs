//! The house rules, read off the source tree: layer arrows, places of `unsafe`, no panics without a
//! reason, no uncounted copies of payload, lengths, names and licences. A failure names file, line, rule and what was found.
//!
//! Each rule is tested beside it on snippets that break it: a check that cannot fail is a defect.

mod copies;
mod hazard;
mod layer;
mod licence;
mod path;
mod shape;
mod source;

use source::{Source, Violation};
use std::path::Path;

const FOLDERS: [&str; 4] = ["src", "ffi", "bench", "tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn violations(sources: &[Source]) -> Vec<Violation> {
    let rules =
        |source| [layer::check(source), hazard::check(source), shape::check(source), copies::check(source)].concat();
    sources.iter().flat_map(rules).collect()
}

#[test]
fn the_tree_keeps_the_house_rules() {
    let sources: Vec<Source> = FOLDERS.iter().flat_map(|folder| source::read_all(root(), folder)).collect();
    assert!(sources.len() > 30, "only {} source files were found", sources.len());
    for warning in sources.iter().flat_map(shape::warnings) {
        println!("long: {warning}");
    }
    let found = violations(&sources);
    let list: Vec<String> = found.iter().map(Violation::to_string).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), list.join("\n"));
}

#[test]
fn a_violation_names_file_line_and_rule() {
    let source = Source::parse("src/clock/mod.rs", "\nuse crate::node::Driver;\n");
    let found = violations(&[source]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), format!("src/clock/mod.rs:2: {}: clock -> node", layer::ARROW));
}

#[test]
fn every_dependency_may_be_linked() {
    let found = licence::unwelcome(root());
    assert!(found.is_empty(), "licences that are not permissive:\n{}", found.join("\n"));
}

#[test]
fn the_readme_says_what_is_not_there_yet() {
    // The tree is built up before its front page is written.
    let Ok(readme) = std::fs::read_to_string(root().join("README.md")) else { return };
    assert!(lists_what_is_missing(&readme), "README.md: a 'Not yet' heading with a list below it is missing");
}

fn lists_what_is_missing(readme: &str) -> bool {
    let mut lines = readme.lines().skip_while(|line| {
        let heading = line.to_lowercase();
        !(heading.starts_with('#') && heading.contains("not yet"))
    });
    lines.next().is_some() && lines.take_while(|line| !line.starts_with('#')).any(|line| line.starts_with("* "))
}

#[test]
fn a_readme_without_its_list_is_found() {
    assert!(lists_what_is_missing("# A\n## Not yet\n\n* verbs\n"));
    assert!(!lists_what_is_missing("# A\nNot yet\n* verbs\n"));
    assert!(!lists_what_is_missing("## Not yet\n## Else\n* verbs\n"));
}
