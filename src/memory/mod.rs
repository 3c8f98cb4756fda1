//! Buffers with an owner: slabs of aligned memory in huge pages where the kernel allows them, and
//! the types that say who may touch which bytes when.
//!
//! * [`Pool`] hands out [`Block`]s in power-of-two classes cut from slabs and takes them back on drop.
//!   A slab that it mapped is never returned to the system while the pool lives, so a fabric may register it once.
//! * A [`Block`] has one owner and may be written. `freeze` turns it into a [`TxBuf`].
//! * A [`TxBuf`] is a read-only, counted view. Whoever still needs the bytes (the protocol until the
//!   acknowledgement, a transport until its completion) holds a clone; the memory returns to its
//!   pool with the last one. So the source of a send cannot change while the send is under way.
//! * An [`RxBuf`] is what a transport received: one owner, read through views, given back on drop.
//! * An [`Array`] is a growable array of plain numbers in pool memory, for the store's chunks.
//! * A [`LandingBlock`] is memory that a peer's adapter may write while we hold it; nobody has a
//!   reference to its bytes until the last [`Landing`] that was given away is back.
//! * [`Pool::adopt`] and [`Pool::lend`] make slabs of a program's own memory.
//! * [`SharedBytes`] are bytes that others may change at any moment: they are copied out, never borrowed.
//! * [`copy_counted`] is the only way to copy payload between the network and the store.
//! * A [`MappedFile`] is a file as read-only memory.
//!
//! Invariant: a byte is either owned by exactly one `Block`, `Array` or `RxBuf`, or immutable behind
//! `TxBuf`s, or without any reference in a `LandingBlock`, or free in its pool. All start addresses are aligned to
//! [`ALIGNMENT`], but those of adopted memory.

mod adopted;
mod array;
mod buffer;
mod copied;
mod counted;
mod landing;
mod lent;
mod mapped;
pub mod numa;
mod pinned;
mod pool;
mod shared_bytes;
mod slab;

pub use adopted::SlabHold;
pub use array::Array;
pub use buffer::{Block, RxBuf, TxBuf};
pub use copied::{copy_counted, count_gathered, keep_counted, move_counted, take_copied_bytes, take_gathered_bytes};
pub use landing::{Landing, LandingBlock};
pub use lent::{LendScope, Lent};
pub use mapped::MappedFile;
pub use pool::{Pool, PoolUsage, SlabInfo};
pub use shared_bytes::SharedBytes;
pub use slab::{HugePages, PoolConfig};

/// Alignment of every buffer, in bytes: a cache line, and the widest vector register.
pub const ALIGNMENT: usize = 64;
