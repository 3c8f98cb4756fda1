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
    /// Also the end: a pass lowered the objective by at most this share of it.
    pub objective_tolerance: Option<f64>,
    /// Seed of the order of blocks.
    pub seed: u64,
    /// One block with a step that is safe everywhere, and no steps between passes.
    pub batch: bool,
    /// Whether features whose weights stay zero are left out of blocks.
    pub kkt_filter: bool,
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
    /// What the latest pass, and the step before it, moved; of one worker, or of all of them.
    pub traffic: PassTraffic,
}

/// What a pass moved between workers and servers. A feature that two workers have counts twice.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PassTraffic {
    /// Features of the data.
    pub features: u64,
    /// Of these, the ones that the filter lets through after the pass.
    pub features_active: u64,
    /// Gradients and curvatures of blocks.
    pub blocks: Moved,
    /// Gradients of all features, where a pass ends with a look at all of them.
    pub checks: Moved,
    /// The step in the subspace before the pass.
    pub steps: Moved,
    /// From the end of the pass before to the end of this one.
    pub seconds: f64,
}

/// Keys of the data that were pushed, and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moved {
    /// Keys in pushes, once for each push.
    pub features: u64,
    /// Bytes of push frames.
    pub bytes_pushed: u64,
    /// Bytes of questions for values.
    pub bytes_asked: u64,
    /// Bytes of answers.
    pub bytes_pulled: u64,
}

impl PassTraffic {
    /// Of two workers; they run side by side.
    #[must_use]
    pub fn plus(&self, other: PassTraffic) -> PassTraffic {
        PassTraffic {
            features: self.features + other.features,
            features_active: self.features_active + other.features_active,
            blocks: self.blocks.plus(other.blocks),
            checks: self.checks.plus(other.checks),
            steps: self.steps.plus(other.steps),
            seconds: self.seconds.max(other.seconds),
        }
    }

    /// Of whatever kind.
    #[must_use]
    pub fn all(&self) -> Moved {
        self.blocks.plus(self.checks).plus(self.steps)
    }
}

impl Moved {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: Moved) -> Moved {
        Moved {
            features: self.features + other.features,
            bytes_pushed: self.bytes_pushed + other.bytes_pushed,
            bytes_asked: self.bytes_asked + other.bytes_asked,
            bytes_pulled: self.bytes_pulled + other.bytes_pulled,
        }
    }

    /// What was moved since it was `before`.
    #[must_use]
    pub fn since(&self, before: Moved) -> Moved {
        Moved {
            features: self.features - before.features,
            bytes_pushed: self.bytes_pushed - before.bytes_pushed,
            bytes_asked: self.bytes_asked - before.bytes_asked,
            bytes_pulled: self.bytes_pulled - before.bytes_pulled,
        }
    }
}
