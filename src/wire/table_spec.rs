//! What a table is: its shape, its key space, its update function and its consistency.

use super::dtype::DType;
use super::filters::Filters;
use crate::id::TableId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A table as the job declares it; the same on every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Number on the wire: the table's index in the job.
    pub id: TableId,
    /// Name for people and model files.
    pub name: String,
    /// Type of each number.
    pub dtype: DType,
    /// Numbers per key.
    pub width: u16,
    /// Keys are `[0, key_end)`; the partition is scaled to it.
    pub key_end: u64,
    /// With or without a key array.
    pub layout: Layout,
    /// What a push does to the values.
    pub update: UpdateFunction,
    /// Which pushes a pull must see.
    pub consistency: Consistency,
    /// How its messages are made smaller.
    pub filters: Filters,
}

impl TableSpec {
    /// Bytes of one key's value.
    #[must_use]
    pub fn value_size(&self) -> usize {
        self.dtype.bytes() * usize::from(self.width)
    }
}

/// How a table lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Ordered key array; unknown keys are merged in when they are pushed.
    Sparse,
    /// Every key of the range exists from the start; there is no key array.
    Dense,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Sparse => "sparse",
            Layout::Dense => "dense",
        })
    }
}

/// What a server does with an aggregated push. Numbers are per key and element.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum UpdateFunction {
    /// value += push
    Sum,
    /// value = push
    Assign,
    /// FTRL-proximal (McMahan et al., KDD 2013, algorithm 1); push is the gradient, state is (z, n). f32 only.
    Ftrl(Ftrl),
}

impl fmt::Display for UpdateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateFunction::Sum => f.write_str("sum"),
            UpdateFunction::Assign => f.write_str("assign"),
            UpdateFunction::Ftrl(Ftrl { alpha, beta, l1, l2 }) => {
                write!(f, "ftrl with alpha {alpha}, beta {beta}, l1 {l1}, l2 {l2}")
            }
        }
    }
}

/// Parameters of FTRL-proximal, with the paper's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ftrl {
    /// Learning rate.
    pub alpha: f32,
    /// Smooths the learning rate of rare features.
    pub beta: f32,
    /// Strength of the L1 norm, which makes weights exactly zero.
    pub l1: f32,
    /// Strength of the L2 norm.
    pub l2: f32,
}

/// Which pushes a pull must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// All pushes of all writers before the pull's time, and no others (BSP).
    Sequential,
    /// Whatever has arrived (async).
    Eventual,
}
