//! `parashard data info`

use crate::cli::options::FormatOption;
use crate::cli::output::print;
use crate::error::Failure;
use crate::learn::data::{BlockFile, Compression, DataFile, Format, ReaderConfig, data_files, key_end};
use crate::learn::summary::{aligned, grouped};
use clap::Args;

/// Arguments of `parashard data info`.
#[derive(Debug, Clone, Args)]
pub(super) struct InfoArguments {
    /// Files, folders or patterns to look at.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
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

/// Prints a line for each file, and the end of the key space of all.
pub(in crate::cli) fn run(arguments: &InfoArguments) -> Result<u8, Failure> {
    let files = data_files(&arguments.paths, arguments.format.format())?;
    let config =
        ReaderConfig { bits: arguments.bits, skip_bad_lines: arguments.skip_bad_lines, ..ReaderConfig::default() };
    let mut rows = Vec::new();
    for file in &files {
        rows.push((file.path.display().to_string(), description(file)?));
    }
    rows.push(("key end".to_owned(), grouped(key_end(&files, &config)?)));
    print(&aligned(&rows))
}

/// Format, packing, size, and the number of rows where it need not be counted.
fn description(file: &DataFile) -> Result<String, Failure> {
    let packing = match file.compression {
        Compression::Plain => "",
        Compression::Gzip => ", gzip",
        Compression::Zstd => ", zstd",
    };
    let rows = match (file.format, file.compression) {
        (Format::Block, _) => {
            let blocks = BlockFile::open(&file.path)?;
            format!(", {} rows, {} features", grouped(blocks.row_count()), grouped(blocks.feature_count()))
        }
        (_, Compression::Plain) => format!(", about {} rows", grouped(file.bytes.div_ceil(file.line_bytes))),
        _ => String::new(),
    };
    Ok(format!("{}{packing}, {} bytes{rows}", file.format, grouped(file.bytes)))
}
