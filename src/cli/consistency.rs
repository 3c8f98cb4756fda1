//! `--consistency`: which pushes a pull must see, and what becomes of the delay while the job runs.

use crate::node::{Consistency, DelayPolicy};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The rule by its name: `sequential`, `bounded:N`, `bounded:N..M`, `auto` or `eventual`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum ConsistencyOption {
    Sequential,
    /// The delay at first and in the end.
    Bounded(u32, u32),
    Auto,
    Eventual,
}

impl ConsistencyOption {
    /// The rule that holds when the job begins.
    pub(super) fn rule(self) -> Consistency {
        match self {
            ConsistencyOption::Sequential => Consistency::Sequential,
            ConsistencyOption::Eventual => Consistency::Eventual,
            ConsistencyOption::Bounded(..) | ConsistencyOption::Auto => {
                Consistency::BoundedDelay { delay_max: self.policy().delay_max() }
            }
        }
    }

    /// What becomes of the delay.
    pub(super) fn policy(self) -> DelayPolicy {
        match self {
            ConsistencyOption::Bounded(first, last) if first != last => DelayPolicy::annealed(first, last),
            ConsistencyOption::Bounded(delay, _) => DelayPolicy::Fixed(delay),
            ConsistencyOption::Auto => DelayPolicy::by_waiting(),
            ConsistencyOption::Sequential | ConsistencyOption::Eventual => DelayPolicy::Fixed(0),
        }
    }
}

impl fmt::Display for ConsistencyOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsistencyOption::Sequential => f.write_str("sequential"),
            ConsistencyOption::Eventual => f.write_str("eventual"),
            ConsistencyOption::Auto => f.write_str("auto"),
            ConsistencyOption::Bounded(first, last) if first == last => write!(f, "bounded:{first}"),
            ConsistencyOption::Bounded(first, last) => write!(f, "bounded:{first}..{last}"),
        }
    }
}

impl FromStr for ConsistencyOption {
    type Err = String;

    fn from_str(text: &str) -> Result<ConsistencyOption, String> {
        let bounded = |delays: &str| {
            let (first, last) = delays.split_once("..").unwrap_or((delays, delays));
            Some(ConsistencyOption::Bounded(first.parse().ok()?, last.parse().ok()?))
        };
        let known = match text {
            "sequential" => Some(ConsistencyOption::Sequential),
            "eventual" => Some(ConsistencyOption::Eventual),
            "auto" => Some(ConsistencyOption::Auto),
            _ => text.strip_prefix("bounded:").and_then(bounded),
        };
        let names = "sequential, bounded:N, bounded:N..M, auto or eventual";
        known.ok_or_else(|| format!("`{text}` is no consistency: choose {names}, where N and M are delays"))
    }
}

impl TryFrom<String> for ConsistencyOption {
    type Error = String;

    fn try_from(text: String) -> Result<ConsistencyOption, String> {
        text.parse()
    }
}

impl From<ConsistencyOption> for String {
    fn from(option: ConsistencyOption) -> String {
        option.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_read_as_it_is_written() {
        for text in ["sequential", "eventual", "auto", "bounded:0", "bounded:16", "bounded:16..2"] {
            assert_eq!(text.parse::<ConsistencyOption>().expect(text).to_string(), text);
        }
        let rule = "bounded:16..2".parse::<ConsistencyOption>().expect("a rule").rule();
        assert_eq!(rule, Consistency::BoundedDelay { delay_max: 16 });
    }

    #[test]
    fn what_is_no_rule_is_refused_with_those_that_are() {
        for text in ["", "bounded", "bounded:", "bounded:-1", "bounded:4..", "bsp"] {
            let refusal = text.parse::<ConsistencyOption>().expect_err(text);
            assert!(refusal.contains("bounded:N..M"), "{refusal}");
        }
    }
}
