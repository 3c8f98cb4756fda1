//! What a benchmark gives: rows, printed as a table and written as JSON, CSV and a drawing.
//!
//! * `table`  the aligned table.
//! * `file`   JSON and CSV.
//! * `plot`   SVG: lines or bars of rows; `chart`  charts that a benchmark puts together itself.

mod chart;
mod file;
mod plot;
mod row;
mod table;

pub(crate) use chart::{Chart, Curve};
pub(crate) use plot::Plot;
pub(crate) use row::Row;

use crate::machine::Machine;
use crate::options::Options;
use anyhow::Result;
use std::io::Write;

/// All rows of one benchmark.
pub(crate) struct Report {
    /// What was measured, and how.
    pub(crate) title: String,
    pub(crate) machine: Machine,
    /// What the table calls the rows' `median`.
    pub(crate) median_name: &'static str,
    /// Fields of the rows that the table shows before the figures.
    pub(crate) before: &'static [&'static str],
    /// Fields of the rows that the table shows after them.
    pub(crate) after: &'static [&'static str],
    pub(crate) plot: Plot,
    pub(crate) rows: Vec<Row>,
    /// What was left out, and why; one line each.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Prints the table and writes the files that are asked for.
    pub(crate) fn publish(&self, options: &Options) -> Result<()> {
        // A reader that is gone does not want the rest.
        let _ = std::io::stdout().write_all(self.to_table(options.runs).as_bytes());
        if let Some(path) = &options.json {
            file::write(path, &self.to_json()?)?;
        }
        if let Some(path) = &options.csv {
            file::write(path, &self.to_csv())?;
        }
        if let Some(path) = &options.svg {
            file::write(path, &self.to_svg()?)?;
        }
        Ok(())
    }
}
