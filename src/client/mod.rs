//! What a worker program calls.
//!
//! ```no_run
//! # fn main() -> Result<(), parashard::client::ClientError> {
//! # let config: parashard::client::NodeConfig = todo!();
//! use parashard::client::{Cluster, KeyList};
//!
//! let cluster = Cluster::connect(&config, 0)?;
//! let weights = cluster.table::<f32>("weights")?;
//! let keys = KeyList::new(vec![3, 14, 159])?;
//! let values = weights.pull(&keys)?.wait()?;
//! let gradient: Vec<f32> = values.iter().map(|w| 0.1 * w).collect();
//! weights.push(&keys, gradient)?.wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! Push and pull return at once with a [`Pending`] that can be waited for; a dropped one leaves its
//! buffer with the driver, which delivers a push all the same. Progress is made on the caller's
//! thread inside these calls; while no caller is inside, a background thread takes over, so that
//! heartbeats and answers do not depend on the program's next call.
//!
//! Memory of the program's own, which answers land in and pushes are sent from without a copy where the
//! fabric can do so, is given away by [`Cluster::register`] or lent for the time of a [`Cluster::scope`]:
//!
//! ```no_run
//! # fn train(cluster: &parashard::client::Cluster) -> Result<(), parashard::client::ClientError> {
//! use parashard::keyspace::KeyRange;
//!
//! let weights = cluster.table::<f32>("weights")?;
//! let (range, mut memory) = (KeyRange::new(0, 1000), cluster.register(vec![0.0f32; 1000]));
//! for _ in 0..10 {
//!     memory = weights.pull_range_into(range, memory)?.wait()?;
//!     memory.iter_mut().for_each(|weight| *weight *= -0.1);
//!     memory = weights.push_range_from(range, memory)?.wait()?;
//! }
//! let numbers: Vec<f32> = cluster.unregister(memory)?;
//! # drop(numbers);
//! # Ok(())
//! # }
//! ```
//!
//! A finished model needs no cluster: [`Model`] opens its file.

mod callback;
mod cluster;
mod engine;
mod error;
mod key_list;
mod model;
mod pending;
mod registered;
mod scope;
mod step;
mod table;
mod values;

pub use cluster::Cluster;
pub use engine::Statistics;
pub use error::ClientError;
pub use key_list::KeyList;
pub use model::{Model, ModelFile};
pub use pending::{Answers, Outcome, Pending, Pushed};
pub use registered::Registered;
pub use scope::{Landed, Scope};
pub use step::Step;
pub use table::Table;
pub use values::{Number, Source, Values};

pub use crate::memory::Lent;
pub use crate::node::{
    CallFunction, CallRun, DelayPolicy, ExactSum, Functions, Kkt, LinkCounts, MakePushFilter, NoWork, NodeConfig,
    Norms, Numbers, Offer, PushFilter, PushFilters, RowBlock, TableSpec, UpdateStep, Workload,
};
pub use crate::wire::{Bf16, Consistency, GivenBack, Shutdown, Unit};
