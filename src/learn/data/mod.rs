//! Training data: from files to minibatches.
//!
//! Paths, folders and patterns become an ordered list of [`DataFile`]s ([`data_files`]); a
//! [`UnitPlan`] cuts them into work units that depend on the data and flags alone; a [`UnitReader`]
//! reads one unit after the other into [`RowBatch`]es, by one [`RowParser`] a text format or from
//! binary blocks; a [`Localizer`] turns keys into the minibatch's ordered distinct keys and places
//! among them; [`ReadAhead`] does all that on a thread beside the learner. [`convert`] goes from
//! format to format, [`generate()`] makes data with a known best loss.
//!
//! Invariants: every line of every file belongs to exactly one unit, however the files are cut;
//! memory does not grow with the files; a bad line is named by file, line and reason, and its
//! line number is counted only then. Batches are reused: who has consumed one gives it back.

mod batch;
mod block;
mod convert;
mod criteo;
mod cut;
mod error;
mod file;
mod format;
mod generate;
mod libsvm;
mod lines;
mod localize;
mod output;
mod parser;
mod read_ahead;
mod reader;
mod scan;
mod swar;
mod unit;
mod vw;

pub use batch::{LocalBatch, RowBatch};
pub use block::{BlockFile, BlockSummary, BlockWriter};
pub use convert::{ConvertSummary, convert};
pub use error::{BadLine, DataError};
pub use file::{DataFile, data_files};
pub use format::{Compression, Format, detect};
pub use generate::{GenerateConfig, GenerateSummary, generate};
pub use localize::Localizer;
pub use output::AtomicFile;
pub use parser::RowParser;
pub use read_ahead::{ReadAhead, UnitBatch};
pub use reader::{UnitProgress, UnitReader};
pub use scan::{closed_units, key_end};
pub use unit::{BlockPlace, UnitCursor, UnitPlan, UnitSource};

use serde::{Deserialize, Serialize};

/// Most bits of a hashed key.
pub const BITS_MAX: u8 = 62;

/// What readers do with keys outside the key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Beyond {
    /// A bad line, or a bad block file.
    #[default]
    Refuse,
    /// The feature is left out: for test data, whose unseen features have no weight anyway.
    Drop,
}

/// How readers read; the same on all workers of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderConfig {
    /// Bits of hashed keys, at most [`BITS_MAX`].
    pub bits: u8,
    /// Keys lie below this; none when it is not known yet.
    pub key_end: Option<u64>,
    /// What to do with keys that do not.
    pub beyond: Beyond,
    /// Count bad lines instead of stopping at the first.
    pub skip_bad_lines: bool,
}

impl Default for ReaderConfig {
    fn default() -> ReaderConfig {
        ReaderConfig { bits: 22, key_end: None, beyond: Beyond::Refuse, skip_bad_lines: false }
    }
}

#[cfg(test)]
mod tests;
