//! Learning on the parameter server, written on [`crate::client`] alone, as a user would.
//!
//! * `data`      readers, units, minibatches, synthetic data, conversion.
//! * `config`    the learning problem, as the scheduler tells it to workers.
//! * `workload`  the pool of work: passes, then the test.
//! * `worker`    the worker's loop: pull, gradient, push.
//! * `logistic`  the loss; `metric` what a model is judged by.
//! * `progress`, `report`, `summary`  what has been done, from the workers to the user.

pub mod config;
pub mod data;
mod error;
pub mod logistic;
pub mod metric;
pub mod progress;
pub mod report;
pub mod summary;
mod worker;
mod workload;

pub use error::LearnError;
pub use worker::run_worker;
pub use workload::TrainWorkload;
