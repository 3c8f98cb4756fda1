//! `parashard data generate`

use super::format_name;
use crate::cli::output::print;
use crate::error::{ExitCode, Failure};
use crate::learn::data::{Format, GenerateConfig, GenerateSummary, generate};
use crate::learn::summary::{aligned, grouped};
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `parashard data generate`.
#[derive(Debug, Clone, Args)]
pub(super) struct GenerateArguments {
    /// Rows to write.
    #[arg(long, value_name = "N")]
    rows: u64,
    /// Draws the planted model and the rows.
    #[arg(long, env = "PARASHARD_SEED", value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Bits of keys, in libsvm and blocks.
    #[arg(long, env = "PARASHARD_BITS", value_name = "B", default_value_t = 22, value_parser = crate::cli::bits())]
    bits: u8,
    /// How to write the rows.
    #[arg(long, value_parser = format_name(), default_value = "vw")]
    format: Format,
    /// Where the rows go.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Rows of a test set: the same planted model, other rows.
    #[arg(long, value_name = "N", requires = "test_output")]
    test_rows: Option<u64>,
    /// Where the test set goes.
    #[arg(long, value_name = "FILE", requires = "test_rows")]
    test_output: Option<PathBuf>,
}

/// Writes the rows and prints what is known of them.
pub(in crate::cli) fn run(arguments: &GenerateArguments) -> Result<u8, Failure> {
    if arguments.test_output.as_ref() == Some(&arguments.output) {
        return Err(Failure::new(ExitCode::Usage, "--output and --test-output are the same file; choose two"));
    }
    let write = |rows, stream, path: &Path| {
        let GenerateArguments { seed, bits, format, .. } = *arguments;
        generate(&GenerateConfig { rows, seed, stream, bits, format }, path)
    };
    let mut text = table(&arguments.output, &write(arguments.rows, 0, &arguments.output)?);
    if let (Some(rows), Some(path)) = (arguments.test_rows, &arguments.test_output) {
        text = text + "\n" + &table(path, &write(rows, 1, path)?);
    }
    print(&text)
}

fn table(path: &Path, summary: &GenerateSummary) -> String {
    let rows = [
        ("file", path.display().to_string()),
        ("rows", grouped(summary.rows)),
        ("bytes", grouped(summary.bytes)),
        ("base rate", format!("{:.5}", summary.base_rate)),
        ("bayes log loss", format!("{:.5} (expected {:.5})", summary.bayes_log_loss, summary.bayes_log_loss_expected)),
        ("constant log loss", format!("{:.5} (predicting the base rate)", summary.constant_log_loss)),
    ];
    aligned(&rows.map(|(name, value)| (name.to_owned(), value)))
}
