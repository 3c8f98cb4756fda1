//! `parashard evaluate`: how good a model is on labelled data.

use super::output::{print, write_file};
use super::score::{ScoreArguments, tell_bad_lines};
use crate::error::{ExitCode, Failure};
use crate::learn::calibration::{Decile, deciles};
use crate::learn::metric::{Quality, Scores};
use crate::learn::score_files;
use crate::learn::summary::{aligned, decimals, grouped};
use clap::Args;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Arguments of `parashard evaluate`.
#[derive(Debug, Clone, Args)]
pub(super) struct EvaluateArguments {
    #[command(flatten)]
    score: ScoreArguments,
    /// Also write the figures as one JSON object.
    #[arg(long, env = "PARASHARD_JSON", value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Scores the data and prints the figures.
pub(super) fn run(arguments: &EvaluateArguments) -> Result<u8, Failure> {
    let scoring = arguments.score.open()?;
    let mut scores = Scores::default();
    let bad_lines = score_files(&scoring.files, &scoring.config, &scoring.model, |rows| {
        rows.iter().for_each(|row| scores.add(row.margin, row.label));
        Ok::<(), Failure>(())
    })?;
    let Some(quality) = scores.quality() else {
        return Err(Failure::new(ExitCode::BadInput, "--data: no row in it to evaluate; check the path"));
    };
    let parts = deciles(&scores);
    tell_bad_lines(bad_lines);
    if let Some(path) = &arguments.json {
        let object = json!({
            "model": arguments.score.model_name(),
            "rows": quality.rows,
            "log_loss": quality.log_loss,
            "auc": quality.auc,
            "base_rate": quality.base_rate,
            "calibration": quality.calibration,
            "deciles": parts,
            "bad_lines": bad_lines,
        });
        write_file(path, &format!("{object}\n"))?;
    }
    print(&(figures(&quality) + "\n" + &table(&parts)))
}

fn figures(quality: &Quality) -> String {
    let rows = [
        ("rows", grouped(quality.rows)),
        ("log loss", decimals(Some(quality.log_loss), 5)),
        ("auc", decimals(quality.auc, 5)),
        ("base rate", decimals(Some(quality.base_rate), 5)),
        ("calibration", format!("{} (mean predicted / base rate)", decimals(quality.calibration, 4))),
    ];
    aligned(&rows.map(|(name, value)| (name.to_owned(), value)))
}

/// Rows in ten parts by score, lowest first.
fn table(parts: &[Decile]) -> String {
    let mut table = String::from("part          rows   predicted    observed\n");
    for (index, part) in (1..).zip(parts) {
        let rows = grouped(part.rows);
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{index:>4}  {rows:>12}  {:>10.6}  {:>10.6}", part.mean_predicted, part.base_rate);
    }
    table
}
