//! `parashard model`: look at model files, and write them as text and back.
//!
//! The text begins with lines `# name value`, whose values are JSON: `parashard-model` (version of the
//! text), `state`, a `table` for each table, `metadata` pairs. Then each section follows: a line
//! `# section …`, and a line a key: the key, its values, its state, with tabs between. Numbers are
//! written in the shortest form that reads back to the same bits, so a model that goes to text and
//! back is the same file, byte by byte.

mod export;
mod import;
mod info;
mod number;

use crate::error::Failure;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

/// Version of the text.
const TEXT_VERSION: u32 = 1;

/// Arguments of `parashard model`.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct ModelArguments {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ModelCommand {
    /// Verify a model file and tell what is in it.
    Info(info::InfoArguments),
    /// Write a model as text.
    Export(export::ExportArguments),
    /// Make a model file of text.
    Import(import::ImportArguments),
}

/// Runs the subcommand.
pub(super) fn run(arguments: &ModelArguments) -> Result<u8, Failure> {
    match &arguments.command {
        ModelCommand::Info(info) => info::run(info),
        ModelCommand::Export(export) => export::run(export),
        ModelCommand::Import(import) => import::run(import),
    }
}

/// The value of a line `# section`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionLine {
    /// Index of the table.
    table: u32,
    /// First key of the range.
    begin: u64,
    /// One past the last key.
    end: u64,
}
