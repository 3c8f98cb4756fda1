//! One training, and what its summary says.

use super::minibatch::Minibatches;
use super::straggler::WORKERS;
use crate::trainer;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What trainings have in common.
pub(super) struct Job<'a> {
    pub(super) program: &'a Path,
    pub(super) data: &'a Minibatches,
    pub(super) compute_us: u32,
    pub(super) folder: &'a Path,
}

/// Figures of one training.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Training {
    pub(super) minibatches: usize,
    /// From the first unit to the last.
    pub(super) seconds: f64,
    /// Of the model that it ended with, over all rows.
    pub(super) objective: f64,
    pub(super) waiting_share: f64,
}

impl Job<'_> {
    /// Trains on the first minibatches; the last worker takes `slowness` times as long for an example.
    pub(super) fn train(&self, slowness: u32, rule: &str, minibatches: usize) -> Result<Training> {
        let summary = self.folder.join("summary.json");
        let times =
            (0..WORKERS).map(|rank| if rank + 1 == WORKERS { slowness * self.compute_us } else { self.compute_us });
        let times: Vec<String> = times.map(|time| time.to_string()).collect();
        let mut command = Command::new(self.program);
        command.args(["train", "--servers", "2", "--workers", &WORKERS.to_string(), "--consistency", rule]);
        command.args(["--minibatch", &self.data.minibatch.to_string(), "--warm-up", "false"]);
        command.args(["--simulate-compute-us", &times.join(","), "--key-end", &self.data.key_end.to_string()]);
        command.args(["--alpha", "0.1", "--beta", "1", "--l1", "0", "--l2", "0"]);
        command.arg("--train").args(&self.data.files[..minibatches.min(self.data.files.len())]);
        command.arg("--test").arg(&self.data.whole).arg("--json").arg(&summary);
        command.arg("--model").arg(self.folder.join("consistency.model"));
        trainer::run(command)?;
        let text = std::fs::read_to_string(&summary)?;
        Training::read(&text, minibatches).context("the summary of the training is not as expected")
    }
}

impl Training {
    /// Reads a summary of `train --json`.
    fn read(text: &str, minibatches: usize) -> Option<Training> {
        let summary: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| summary.get(name).and_then(Value::as_f64);
        let workers = summary.get("workers")?.as_array()?;
        let total = |name: &str| workers.iter().filter_map(|worker| worker.get(name)?.as_f64()).sum::<f64>();
        let waiting = total("seconds_waiting");
        Some(Training {
            minibatches,
            seconds: number("train_seconds")?,
            objective: number("test_log_loss")?,
            waiting_share: waiting / (waiting + total("seconds_computing") + total("seconds_sending")),
        })
    }
}

/// The objective at a time, on the straight line between two points of a curve; a model without weights at first,
/// and the last one from its end on.
pub(super) fn objective_at(curve: &[Training], seconds: f64) -> f64 {
    let mut before = (0.0, std::f64::consts::LN_2);
    for training in curve {
        let next = (training.seconds, training.objective);
        if seconds < next.0 {
            let share = (seconds - before.0) / (next.0 - before.0);
            return before.1 + share * (next.1 - before.1);
        }
        before = next;
    }
    before.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training(seconds: f64, objective: f64) -> Training {
        Training { minibatches: 1, seconds, objective, waiting_share: 0.0 }
    }

    #[test]
    fn the_objective_between_two_points_lies_between_theirs() {
        let curve = [training(1.0, 0.6), training(3.0, 0.4)];
        assert_eq!(objective_at(&curve, 1.0), 0.6);
        assert!((objective_at(&curve, 2.0) - 0.5).abs() < 1e-12);
        assert_eq!(objective_at(&curve, 9.0), 0.4);
        assert!(objective_at(&curve, 0.5) > 0.6);
    }

    #[test]
    fn a_summary_tells_who_waited() {
        let text = r#"{"train_seconds": 2.0, "test_log_loss": 0.5, "workers": [
            {"seconds_waiting": 1.0, "seconds_computing": 2.0, "seconds_sending": 0.5},
            {"seconds_waiting": 0.0, "seconds_computing": 0.5, "seconds_sending": 0.0}]}"#;
        let training = Training::read(text, 8).expect("a summary");
        assert_eq!(training, Training { minibatches: 8, seconds: 2.0, objective: 0.5, waiting_share: 0.25 });
        assert!(Training::read("{}", 8).is_none());
    }
}
