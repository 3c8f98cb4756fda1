//! Functions on servers: what a server program registers by name, and what workers call by it.
//!
//! The signatures are plain on purpose: slices and numbers, no type parameters and no borrowed closures, so that
//! each can be said in C as a table of function pointers with a context.
//!
//! A function that panics harms neither its shard nor the table: see [`CallError`] and [`UpdateStep`](super::UpdateStep).
//!
//! * `registry`  the functions by name, the built-in ones among them.
//! * `call`      a function over the rows of a range, block by block, in the order of keys.
//! * `norms`     the built-in function `norms`; `exact_sum` adds for it.
//! * `guard`     stops panics.

mod call;
mod exact_sum;
mod guard;
mod norms;
mod registry;

pub use call::{CallError, CallFunction, CallRun, Numbers, RowBlock};
pub use exact_sum::ExactSum;
pub(super) use guard::guard;
pub use norms::Norms;
pub use registry::Functions;
