//! `parashard data convert`

use super::format_name;
use crate::cli::options::FormatOption;
use crate::cli::output::print;
use crate::cli::score::tell_bad_lines;
use crate::error::{ExitCode, Failure};
use crate::learn::data::{Format, ReaderConfig, convert, data_files};
use crate::learn::summary::{aligned, grouped};
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `parashard data convert`.
#[derive(Debug, Clone, Args)]
pub(super) struct ConvertArguments {
    /// Files, folders or patterns to convert, in this order.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Where the rows go.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Format to write [default: by the output's extension, .psb, .vw, .svm or .libsvm].
    #[arg(long, value_parser = format_name())]
    to: Option<Format>,
    /// Format of the data.
    #[arg(long, env = "PARASHARD_FORMAT", value_enum, default_value = "auto")]
    format: FormatOption,
    /// Bits of hashed keys.
    #[arg(long, env = "PARASHARD_BITS", value_name = "B", default_value_t = 22, value_parser = crate::cli::bits())]
    bits: u8,
    /// Leave bad lines out instead of stopping at the first.
    #[arg(long, env = "PARASHARD_SKIP_BAD_LINES")]
    skip_bad_lines: bool,
}

/// Converts and prints what was written.
pub(in crate::cli) fn run(arguments: &ConvertArguments) -> Result<u8, Failure> {
    let target = match arguments.to.or_else(|| format_by_extension(&arguments.output)) {
        Some(target) => target,
        None => {
            let name = arguments.output.display();
            let reason = format!("--output {name}: its extension names no format; give --to libsvm, vw or block");
            return Err(Failure::new(ExitCode::Usage, reason));
        }
    };
    let files = data_files(&arguments.paths, arguments.format.format())?;
    let config =
        ReaderConfig { bits: arguments.bits, skip_bad_lines: arguments.skip_bad_lines, ..ReaderConfig::default() };
    let summary = convert(&files, &config, target, &arguments.output)?;
    tell_bad_lines(summary.bad_lines);
    let rows = [
        ("file", format!("{} ({target})", arguments.output.display())),
        ("rows", grouped(summary.rows)),
        ("features", grouped(summary.features)),
        ("key end", grouped(summary.key_end)),
        ("bytes", grouped(summary.bytes)),
    ];
    print(&aligned(&rows.map(|(name, value)| (name.to_owned(), value))))
}

fn format_by_extension(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "psb" => Some(Format::Block),
        "vw" => Some(Format::Vw),
        "svm" | "libsvm" => Some(Format::Libsvm),
        "tsv" => Some(Format::Criteo),
        _ => None,
    }
}
