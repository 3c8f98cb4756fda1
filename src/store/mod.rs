//! Tables: ordered keys with values and update state beside them, in pool memory.
//!
//! * A [`Table`] holds one shard's owned ranges of one table. It belongs to the shard's thread; nothing locks.
//! * Rows lie in *units* of 64 slots (`column`), the same slot in each column: values, update state,
//!   and in sequential tables the sums of the open step (`rows`). State never moves without its value.
//! * An index maps keys to slots (`index`): arithmetic for dense tables, presence bits
//!   where keys fill their space (`bitmap`), ordered keys in chunks elsewhere (`sorted`). An insert
//!   moves no rows under presence bits, and rows of its own chunk under ordered keys.
//! * Everything that can be wrong with a request is found by `check_*`; after that, applying cannot fail.
//! * Sections of the model file are written from the rows in key order (`section`), so the bytes
//!   depend on the model alone, not on how it was cut into shards (`model`).
//!
//! Invariant: a key that was never pushed has no row, reads as zero, and is not made by a pull.

mod bitmap;
mod block;
mod check;
mod chunk;
mod column;
mod compact;
mod directory;
mod element;
mod error;
mod function;
mod index;
mod insert;
mod merge;
mod model;
mod positions;
mod push;
mod record;
mod request;
mod rows;
mod saved;
mod section;
mod sorted;
mod table;
mod typed;
mod update;

pub use error::StoreError;
pub use function::{CallError, CallFunction, CallRun, ExactSum, Functions, Norms, Numbers, RowBlock};
pub use model::{MODEL_VERSION, ModelLayout, ModelMeta, ModelView, Part, PartPlace, Rows, SectionView, TableMeta};
pub use positions::Positions;
pub use request::{first_beyond, strictly_ascending};
pub use section::{ArrayKind, PIECE_BYTES, PartChecksums, PieceSink, SectionInfo};
pub use table::{Table, TableMemory};
pub use update::UpdateStep;

pub use crate::keyspace::KeyRange;

#[cfg(test)]
mod tests;
