//! The model file, as the scheduler has it written and read.
//!
//! Saving: every shard counts its sections; the scheduler lays the file out, makes a temporary file
//! beside the final place and lets every shard write its part at its offsets; a shard that does not
//! see the file (it does not find the nonce at its start) streams its part through the scheduler
//! instead. At last the header is written, everything is flushed, and one rename makes the model
//! appear. Until then nothing has changed at the final place, and a temporary file is removed
//! whatever happens.
//!
//! Loading goes the other way: each shard reads its part of the file, or is sent it.

mod loader;
mod saver;
mod temporary;

pub use loader::LoadPlan;
pub(super) use loader::Loader;
pub use saver::SavePlan;
pub(super) use saver::Saver;
pub use temporary::{check_target, remove_draft};

/// Bytes of one part of a streamed array, so that it fits a frame.
const STREAM_BYTES: usize = 512 * 1024;
