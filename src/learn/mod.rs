//! Learning on the parameter server, written on [`crate::client`] alone, as a user would.
//!
//! * `data`      readers, units, minibatches, synthetic data, conversion.
//! * `config`    the learning problem, as the scheduler tells it to workers.
//! * `workload`  the pool of work: passes, then the test.
//! * `worker`    the worker's loop: pull, gradient, push.
//! * `dbpg`      block proximal gradient on rows in memory.
//! * `logistic`  the loss; `metric` and `calibration` what a model is judged by.
//! * `linear_model`, `score`  a finished model, and data sets scored with it.
//! * `progress`, `report`, `summary`, `block_summary`  what has been done, from the workers to the user.

mod block_summary;
pub mod calibration;
pub mod config;
pub mod data;
mod dbpg;
mod error;
mod linear_model;
pub mod logistic;
pub mod metric;
pub mod progress;
pub mod report;
mod score;
mod straggler;
pub mod summary;
mod worker;
mod workload;

pub use dbpg::{BlockProblem, Moved, PassTraffic, Solution};
pub use error::LearnError;
pub use linear_model::{LinearModel, ScoredRow};
pub use score::score_files;
pub use worker::run_worker;
pub use workload::TrainWorkload;
