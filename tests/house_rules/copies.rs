//! Payload is copied in the data path only by the functions that count.

use super::source::{Source, Violation};

pub(crate) const UNCOUNTED: &str = "a bulk copy in the data path that is not counted; use memory::copy_counted";

/// The data path between the network and the store's columns, where gathering and adding are the work itself.
const DATA_PATH: [&str; 13] = [
    "src/protocol/worker/",
    "src/protocol/server/",
    "src/transport/fabric/",
    "src/transport/ring/arrival.rs",
    "src/transport/ring/link.rs",
    "src/transport/tcp/receiver.rs",
    "src/transport/tcp/sender.rs",
    "src/transport/tcp/session.rs",
    "src/transport/tcp/progress.rs",
    "src/transport/verbs/receive.rs",
    "src/transport/verbs/receives.rs",
    "src/transport/verbs/send.rs",
    "src/client/",
];

const COPIES: [&str; 8] = [
    "copy_from_slice",
    "clone_from_slice",
    "copy_within",
    "extend_from_slice",
    "extend_from_within",
    "to_vec",
    "concat",
    "copy_nonoverlapping",
];

pub(crate) fn check(source: &Source) -> Vec<Violation> {
    if !DATA_PATH.iter().any(|part| source.path.starts_with(part)) {
        return Vec::new();
    }
    let places = COPIES.into_iter().flat_map(|copy| source.words(copy).map(move |place| (place, copy)));
    let places = places.filter(|&(place, _)| !source.is_test_at(place));
    places.map(|(place, copy)| source.violation(place, UNCOUNTED, copy)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&Source::parse(path, text)).into_iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn an_uncounted_copy_in_the_data_path_is_found() {
        let text = "fn a() {\n    b.copy_from_slice(c);\n    copy_counted(b, c);\n    d.to_vec();\n}";
        for path in ["src/protocol/server/push.rs", "src/transport/tcp/receiver.rs", "src/client/table.rs"] {
            assert_eq!(rules(path, text), [(2, UNCOUNTED), (4, UNCOUNTED)], "{path}");
        }
        assert_eq!(rules("src/store/column.rs", text), []);
        assert_eq!(rules("src/transport/tcp/tests.rs", text), []);
    }

    #[test]
    fn tests_pass() {
        let text = "#[cfg(test)]\nmod tests {\n    fn a() { b.to_vec(); }\n}";
        assert_eq!(rules("src/protocol/worker/keys.rs", text), []);
    }
}
