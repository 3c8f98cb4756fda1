//! What can be wrong with a table, a request to it, or a model file.

use crate::error::{Classify, ExitCode, Severity};
use crate::keyspace::KeyRange;
use crate::wire::FiltersError;

/// A request that is refused before anything is applied, or bytes that are no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// An update function that does not go with the dtype, or with parameters out of range.
    #[error("table `{table}`: {reason}")]
    Declaration {
        /// The table.
        table: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A function that cannot be registered.
    #[error("function `{name}`: {reason}")]
    Function {
        /// The function.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The update function of the user has panicked.
    #[error(
        "table `{table}`: update function `{function}` panicked: {words}; the rows that it was given then are as they were"
    )]
    Panicked {
        /// The table.
        table: String,
        /// The function.
        function: String,
        /// What it said.
        words: String,
    },
    /// Filters that do not go with the table.
    #[error(transparent)]
    Filters(#[from] FiltersError),
    /// Keys must be strictly ascending.
    #[error(
        "table `{table}`: key {key} at index {index} is not greater than the one before it: sort and merge the keys"
    )]
    Unordered {
        /// The table.
        table: String,
        /// The key that breaks the order.
        key: u64,
        /// Its index.
        index: usize,
    },
    /// A key outside the frame's range.
    #[error("table `{table}`: key {key} lies outside the request's range {range}")]
    OutOfRange {
        /// The table.
        table: String,
        /// The key.
        key: u64,
        /// The request's range.
        range: KeyRange,
    },
    /// A range with keys that this shard does not own.
    #[error("table `{table}`: range {range} is not owned by this shard: slice by the current partition")]
    NotOwned {
        /// The table.
        table: String,
        /// The range.
        range: KeyRange,
    },
    /// Value bytes that do not match the keys.
    #[error("table `{table}`: {found} bytes of values, expected {expected}")]
    ValueBytes {
        /// The table.
        table: String,
        /// What came.
        found: usize,
        /// Keys times width times dtype.
        expected: u64,
    },
    /// A NaN or an infinity among the values.
    #[error("table `{table}`: number {index} of the values is NaN or infinite: nothing was applied")]
    NotFinite {
        /// The table.
        table: String,
        /// Index of the first such number.
        index: usize,
    },
    /// A number that could make a value or the update function's state infinite.
    #[error("table `{table}`: a pushed number exceeds {limit:e}: nothing was applied; does the learning diverge?")]
    TooLarge {
        /// The table.
        table: String,
        /// Largest that is accepted.
        limit: f64,
    },
    /// A sparse table was asked for a range without keys.
    #[error("table `{table}` is sparse: name the keys")]
    KeysMissing {
        /// The table.
        table: String,
    },
    /// Bytes that are no model file.
    #[error("not a model file: {0}")]
    NotAModel(&'static str),
    /// A file of a later release.
    #[error("model file version {found} is newer than this program (reads up to {supported})")]
    Version {
        /// The file's.
        found: u32,
        /// The newest that can be read.
        supported: u32,
    },
    /// A model file that was damaged or cut.
    #[error("damaged model file: {0}")]
    Damaged(String),
}

impl Classify for StoreError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            StoreError::Declaration { .. } | StoreError::Function { .. } | StoreError::Filters(_) => ExitCode::Usage,
            _ => ExitCode::BadInput,
        }
    }
}
