//! What the user sees at the end: one table, and the same figures as one JSON object.

use super::progress::{DelayInForce, Pass, Progress};
use super::report::WorkerFigures;
use crate::client::LinkCounts;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Latest changes of the delay that the table names one by one.
const DELAYS_SHOWN: usize = 6;

/// A finished job, as it is told to the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    fields: Map<String, Value>,
    rows: Vec<(String, String)>,
}

/// What the progress does not know.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SummaryFacts {
    /// Seconds of the whole command so far.
    pub seconds: f64,
    /// Which pushes a pull sees, as it was asked for.
    pub consistency: String,
    /// Passes that were asked for.
    pub passes: u32,
    /// Microseconds of sleep for each example in place of a heavier computation, of all workers or of each.
    pub simulate_compute_us: Vec<u32>,
    /// Weights that are not zero; none when no model was written.
    pub nonzero_weights: Option<u64>,
    /// When the whole command began, in seconds since 1970.
    pub begin_at: f64,
    /// Where the model is.
    pub model: Option<String>,
}

impl Summary {
    /// Puts the figures of a job together.
    #[must_use]
    pub fn new(progress: &Progress, facts: &SummaryFacts) -> Summary {
        let mut summary = Summary { fields: Map::new(), rows: Vec::new() };
        summary.add_training(progress, facts);
        summary.add_delays(progress);
        summary.add_test(progress);
        summary.add_model(facts);
        summary.add_traffic(progress, facts);
        summary.add_losses(progress);
        summary
    }

