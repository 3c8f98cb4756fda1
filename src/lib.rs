//! Parashard.

pub mod cli;
pub mod client;
pub mod clock;
pub mod error;
pub mod filter;
pub mod id;
pub mod keyspace;
pub mod launch;
pub mod learn;
pub mod limit;
pub mod memory;
pub mod node;
pub mod protocol;
pub mod simd;
pub mod store;
pub mod transport;
pub mod wire;
