//! Flags of the subcommands that apply a finished model to data.

use super::options::FormatOption;
use crate::error::Failure;
use crate::learn::LinearModel;
use crate::learn::data::{DataFile, ReaderConfig, data_files};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// A model and data.
#[derive(Debug, Clone, Args)]
pub(super) struct ScoreArguments {
    /// The model, as `parashard train` saved it.
    #[arg(long, env = "PARASHARD_MODEL", value_name = "FILE")]
    model: PathBuf,
    /// Files, folders or patterns to score: libsvm, Criteo TSV, Vowpal Wabbit text or blocks, also .gz and .zst.
    #[arg(long, value_delimiter = ',', num_args = 1.., required = true, value_name = "PATH")]
    data: Vec<String>,
    /// Format of the data.
    #[arg(long, env = "PARASHARD_FORMAT", value_enum, default_value = "auto")]
    format: FormatOption,
    /// Bits of hashed keys, for a model that does not note them [default: the model's].
    #[arg(long, env = "PARASHARD_BITS", value_name = "B", value_parser = super::bits())]
    bits: Option<u8>,
    /// Leave bad lines out instead of stopping at the first.
    #[arg(long, env = "PARASHARD_SKIP_BAD_LINES")]
    skip_bad_lines: bool,
}

/// Both of them, opened.
pub(super) struct Scoring {
    pub(super) model: LinearModel,
    pub(super) files: Arc<[DataFile]>,
    pub(super) config: ReaderConfig,
}

impl ScoreArguments {
    /// Opens model and data.
    pub(super) fn open(&self) -> Result<Scoring, Failure> {
        let model = LinearModel::open(&self.model)?;
        let files = data_files(&self.data, self.format.format())?;
        let config = model.reader_config(&files, self.bits, self.skip_bad_lines)?;
        Ok(Scoring { model, files: files.into(), config })
    }

    /// The model's place, as given.
    pub(super) fn model_name(&self) -> String {
        self.model.display().to_string()
    }
}

/// Says how many lines were left out.
pub(super) fn tell_bad_lines(count: u64) {
    if count > 0 {
        eprintln!("parashard: warning: {count} bad lines were left out");
    }
}