    /// The JSON object, in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.fields.clone()).to_string()
    }

    /// The table.
    #[must_use]
    pub fn to_table(&self) -> String {
        aligned(&self.rows)
    }

    fn add_training(&mut self, progress: &Progress, facts: &SummaryFacts) {
        let loss = progress.train_log_loss();
        self.add("examples", json!(progress.rows()), grouped(progress.rows()));
        let (passes, when) = match progress.solution {
            Some(solution) => (solution.passes as usize, "at the end"),
            None => (progress.passes.len(), "progressive, last pass"),
        };
        self.add("passes", json!(passes), format!("{passes} of {}", facts.passes));
        self.add("consistency", json!(facts.consistency), facts.consistency.clone());
        if !facts.simulate_compute_us.is_empty() {
            let each: Vec<String> = facts.simulate_compute_us.iter().map(u32::to_string).collect();
            let text = format!("{} us an example: a sleep stands for computing", each.join(", "));
            self.add("simulate_compute_us", json!(facts.simulate_compute_us), text);
        }
        if let Some(solution) = progress.solution {
            self.add("objective", json!(solution.objective), format!("{:.4}", solution.objective));
            self.add("kkt_violation", json!(solution.kkt_violation), format!("{:.6}", solution.kkt_violation));
        }
        self.add("train_log_loss", json!(loss), format!("{} ({when})", decimals(loss, 5)));
        let each: Vec<Value> = progress.passes.iter().map(|pass| json!(pass.log_loss())).collect();
        self.fields.insert("pass_log_loss".to_owned(), Value::Array(each));
        if progress.bad_lines > 0 {
            self.add("bad_lines_skipped", json!(progress.bad_lines), grouped(progress.bad_lines));
        }
    }

    /// Which delay was in force when.
    fn add_delays(&mut self, progress: &Progress) {
        let delays = &progress.delays;
        let field = |delay: &DelayInForce| json!({ "seconds": delay.seconds, "pass": delay.pass, "delay_max": delay.delay_max });
        self.fields.insert("delays".to_owned(), Value::Array(delays.iter().map(field).collect()));
        if let [first, later @ ..] = &delays[..]
            && !later.is_empty()
        {
            let left_out = later.len().saturating_sub(DELAYS_SHOWN);
            let shown = later[left_out..].iter();
            let shown =
                shown.map(|delay| format!(", {} from {:.2} s (pass {})", delay.delay_max, delay.seconds, delay.pass));
            let more = if left_out > 0 { format!(", {left_out} more") } else { String::new() };
            self.rows
                .push(("delay in force".to_owned(), format!("{}{more}{}", first.delay_max, shown.collect::<String>())));
        }
    }

    fn add_test(&mut self, progress: &Progress) {
        let test = progress.test();
        let field = |value: Option<f64>| value.map_or(Value::Null, |value| json!(value));
        let (loss, auc) = (test.map(|test| test.log_loss), test.and_then(|test| test.auc));
        if let Some(test) = test {
            self.add("test_examples", json!(test.rows), grouped(test.rows));
            self.add("test_log_loss", field(loss), decimals(loss, 5));
            self.add("test_auc", field(auc), decimals(auc, 5));
            self.add("test_calibration", field(test.calibration), decimals(test.calibration, 4));
        } else {
            self.fields.insert("test_log_loss".to_owned(), Value::Null);
            self.fields.insert("test_auc".to_owned(), Value::Null);
        }
    }

    fn add_model(&mut self, facts: &SummaryFacts) {
        let count = facts.nonzero_weights;
        self.add("nonzero_weights", json!(count), count.map_or("-".to_owned(), grouped));
        self.add("model", json!(facts.model), facts.model.clone().unwrap_or_else(|| "not written".to_owned()));
    }

    fn add_traffic(&mut self, progress: &Progress, facts: &SummaryFacts) {
        let workers = || progress.workers.values();
        let total = |bytes: fn(&WorkerFigures) -> u64| workers().map(bytes).sum::<u64>();
        let (pushed, asked) = (total(|worker| worker.bytes_pushed), total(|worker| worker.bytes_asked));
        let pulled = total(|worker| worker.bytes_pulled);
        let speed = progress.rows_per_second();
        let train_seconds = progress.train_seconds();
        self.add("examples_per_second", json!(speed), format!("{} (training alone)", grouped(speed as u64)));
        self.add("seconds", json!(facts.seconds), format!("{:.2} (training {train_seconds:.2})", facts.seconds));
        self.fields.insert("train_seconds".to_owned(), json!(train_seconds));
        self.add("bytes_pushed", json!(pushed), megabytes(pushed));
        self.add("bytes_asked", json!(asked), format!("{} (questions for values)", megabytes(asked)));
        self.add("bytes_pulled", json!(pulled), megabytes(pulled));
        let links = workers().fold(LinkCounts::default(), |links, worker| links.plus(worker.links));
        let named: Vec<String> = links.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let counts: Map<String, Value> = links.iter().map(|(kind, count)| (kind.to_string(), json!(count))).collect();
        self.add("links", Value::Object(counts), named.join(", "));
        let of_passes = |bytes: fn(&Pass) -> u64| progress.passes.iter().map(bytes).collect::<Vec<u64>>();
        self.fields.insert("bytes_sent_per_pass".to_owned(), json!(of_passes(|pass| pass.bytes_sent)));
        self.fields.insert("bytes_received_per_pass".to_owned(), json!(of_passes(|pass| pass.bytes_received)));
        self.fields.insert("retries".to_owned(), json!(total(|worker| worker.retries)));
        self.fields.insert("key_lists_named".to_owned(), json!(total(|worker| worker.lists_named)));
        self.fields.insert("key_lists_missed".to_owned(), json!(total(|worker| worker.lists_missed)));
        let waiting: f64 = workers().map(|worker| worker.seconds_waiting).sum();
        self.fields.insert("seconds_waiting".to_owned(), json!(waiting));
        let first = workers().filter_map(|worker| worker.first_pull_at).reduce(f64::min);
        let first = first.map(|at| (at - facts.begin_at) * 1e3).filter(|_| facts.begin_at > 0.0);
        self.fields.insert("first_pull_ms".to_owned(), json!(first));
        let mut each = Vec::new();
        for (rank, worker) in &progress.workers {
            let rows = progress.worker_rows.get(rank).copied().unwrap_or(0);
            let speed = if worker.seconds() > 0.0 { rows as f64 / worker.seconds() } else { 0.0 };
            self.rows.push((
                format!("worker {rank}"),
                format!(
                    "{} examples, {} a second, pushed {}, pulled {}, computing {:.2} s, waiting {:.2} s, sending {:.2} s, reading {:.2} s",
                    grouped(rows),
                    grouped(speed as u64),
                    megabytes(worker.bytes_pushed),
                    megabytes(worker.bytes_pulled),
                    worker.seconds_computing,
                    worker.seconds_waiting,
                    worker.seconds_sending,
                    worker.seconds_reading
                ),
            ));
            each.push(json!({
                "rank": rank,
                "examples": rows,
                "examples_per_second": speed,
                "bytes_pushed": worker.bytes_pushed,
                "bytes_asked": worker.bytes_asked,
                "bytes_pulled": worker.bytes_pulled,
                "seconds_computing": worker.seconds_computing,
                "seconds_waiting": worker.seconds_waiting,
                "seconds_sending": worker.seconds_sending,
                "seconds_without_work": worker.seconds_without_work,
                "seconds_reading": worker.seconds_reading,
            }));
        }
        self.fields.insert("workers".to_owned(), Value::Array(each));
    }

    /// Who was lost and who went on in its place.
    fn add_losses(&mut self, progress: &Progress) {
        self.fields.insert("units_taken_back".to_owned(), json!(progress.units_taken_back));
        self.fields.insert("units_cut".to_owned(), json!(progress.units_cut));
        // A worker is lost again with the process that has adopted it: each counts once.
        let lost: BTreeSet<u32> = progress.losses.iter().map(|loss| loss.rank).collect();
        self.fields.insert("workers_lost".to_owned(), json!(lost.len()));
        let each = progress.losses.iter();
        let each = each.map(|loss| json!({ "rank": loss.rank, "reason": loss.reason, "adopted_by": loss.adopted_by }));
        self.fields.insert("losses".to_owned(), Value::Array(each.collect()));
        for loss in &progress.losses {
            let next = match loss.adopted_by {
                Some(by) => format!("; its work was done by the process of worker {by}"),
                None => String::new(),
            };
            self.rows.push((format!("worker {} lost", loss.rank), format!("{}{next}", loss.reason)));
        }
    }

    fn add(&mut self, name: &str, value: Value, text: String) {
        self.fields.insert(name.to_owned(), value);
        self.rows.push((name.replace('_', " "), text));
    }
}

/// Names and values, one pair a line, with the values below each other.
#[must_use]
pub fn aligned(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut table, (name, value)| {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{name:width$}  {value}");
        table
    })
}

/// A whole number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A number with so many decimal places, or `-`.
#[must_use]
pub fn decimals(number: Option<f64>, places: usize) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.places$}"))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_job_without_a_test_says_null() {
        let summary = Summary::new(&Progress::default(), &SummaryFacts::default());
        let object: Value = serde_json::from_str(&summary.to_json()).expect("an object");
        assert!(object["test_auc"].is_null() && object["nonzero_weights"].is_null());
        for name in ["examples", "passes", "seconds", "examples_per_second", "train_log_loss", "bytes_pushed"] {
            assert!(object.get(name).is_some(), "{name} is missing");
        }
    }
}
