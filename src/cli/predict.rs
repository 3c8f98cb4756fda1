//! `parashard predict`: the probability of label 1 for each row, one a line, in the order of the rows.

use super::output::{Output, Stop};
use super::score::{ScoreArguments, tell_bad_lines};
use crate::error::Failure;
use crate::learn::{logistic, score_files};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `parashard predict`.
#[derive(Debug, Clone, Args)]
pub(super) struct PredictArguments {
    #[command(flatten)]
    score: ScoreArguments,
    /// Where the probabilities go [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Scores the data and writes the probabilities.
pub(super) fn run(arguments: &PredictArguments) -> Result<u8, Failure> {
    Stop::exit_code(predict(arguments))
}

fn predict(arguments: &PredictArguments) -> Result<(), Stop> {
    let scoring = arguments.score.open()?;
    let mut output = Output::open(arguments.output.as_deref())?;
    let mut text = Vec::new();
    let bad_lines = score_files(&scoring.files, &scoring.config, &scoring.model, |rows| {
        text.clear();
        for row in rows {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "{}", logistic::probability(row.margin));
        }
        output.write(&text)
    })?;
    output.finish()?;
    tell_bad_lines(bad_lines);
    Ok(())
}
