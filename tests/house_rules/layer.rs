//! Layer arrows: which layer may use which, and what the layers below the driver may not touch.

use super::path::first_names;
use super::source::{Source, Violation};

pub(crate) const ARROW: &str = "a layer uses one that it may not see";
pub(crate) const DETOUR: &str = "a path climbs to the crate's root by super; write crate::";
pub(crate) const IMPURE: &str =
    "a layer below the driver reads time, chance, threads, files or network, or iterates by hash";

/// What everything may use.
const COMMON: [&str; 3] = ["id", "limit", "error"];

/// Who may use whom. A layer that is not listed here is a violation of its own.
const ARROWS: [(&str, &[&str]); 18] = [
    ("id", &[]),
    ("limit", &[]),
    ("error", &[]),
    ("memory", &[]),
    ("simd", &[]),
    ("keyspace", &[]),
    ("wire", &["keyspace", "memory"]),
    ("clock", &["keyspace"]),
    ("filter", &["wire", "simd", "memory", "keyspace"]),
    ("store", &["simd", "clock", "wire", "memory", "keyspace"]),
    ("protocol", &["store", "filter", "keyspace", "clock", "wire", "memory"]),
    ("transport", &["wire", "memory"]),
    ("node", &["protocol", "transport", "memory", "store", "wire", "keyspace"]),
    ("launch", &["node"]),
    ("client", &["node", "launch", "store", "wire", "keyspace", "memory"]),
    ("learn", &["client", "memory"]),
    ("cli", &["learn", "launch", "node", "client", "store", "transport", "memory", "simd"]),
    ("main", &["cli"]),
];

/// Layers that are functions of their input alone.
const PURE: [&str; 6] = ["protocol", "store", "clock", "keyspace", "wire", "filter"];
const IMPURE_MODULES: [&str; 6] = ["thread", "net", "fs", "env", "process", "os"];
const IMPURE_CRATES: [&str; 4] = ["rand", "getrandom", "rayon", "mio"];
const IMPURE_NAMES: [&str; 5] = ["Instant", "SystemTime", "HashMap", "HashSet", "RandomState"];

pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let mut found = arrows(source, layer);
    found.extend(detours(source));
    if PURE.contains(&layer) {
        found.extend(impurities(source));
    }
    found.retain(|violation| !source.in_test[violation.line - 1]);
    found
}

fn arrows(source: &Source, layer: &str) -> Vec<Violation> {
    if matches!(layer, "lib" | "bench_api") {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == layer) else {
        return vec![source.violation(0, ARROW, format!("'{layer}' is no layer of the design"))];
    };
    let mut used = first_names(source, "crate");
    used.extend(first_names(source, "parashard"));
    used.into_iter()
        .filter(|(_, name)| ARROWS.iter().any(|(layer, _)| layer == name))
        .filter(|(_, name)| name != layer && !allowed.contains(&name.as_str()) && !COMMON.contains(&name.as_str()))
        .map(|(place, name)| source.violation(place, ARROW, format!("{layer} -> {name}")))
        .collect()
}

/// `super` as often as the module is deep would reach the root unseen.
fn detours(source: &Source) -> Vec<Violation> {
    let below = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = if matches!(below, "lib" | "main") { 0 } else { below.split('/').count() };
    let climb = vec!["super"; depth.max(1)].join("::") + "::";
    source
        .code
        .match_indices(&climb)
        .map(|(place, _)| source.violation(place, DETOUR, climb.trim_end_matches(':')))
        .collect()
}

fn impurities(source: &Source) -> Vec<Violation> {
    let modules = first_names(source, "std").into_iter().filter(|(_, name)| IMPURE_MODULES.contains(&name.as_str()));
    let crates = IMPURE_CRATES
        .iter()
        .flat_map(|name| source.words(name).map(|place| (place, (*name).to_owned())))
        .filter(|(place, name)| source.code[place + name.len()..].trim_start().starts_with("::"));
    let names = IMPURE_NAMES.iter().flat_map(|name| source.words(name).map(|place| (place, (*name).to_owned())));
    modules.chain(crates).chain(names).map(|(place, name)| source.violation(place, IMPURE, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&Source::parse(path, text)).into_iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn the_forbidden_arrows_are_found_in_every_spelling() {
        assert_eq!(rules("src/protocol/worker.rs", "use crate::id::Time;\nuse crate::transport::Waker;"), [(2, ARROW)]);
        assert_eq!(rules("src/transport/tcp/mod.rs", "use crate::{\n    wire::A,\n    store::B,\n};"), [(3, ARROW)]);
        assert_eq!(rules("src/learn/ftrl.rs", "fn a() { crate::protocol::x() }"), [(1, ARROW)]);
        assert_eq!(rules("src/main.rs", "fn main() { parashard::node::run() }"), [(1, ARROW)]);
        assert_eq!(rules("src/memory/pool.rs", "use crate::wire::HEADER_BYTES;"), [(1, ARROW)]);
        assert_eq!(rules("src/plumbing/mod.rs", "fn a() {}"), [(1, ARROW)]);
    }

    #[test]
    fn the_designed_arrows_comments_and_tests_pass() {
        assert_eq!(rules("src/protocol/worker.rs", "//! See [`crate::transport`].\nuse crate::{store::T, limit};"), []);
        let text = "use crate::wire::A;\n#[cfg(test)]\nmod tests {\n    use crate::keyspace::KeyRange;\n}\n";
        assert_eq!(rules("src/transport/tcp.rs", text), []);
        assert_eq!(rules("src/wire/frame.rs", "use super::header::A;\nuse crate::wire::B;"), []);
    }

    #[test]
    fn climbing_to_the_root_is_found() {
        assert_eq!(rules("src/wire/frame.rs", "use super::super::store::A;"), [(1, DETOUR)]);
        assert_eq!(rules("src/wire/mod.rs", "use super::store::A;"), [(1, DETOUR)]);
    }

    #[test]
    fn the_pure_layers_read_no_clock_and_no_hash_order() {
        let text =
            "use std::time::{Duration, Instant};\nuse std::collections::{BTreeMap, HashMap};\nuse std::{fmt, fs};\n";
        assert_eq!(rules("src/store/a.rs", text), [(3, IMPURE), (1, IMPURE), (2, IMPURE)]);
        assert_eq!(rules("src/clock/a.rs", "fn a() { rand::random() }\nlet rand = 3;"), [(1, IMPURE)]);
        assert_eq!(rules("src/node/a.rs", text), []);
    }
}
