//! Delayed block proximal gradient (Li et al., NIPS 2014, algorithm 3) for logistic regression with
//! the norm `l1 * |w| + l2 / 2 * w^2`, and plain batch proximal gradient.
//!
//! Every worker holds its rows in memory, by rows and by columns. All of them go through the same
//! steps: what decides on the next one is summed over the workers on the servers, so that nobody
//! has to be asked. A pass goes through blocks of features in random order. For each block workers push
//! gradient and curvature, servers sum them and move the weights, and workers pull the weights and
//! mend their margins, at most `delay` blocks later.
//!
//! * `column`    a worker's rows, by rows and by columns.
//! * `margin`    margins and slopes of the rows; `exponential` what they are made of.
//! * `plan`      which features form a block, and the order of blocks.
//! * `exchange`  a step of all workers: push, end the time, pull; sums over workers.
//! * `solver`    weights, objective, optimality, the passes and when they end.
//! * `pass`      one pass over the blocks, with the filter by optimality (KKT).
//! * `subspace`  between passes, a truncated Newton step on the weights that are not zero: features
//!   that occur together (a category and its crosses) make block steps alone slow.
//! * `worker`    the worker's loop: load, solve, test.

mod column;
mod config;
mod exchange;
mod exponential;
mod margin;
mod pass;
mod plan;
mod solver;
mod subspace;
mod worker;

pub use config::{BlockProblem, Moved, PassTraffic, Solution};
pub(super) use worker::run;
