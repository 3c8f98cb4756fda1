//! How a process ended, and what it said.

use serde_json::Value;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Outcome {
    /// The exit code; panics with what was said when it is another.
    pub(crate) fn expect_code(&self, code: i32) -> &Outcome {
        assert_eq!(self.status.code(), Some(code), "{}\n{}{}", self.status, self.stdout, self.stderr);
        self
    }

    /// The only error line. Nothing else may be on standard error but progress.
    pub(crate) fn only_error(&self) -> &str {
        let (errors, rest): (Vec<&str>, Vec<&str>) =
            self.stderr.lines().partition(|line| line.starts_with("parashard: error: "));
        let strange: Vec<_> = rest.into_iter().filter(|line| !is_progress(line)).collect();
        assert!(strange.is_empty() && errors.len() == 1, "not one error line:\n{}", self.stderr);
        errors[0]
    }

    /// Nothing but progress on standard error.
    pub(crate) fn expect_quiet(&self) -> &Outcome {
        assert!(self.stderr.lines().all(is_progress), "unexpected on standard error:\n{}", self.stderr);
        self
    }

    /// Fails unless the only error line holds all these words.
    pub(crate) fn expect_error(&self, code: i32, words: &[&str]) -> &Outcome {
        self.expect_code(code);
        let line = self.only_error();
        for word in words {
            assert!(line.contains(word), "'{word}' is not in: {line}");
        }
        self
    }
}

/// A line such as `     2.0 s  pass 1/3  …`.
fn is_progress(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|seconds| seconds.parse::<f64>().is_ok()) && words.next() == Some("s")
}

/// A summary that `--json` has written.
pub(crate) fn summary(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a summary");
    assert_eq!(text.lines().count(), 1, "one object in one line");
    serde_json::from_str(&text).expect("JSON")
}
