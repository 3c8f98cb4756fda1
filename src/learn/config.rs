//! What the scheduler tells every worker of the learning problem.

use super::data::{DataFile, ReaderConfig, UnitSource};
use super::dbpg::BlockProblem;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Name of the table that holds the weights.
pub const WEIGHTS: &str = "weights";

/// The learning problem, as it travels in the job's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Files to train on.
    pub train_files: Vec<DataFile>,
    /// Files to test on.
    pub test_files: Vec<DataFile>,
    /// How to read the training files.
    pub train_reader: ReaderConfig,
    /// How to read the test files.
    pub test_reader: ReaderConfig,
    /// Rows of one minibatch once training has warmed up.
    pub minibatch: u32,
    /// Whether the first minibatches are small and grow.
    pub warm_up: bool,
    /// Key of the feature that every row has; none without a bias.
    pub bias_key: Option<u64>,
    /// Whether workers tell their figures also between the ends of units.
    pub reports_figures: bool,
    /// Microseconds of sleep for each example in place of a heavier computation: of all workers, or of each by its
    /// rank; none without any.
    pub simulate_compute_us: Vec<u32>,
    /// Block proximal gradient instead of minibatches.
    pub block: Option<BlockProblem>,
}

impl Problem {
    /// How long a worker sleeps for an example.
    #[must_use]
    pub fn simulated_compute(&self, rank: u32) -> Duration {
        let times = &self.simulate_compute_us;
        let time_us = times.get(rank as usize).or(times.first().filter(|_| times.len() == 1));
        Duration::from_micros(time_us.copied().unwrap_or(0).into())
    }
}

/// One piece of work, as it travels in a unit's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkItem {
    /// Learn from these rows.
    Train {
        /// Which pass over the data, from 0.
        pass: u32,
        /// The rows.
        source: UnitSource,
    },
    /// All rows are read: find the weights that fit them, together with the other workers.
    Solve,
    /// No rows to learn from are left for this worker: say so to the servers.
    EndTraining,
    /// Score these rows with the model as it is.
    Test {
        /// The rows.
        source: UnitSource,
    },
}

/// Rows of the first minibatch.
const WARM_UP_ROWS_MIN: u64 = 1;
/// A minibatch grows by one row for this many rows before it.
const WARM_UP_ROWS_PER_ROW: u64 = 64;

/// Rows of a writer's next minibatch when it warms up and has learnt from `rows_before`. The first steps of FTRL
/// are as long as `alpha` whatever the gradient, on every feature at once; small minibatches at
/// first keep their sum from overshooting while several are under way.
#[must_use]
pub fn minibatch_rows(rows_before: u64, minibatch: u32) -> usize {
    let rows = (rows_before / WARM_UP_ROWS_PER_ROW).max(WARM_UP_ROWS_MIN);
    usize::try_from(rows.min(u64::from(minibatch.max(1)))).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minibatches_grow_from_one_row_to_their_full_size() {
        let (mut rows, mut sizes) = (0, Vec::new());
        while sizes.last() != Some(&256) {
            let size = minibatch_rows(rows, 256);
            rows += size as u64;
            sizes.push(size);
        }
        assert_eq!(sizes[0], 1);
        assert!(sizes.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(minibatch_rows(u64::MAX, 256), 256);
    }
}
