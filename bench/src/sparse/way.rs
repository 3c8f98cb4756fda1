//! What is done with a list of keys, and the row that tells of it.

use super::keys_row;
use crate::options::Wait;
use crate::report::Row;
use crate::timing::Series;

/// What is done with a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A fresh list, pushed to a table whose server remembers lists, these keys too.
    PushCached,
    /// As [`Way::PushCached`], by a list that was made once and is used again.
    PushHandle,
    /// A fresh list, pushed to a table that remembers none; the keys are there.
    Push,
    /// New keys, pushed to an empty table that remembers no lists.
    PushFirst,
    /// New keys, pushed to an empty table that remembers them.
    PushFirstCached,
    PullCached,
    PullHandle,
    Pull,
}

/// One way at one depth.
pub(super) struct Point {
    pub(super) way: Way,
    /// How many requests are outstanding.
    pub(super) depth: usize,
    pub(super) series: Series,
}

impl Way {
    pub(super) const ALL: [Way; 8] = [
        Way::PushCached,
        Way::PushHandle,
        Way::Push,
        Way::PushFirst,
        Way::PushFirstCached,
        Way::PullCached,
        Way::PullHandle,
        Way::Pull,
    ];

    /// Whether its table remembers lists.
    pub(super) fn is_cached(self) -> bool {
        !matches!(self, Way::Push | Way::PushFirst | Way::Pull)
    }

    pub(super) fn is_first(self) -> bool {
        matches!(self, Way::PushFirst | Way::PushFirstCached)
    }

    fn name(self) -> &'static str {
        match self {
            Way::PushCached => "push_cached",
            Way::PushHandle => "push_handle",
            Way::Push => "push",
            Way::PushFirst => "push_first",
            Way::PushFirstCached => "push_first_cached",
            Way::PullCached => "pull_cached",
            Way::PullHandle => "pull_handle",
            Way::Pull => "pull",
        }
    }

    /// What a key and its value take of the stream.
    fn bytes_per_key(self) -> f64 {
        if self.is_cached() && !self.is_first() { 4.0 } else { 12.0 }
    }
}

impl Point {
    /// `stream` is the raw TCP stream's GB/s in each run.
    pub(super) fn row(&self, keys: usize, wait: Wait, stream: &[f64]) -> Row {
        let limit = |gb_per_s: &f64| gb_per_s / self.way.bytes_per_key() * 1e3;
        let limits: Vec<f64> = stream.iter().map(limit).collect();
        let limit = (!limits.is_empty()).then_some(("raw stream", limits.as_slice()));
        keys_row(self.way.name(), keys as u64, self.depth, &self.series, limit).with("wait", wait.name())
    }
}
