//! Steps that shrink a message, in a chain per table whose order the code decides.
//!
//! * What changes values runs once per push, before it is cut into slices: a [`PushFilter`] of the user's own
//!   or `kkt`, then `significant` ([`hold_small`]), which both hold keys back; [`Rounding`]
//!   (`fixed_point`, `bf16`); then [`RandomSkip`]. What is held back or cut off is kept by the sender. The
//!   result is kept until it is acknowledged.
//! * What tells of an answer only what the worker does not have runs once per answer, on the shard: a
//!   [`PullFilter`] of the user's own, then `changed` ([`keep_unchanged`]).
//! * What loses nothing runs at each send and may be redone: a [`Chain`] has a half for key blocks
//!   (`pack_keys`, then `snappy`) and one for value blocks (narrow numbers, then `nonzero`, then
//!   `snappy`). Rounded numbers are sent in as many bits as they have, at whatever borders the push
//!   was cut: whether a block fits is found out from its numbers alone, so even `fixed_point` and
//!   `bf16` encode without loss, and a block that was not rounded is sent as it is.
//!
//! Invariants: every step is a function of its input alone. A step whose result is not at least an
//! eighth smaller leaves the block as it is. Decoding checks lengths before it writes, never writes
//! more than [`crate::limit::FRAME_BODY_BYTES`] and a little, and refuses what encoding could not
//! have made where that would change keys or lengths.
//!
//! Buffers: encoding writes into blocks of the caller's pool. Decoding writes once into a block of the
//! caller's pool, or into the caller's memory; between two steps it uses memory of the chain. What was
//! not packed is a view of what came. Nothing is allocated once chain and pool have grown.

mod bf16;
mod chain;
mod changed;
mod error;
mod fixed_point;
mod holding;
mod key_cache;
mod kkt;
mod nonzero;
mod pack_keys;
mod pull_filter;
mod push_filter;
mod random_skip;
mod registry;
mod rounding;
mod scratch;
mod snappy;
#[cfg(test)]
mod tests;
mod unpacked;

pub use chain::{Chain, KeyChain, ValueChain};
pub use changed::{exclusive_or, keep_unchanged, put_back};
pub use error::FilterError;
pub use holding::{add_held, hold_small, hold_smaller_half, part, part_in_place};
pub use key_cache::key_digest;
pub use kkt::Kkt;
pub use pull_filter::PullFilter;
pub use push_filter::PushFilter;
pub use random_skip::RandomSkip;
pub use registry::{FilterRegistry, MakeFilter, MakePullFilter, MakePushFilter, PullFilters, PushFilters};
pub use rounding::Rounding;
pub use unpacked::Unpacked;

use crate::memory::{Block, Pool};
use crate::wire::FilterFlags;
use scratch::Target;
use std::sync::Arc;

/// A lossless step. `Shape` is what sender and receiver both know of the plain block.
trait Filter {
    /// What is known without the block.
    type Shape: Copy;

    /// The bit that says that a block went through.
    fn flag(&self) -> FilterFlags;

    /// The block made smaller; nothing where it is better sent as it is.
    fn encode(&mut self, pool: &Arc<Pool>, shape: Self::Shape, plain: &[u8]) -> Option<Block>;

    /// Writes the plain block and gives its length in bytes.
    fn decode(&mut self, shape: Self::Shape, block: &[u8], plain: Target<'_>) -> Result<usize, FilterError>;
}

/// The numbers that a value block begins with; perhaps more bytes follow.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    count: usize,
    bytes_each: usize,
}

impl Numbers {
    fn bytes(self) -> usize {
        self.count * self.bytes_each
    }
}

/// Whether a block of `after` bytes is worth the work of decoding it.
fn is_worth(after: usize, before: usize) -> bool {
    after < before - before / 8
}
