//! `parashard data`: make, convert and look at training data.

mod convert;
mod generate;
mod info;

use crate::error::Failure;
use crate::learn::data::Format;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

/// Arguments of `parashard data`.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct DataArguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum DataCommand {
    /// Generate click data like Criteo's, with a planted model whose best possible loss is known.
    Generate(generate::GenerateArguments),
    /// Write data in another format.
    Convert(convert::ConvertArguments),
    /// Tell format, compression, rows and key space of files.
    Info(info::InfoArguments),
}

/// Runs the subcommand.
pub(super) fn run(arguments: &DataArguments) -> Result<u8, Failure> {
    match &arguments.command {
        DataCommand::Generate(generate) => generate::run(generate),
        DataCommand::Convert(convert) => convert::run(convert),
        DataCommand::Info(info) => info::run(info),
    }
}

/// Reads the name of a format.
fn format_name() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["libsvm", "criteo", "vw", "block"]).map(|name| match name.as_str() {
        "libsvm" => Format::Libsvm,
        "criteo" => Format::Criteo,
        "vw" => Format::Vw,
        _ => Format::Block,
    })
}
