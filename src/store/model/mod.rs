//! The model file: a header, then one section for each run of adjacent key ranges of each table.
//!
//! ```text
//! 0   magic "PSHDMODL"            8 bytes
//! 8   version                     u32
//! 12  bytes of the descriptor     u32
//! 16  number of sections          u32
//! 20  crc32 of the header         u32, over everything else in it
//! 24  file length                 u64
//! 32  descriptor                  postcard: tables, metadata
//! ..  directory                   128 bytes a section: table, flags, range, key count, then
//!                                 offset, bytes and crc32 of keys, values, state and records
//! ..  arrays                      each at a multiple of 64
//! ```
//! Numbers are little-endian. The fourth array is the room for a checkpoint's clock records.
//! The file holds no time, host or job, and nothing about shards: parts that are neighbours share
//! one section, so the same model gives the same bytes however it was cut ([`ModelLayout`]).
//! [`ModelView`] reads a mapped file in place and believes nothing in it.

mod directory;
mod layout;
mod meta;
mod slice;
mod view;

pub use layout::{ModelLayout, Part, PartPlace};
pub use meta::{ModelMeta, TableMeta};
pub use slice::Rows;
pub use view::{ModelView, SectionView};

/// Newest version that this program writes and reads.
pub const MODEL_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
