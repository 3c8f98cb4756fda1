//! The sans-io core: worker, server and scheduler as state machines.
//!
//! Nothing here makes a system call, reads a clock, spawns a thread or draws a random number. A
//! [`Machine`] is driven from outside: inputs go in with the time, outputs are taken out, and each
//! call does a bounded amount of work. So the same code runs over tcp and verbs, and inside the
//! simulator from a seed. Payload bytes do not pass through it: buffer handles do, and the store
//! works on a received buffer in place.
//!
//! * `identity`   who this node is; stamps every header.
//! * `membership` a node's side of the control channel: register, heartbeats, the end.
//! * `worker`     slices pushes and pulls, keeps them until they are answered, sends them again.
//! * `server`     checks, recognises duplicates, applies, waits for clocks, answers.
//! * `scheduler`  membership, partition, work units, tasks for servers, the end.
//!
//! Invariants: an operation is named (writer, timestamp, sub-range) and a retry keeps the name; a
//! server applies a name at most once on each key; nothing assumes order between frames; ordered
//! maps only, so that a run repeats from its seed.

mod identity;
mod lru;
mod machine;
mod membership;
pub mod scheduler;
pub mod server;
pub mod worker;

#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use machine::{Input, Machine, Output};
