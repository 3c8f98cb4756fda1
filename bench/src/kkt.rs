//! What the filter by optimality (KKT) keeps from moving: features and bytes of each pass of block proximal
//! gradient, with the filter and without it, and the objective that both end with.
//!
//! Under `sequential` every run of a setting moves the same, so that what is compared is taken from the last run; the
//! seconds of passes are medians.

use crate::machine::Machine;
use crate::options::Options;
use crate::pin::Placement;
use crate::report::{Chart, Curve, Plot, Report, Row};
use crate::sample::median;
use crate::trainer::file_name;
use crate::training::{Data, Training};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

/// Arguments of `kkt`.
#[derive(Debug, Clone, Args)]
pub(crate) struct KktArguments {
    #[command(flatten)]
    options: Options,
    /// Data to train on; by default the flights of the repository's tests, or else generated rows.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Strength of the L1 norm.
    #[arg(long, default_value_t = 2.0)]
    l1: f64,
    /// Which weights a block step may miss, as `train --consistency` takes it.
    #[arg(long, value_name = "RULE", default_value = "sequential")]
    consistency: String,
}

/// A training with the filter or without.
struct Setting {
    name: &'static str,
    more: &'static [&'static str],
    /// One summary a run.
    summaries: Vec<Value>,
}

/// Trains both ways and publishes a row a pass.
pub(crate) fn run(arguments: &KktArguments) -> Result<()> {
    let options = &arguments.options;
    let training = Training::find()?;
    let data = Data { test: None, ..training.data(options, arguments.train.as_deref(), None)? };
    let setting = |name, more| Setting { name, more, summaries: Vec::new() };
    let mut settings = [setting("kkt", &[] as &[_]), setting("off", &["--no-kkt-filter"])];
    let l1 = arguments.l1.to_string();
    let fixed = ["--algorithm", "dbpg", "--no-bias", "--l1", &l1, "--consistency", &arguments.consistency];
    for _ in 0..options.runs {
        for setting in &mut settings {
            let summary = training.train(&data, &[&fixed[..], setting.more].concat())?;
            setting.summaries.push(summary);
        }
    }
    let mut notes = vec![format!("data: {}, l1 {}, {}", file_name(&data.train), arguments.l1, arguments.consistency)];
    for setting in &settings {
        notes.push(setting.note()?);
    }
    let [with, without] = [&settings[0], &settings[1]].map(|setting| setting.number("objective"));
    notes.push(format!("objective with the filter to without it: {:+.2e}", with? / without? - 1.0));
    let mut rows = Vec::new();
    for setting in &settings {
        rows.extend(setting.rows()?);
    }
    let report = Report {
        title: "KKT filter: what a pass of dbpg moves, 2 servers, 2 workers".to_owned(),
        machine: Machine::look(&Placement::choose(None, true)?),
        median_name: "moved",
        before: &["pass"],
        after: &[
            "features",
            "checked",
            "stepped",
            "blocks_mb",
            "pushed_mb",
            "pulled_mb",
            "seconds",
            "objective",
            "kkt_violation",
        ],
        plot: Plot::Charts(charts(&settings)?),
        rows,
        notes,
    };
    report.publish(options)
}

/// Features and megabytes by the pass.
fn charts(settings: &[Setting]) -> Result<Vec<Chart>> {
    let chart = |title: &str, y: &str, of: fn(&Value) -> Result<f64>| {
        let curve = |(colour, setting): (usize, &Setting)| {
            let point = |pass: &Value| anyhow::Ok((number(pass, "pass")?, of(pass)?));
            let points = setting.passes()?.iter().map(point).collect::<Result<_>>()?;
            anyhow::Ok(Curve { label: setting.name.to_owned(), colour, dashed: false, points })
        };
        let curves = settings.iter().enumerate().map(curve).collect::<Result<_>>()?;
        anyhow::Ok(Chart { title: title.to_owned(), x: "pass".to_owned(), y: y.to_owned(), ticks: Vec::new(), curves })
    };
    let features = |pass: &Value| Ok(number(pass, "features_sent")? + number(pass, "features_checked")?);
    Ok(vec![
        chart("in blocks, and looked at", "features", features)?,
        chart("pushed and pulled, steps in the active set included", "MB", |pass| Ok(moved_bytes(pass)? / 1e6))?,
    ])
}

impl Setting {
    fn last(&self) -> Result<&Value> {
        self.summaries.last().context("there is a run")
    }

    fn number(&self, name: &str) -> Result<f64> {
        number(self.last()?, name)
    }

    /// What a whole training gave.
    fn note(&self) -> Result<String> {
        let seconds: Vec<f64> = self.summaries.iter().filter_map(|summary| summary["seconds"].as_f64()).collect();
        Ok(format!(
            "{}: objective {:.4}, KKT violation {:.5}, {} weights, {} passes, {:.1} MB pushed, {:.1} MB pulled, {:.2} s; \
             dropped {:.1} % of features, {:.1} % in the last quarter of passes",
            self.name,
            self.number("objective")?,
            self.number("kkt_violation")?,
            self.number("nonzero_weights")?,
            self.number("passes")?,
            self.number("bytes_pushed")? / 1e6,
            self.number("bytes_pulled")? / 1e6,
            median(&seconds).unwrap_or(f64::NAN),
            1e2 * self.number("kkt_dropped")?,
            1e2 * self.number("kkt_dropped_last")?,
        ))
    }

    fn passes(&self) -> Result<&Vec<Value>> {
        self.last()?["passes_detail"].as_array().context("passes_detail is no list")
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let passes = self.passes()?;
        let seconds_of = |place: usize| -> Vec<f64> {
            let of = |summary: &Value| summary["passes_detail"][place]["seconds"].as_f64();
            self.summaries.iter().filter_map(of).collect()
        };
        passes.iter().enumerate().map(|(place, pass)| self.row(pass, &seconds_of(place))).collect()
    }

    fn row(&self, pass: &Value, seconds: &[f64]) -> Result<Row> {
        let (pushed, asked) = (number(pass, "bytes_pushed")?, number(pass, "bytes_asked")?);
        let (pulled, checked) = (number(pass, "bytes_pulled")?, number(pass, "features_checked")?);
        let blocks = &pass["blocks"];
        let mut row = Row::new(self.name, 1);
        row.median = Some(moved_bytes(pass)? / 1e6);
        row.unit = "MB";
        row.rate = Some(number(pass, "features_sent")?);
        row.rate_unit = "features sent";
        Ok(row
            .with("pass", pass["pass"].clone())
            .with("features", pass["features"].clone())
            .with("checked", checked as u64)
            .with("stepped", pass["features_stepped"].clone())
            .with("pushed_mb", (pushed + asked) / 1e6)
            .with("pulled_mb", pulled / 1e6)
            .with("seconds", median(seconds))
            .with("objective", pass["objective"].clone())
            .with("kkt_violation", pass["kkt_violation"].clone())
            .with("blocks_mb", (number(blocks, "bytes_pushed")? + number(blocks, "bytes_asked")?) / 1e6))
    }
}

/// Bytes that a pass moves, both ways.
fn moved_bytes(pass: &Value) -> Result<f64> {
    Ok(number(pass, "bytes_pushed")? + number(pass, "bytes_asked")? + number(pass, "bytes_pulled")?)
}

fn number(object: &Value, name: &str) -> Result<f64> {
    object[name].as_f64().with_context(|| format!("the summary of the training has no {name}"))
}
