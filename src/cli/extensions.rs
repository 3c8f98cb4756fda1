//! What a program that is a `parashard` of its own brings.

use crate::node::{Functions, PullFilters, PushFilters};

/// A program's own functions and filters, by the names that tables and workers use.
#[derive(Debug, Clone, Default)]
pub struct Extensions {
    /// What servers run.
    pub functions: Functions,
    /// What decides on workers which pushed keys are sent.
    pub push_filters: PushFilters,
    /// What decides on servers which pulled values are told.
    pub pull_filters: PullFilters,
}
