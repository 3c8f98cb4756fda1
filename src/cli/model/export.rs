//! `parashard model export`

use super::number::push_numbers;
use super::{SectionLine, TEXT_VERSION};
use crate::cli::output::{Output, Stop};
use crate::client::ModelFile;
use crate::error::{ExitCode, Failure};
use crate::node::DType;
use crate::store::{ModelView, SectionView};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Text that is collected before it is written.
const PIECE_BYTES: usize = 1 << 16;

/// Arguments of `parashard model export`.
#[derive(Debug, Clone, Args)]
pub(super) struct ExportArguments {
    /// The model file.
    #[arg(value_name = "FILE")]
    model: PathBuf,
    /// Where the text goes [default: standard output].
    #[arg(long, value_name = "TEXT")]
    output: Option<PathBuf>,
}

/// Verifies the model and writes it as text.
pub(in crate::cli) fn run(arguments: &ExportArguments) -> Result<u8, Failure> {
    Stop::exit_code(export(arguments))
}

fn export(arguments: &ExportArguments) -> Result<(), Stop> {
    let file = ModelFile::open(&arguments.model)?;
    let view = file.view()?;
    let mut output = Output::open(arguments.output.as_deref())?;
    output.write(&head(&view)?)?;
    for section in view.sections() {
        export_section(section, view.meta().tables[section.table].dtype, &mut output)?;
    }
    output.finish()
}

fn head(view: &ModelView<'_>) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    push_line("parashard-model", &TEXT_VERSION, &mut text)?;
    push_line("state", &view.sections().iter().any(|section| section.state.is_some()), &mut text)?;
    for pair in &view.meta().metadata {
        push_line("metadata", pair, &mut text)?;
    }
    for table in &view.meta().tables {
        push_line("table", table, &mut text)?;
    }
    Ok(text)
}

fn push_line(name: &str, value: &impl Serialize, text: &mut Vec<u8>) -> Result<(), Failure> {
    let value = serde_json::to_string(value)
        .map_err(|error| Failure::new(ExitCode::BadInput, format!("{name} of the model has no text: {error}")))?;
    // Writing to memory cannot fail.
    let _ = writeln!(text, "# {name} {value}");
    Ok(())
}

fn export_section(section: &SectionView<'_>, dtype: DType, output: &mut Output) -> Result<(), Stop> {
    let (begin, end) = (section.range.begin, section.range.end);
    let line = SectionLine { table: section.table as u32, begin, end };
    let mut text = Vec::with_capacity(2 * PIECE_BYTES);
    push_line("section", &line, &mut text)?;
    let rows = section.keys.len().max(1);
    let value_size = section.values.len() / rows;
    let state_size = section.state.map_or(0, |state| state.len() / rows);
    for (row, key) in section.keys.iter().enumerate() {
        // Writing to memory cannot fail.
        let _ = write!(text, "{key}");
        push_numbers(dtype, &section.values[row * value_size..(row + 1) * value_size], &mut text);
        if let Some(state) = section.state {
            push_numbers(dtype.accumulator(), &state[row * state_size..(row + 1) * state_size], &mut text);
        }
        text.push(b'\n');
        if text.len() >= PIECE_BYTES {
            output.write(&text)?;
            text.clear();
        }
    }
    output.write(&text)
}
