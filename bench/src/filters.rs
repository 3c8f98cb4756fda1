//! What each filter saves on training data: bytes an example, log loss and speed, by whole trainings.
//!
//! Runs the `parashard` beside this program once for each set of filters in each run, in turn, and
//! reads the summary that it writes. Bytes and loss are the same in each run, but for the order in
//! which workers come to the servers; the figures are medians.

use crate::machine::Machine;
use crate::options::Options;
use crate::pin::Placement;
use crate::report::{Plot, Report, Row};
use crate::sample::median;
use crate::timing::median_ratio;
use crate::trainer::file_name;
use crate::training::{Data, Training};
use anyhow::{Context, Result};
use clap::Args;
use parashard::error::{ExitCode, Failure};
use serde_json::Value;
use std::path::PathBuf;

/// What is compared; the first is what the others are held against.
const SETS: [&str; 18] = [
    NONE,
    "key_cache",
    "pack_keys",
    "nonzero",
    "snappy",
    "key_cache,pack_keys,nonzero",
    "key_cache,pack_keys,nonzero,snappy",
    "key_cache,pack_keys,nonzero,fixed_point:8",
    "key_cache,pack_keys,nonzero,fixed_point:16",
    "key_cache,pack_keys,nonzero,bf16",
    "key_cache,pack_keys,nonzero,significant:0.1",
    "key_cache,pack_keys,nonzero,significant:1",
    "key_cache,pack_keys,nonzero,significant:10",
    "key_cache,pack_keys,nonzero,kkt:0.5",
    "key_cache,pack_keys,nonzero,random_skip:0.1",
    "key_cache,pack_keys,nonzero,changed",
    "key_cache,pack_keys,nonzero,changed:0.01",
    "key_cache,pack_keys,nonzero,changed:0.1",
];
/// Strength of the L1 norm.
const L1: f64 = 1.0;
/// Plain frames.
const NONE: &str = "none";

/// Arguments of `filters`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FiltersArguments {
    #[command(flatten)]
    options: Options,
    /// Data to train on; by default the flights of the repository's tests, or else generated rows.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Data to test the models with; by default what belongs to the default of `--train`.
    #[arg(long, value_name = "FILE", requires = "train")]
    test: Option<PathBuf>,
    /// Passes over the data.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    passes: u16,
    /// Which pushes a pull must see, as `train --consistency` takes it; `sequential` ends with the same model each
    /// time, so that the objective tells what a filter changes.
    #[arg(long, value_name = "RULE", default_value = "eventual")]
    consistency: String,
    /// A set of filters, as `train --filters` takes it; may be given several times.
    #[arg(long = "set", value_name = "FILTERS")]
    sets: Vec<String>,
}

/// What the trainings with one set of filters gave, one figure a run.
struct Point {
    set: String,
    figures: Vec<Figures>,
}

/// Figures of one training.
struct Figures {
    examples_per_second: f64,
    train_log_loss: f64,
    test_log_loss: Option<f64>,
    /// Of the model, on the data that it was trained on.
    objective: f64,
    /// Bytes an example, by the workers: sent and received in the first pass and in the later ones.
    sent: (f64, Option<f64>),
    received: (f64, Option<f64>),
}

/// Trains with every set and publishes the rows.
pub(crate) fn run(arguments: &FiltersArguments) -> Result<()> {
    let options = &arguments.options;
    let training = Training::find()?;
    let data = training.data(options, arguments.train.as_deref(), arguments.test.as_deref())?;
    let (file, passes, rule) = (file_name(&data.train), arguments.passes, &arguments.consistency);
    let mut notes = vec![format!("data: {file}, {passes} passes, {rule}")];
    let mut points: Vec<Point> = sets(arguments).map(|set| Point { set, figures: Vec::new() }).collect();
    for _ in 0..options.runs {
        points.retain_mut(|point| match point.train(&training, &data, arguments) {
            Ok(()) => true,
            Err(error) => {
                notes.push(format!("skipped: {}: {error:#}", point.set));
                false
            }
        });
        // There and back, so that a machine that gets slower or faster meanwhile favours no set.
        points.reverse();
    }
    if options.runs % 2 == 1 {
        points.reverse();
    }
    let Some(base) = points.first().filter(|point| point.set == NONE) else {
        return Err(Failure::new(ExitCode::BadInput, notes.swap_remove(1)).into());
    };
    let report = Report {
        title: "filters: bytes an example that training sends and receives, 2 servers, 2 workers".to_owned(),
        machine: Machine::look(&Placement::choose(None, true)?),
        median_name: "sent later",
        before: &["sent_pass_1"],
        after: &[
            "sent_to_none",
            "received_pass_1",
            "received_later",
            "test_log_loss",
            "objective_change",
            "speed_to_none",
        ],
        plot: Plot::Bars { y: "median", label: &[] },
        rows: points.iter().map(|point| point.row(base)).collect(),
        notes,
    };
    report.publish(options)
}

