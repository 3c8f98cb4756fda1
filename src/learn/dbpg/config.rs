//! What workers are told of the problem, and what they tell of its solution.

use serde::{Deserialize, Serialize};

/// What belongs to block proximal gradient alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BlockProblem {
    /// Strength of the L1 norm.
    pub l1: f64,
    /// Strength of the squared L2 norm.
    pub l2: f64,
    /// Block iterations that a worker may be ahead of the weights it has.
    pub delay: u32,
    /// Most passes.
    pub passes_max: u32,
    /// The end: no weight violates its optimality condition by more than this share of `l1` (of 1 without
    /// an L1 norm), and a pass changed the objective by less than this share of a hundredth.
    pub tolerance: f64,
    /// Seed of the order of blocks.
    pub seed: u64,
    /// One block with a step that is safe everywhere, and no steps between passes.
    pub batch: bool,
    /// Keys of the data are below this; the keys from here on hold sums of workers.
    pub data_end: u64,
}

/// Keys behind the data's that each worker has for its sums.
pub(super) const TOTALS: usize = 8;

impl BlockProblem {
    /// Keys that the table needs with so many workers.
    #[must_use]
    pub fn key_end(data_end: u64, workers: u32) -> u64 {
        data_end + TOTALS as u64 * u64::from(workers)
    }
}

/// Where the solver stands.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Solution {
    /// Passes so far.
    pub passes: u32,
    /// Sum of log losses and norms, over all workers.
    pub objective: f64,
    /// Largest violation of a weight's optimality condition; of the last pass while it goes on.
    pub kkt_violation: f64,
    /// Weights that are not zero.
    pub nonzero_weights: u64,
}