fn sets(arguments: &FiltersArguments) -> impl Iterator<Item = String> + '_ {
    let is_given = !arguments.sets.is_empty();
    let own = SETS.iter().filter(move |_| !is_given).map(|set| (*set).to_owned());
    // What the others are held against comes first, whatever is asked for.
    let given = arguments.sets.iter().filter(|set| *set != NONE).cloned();
    own.chain(is_given.then(|| NONE.to_owned())).chain(given)
}

impl Point {
    fn train(&mut self, training: &Training, data: &Data, arguments: &FiltersArguments) -> Result<()> {
        let passes = arguments.passes.to_string();
        let words =
            ["--alpha", "0.1", "--beta", "1", "--l1", "1", "--l2", "0", "--consistency", &arguments.consistency];
        let summary = training.train(data, &[&words[..], &["--filters", &self.set, "--passes", &passes]].concat())?;
        let objective = training.objective(data, L1)?;
        let figures = Figures::read(&summary, objective);
        self.figures.push(figures.context("the summary of the training is not as expected")?);
        Ok(())
    }

    fn row(&self, base: &Point) -> Row {
        let examples_per_second = self.each(|figures| Some(figures.examples_per_second));
        let sent_later = self.each(|figures| Some(figures.sent.1.unwrap_or(figures.sent.0)));
        let base_sent = base.each(|figures| Some(figures.sent.1.unwrap_or(figures.sent.0)));
        let base_speed = base.each(|figures| Some(figures.examples_per_second));
        let of = |figure: fn(&Figures) -> Option<f64>| median(&self.each(figure));
        let objective = |point: &Point| point.each(|figures| Some(figures.objective));
        let objective_change =
            median_ratio(&objective(self), &objective(base)).map(|ratio| format!("{:+.1e}", ratio - 1.0));
        let mut row = Row::new(self.set.clone(), 1);
        row.median = median(&sent_later);
        row.unit = "bytes/example";
        row.rate = median(&examples_per_second);
        row.rate_unit = "examples/s";
        row.with("filters", self.set.clone())
            .with("sent_pass_1", of(|figures| Some(figures.sent.0)))
            .with("sent_later", of(|figures| figures.sent.1))
            .with("received_pass_1", of(|figures| Some(figures.received.0)))
            .with("received_later", of(|figures| figures.received.1))
            .with("sent_to_none", median_ratio(&sent_later, &base_sent))
            .with("train_log_loss", of(|figures| Some(figures.train_log_loss)))
            .with("test_log_loss", of(|figures| figures.test_log_loss))
            .with("objective", of(|figures| Some(figures.objective)))
            .with("objective_change", objective_change)
            .with("examples_per_s", median(&examples_per_second))
            .with("speed_to_none", median_ratio(&examples_per_second, &base_speed))
    }

    fn each(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Vec<f64> {
        self.figures.iter().filter_map(figure).collect()
    }
}

impl Figures {
    /// Reads a summary of `train --json`.
    fn read(summary: &Value, objective: f64) -> Option<Figures> {
        let number = |name: &str| summary.get(name).and_then(Value::as_f64);
        // `examples` counts a row in each pass.
        let examples = number("examples")? / number("passes")?;
        let split = |name: &str| {
            let bytes: Vec<f64> = summary.get(name)?.as_array()?.iter().filter_map(Value::as_f64).collect();
            let (first, later) = bytes.split_first()?;
            let mean = (!later.is_empty()).then(|| later.iter().sum::<f64>() / later.len() as f64 / examples);
            Some((first / examples, mean))
        };
        Some(Figures {
            examples_per_second: number("examples_per_second")?,
            train_log_loss: number("train_log_loss")?,
            test_log_loss: number("test_log_loss"),
            objective,
            sent: split("bytes_sent_per_pass")?,
            received: split("bytes_received_per_pass")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_with_bytes_by_pass_tells_the_first_from_the_later() {
        let text = r#"{"examples": 300, "passes": 3, "examples_per_second": 10.0, "train_log_loss": 0.5,
            "bytes_sent_per_pass": [1000, 400, 600], "bytes_received_per_pass": [2000, 1000, 500]}"#;
        let summary = serde_json::from_str(text).expect("JSON");
        let figures = Figures::read(&summary, 7.5).expect("a summary");
        assert_eq!((figures.sent, figures.received), ((10.0, Some(5.0)), (20.0, Some(7.5))));
        assert!(Figures::read(&Value::Null, 7.5).is_none());
    }
}
