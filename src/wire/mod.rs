//! What travels: a fixed header of 128 bytes, then a body of dependencies, key block and value
//! block. Decoding borrows; nothing is copied but the header.
//!
//! * [`Header`] is the same for every frame on every fabric; its fields and their places are fixed.
//! * A [`TxFrame`] is a header and counted buffers, the values in one or several [`Pieces`], sent by one
//!   vectored write.
//! * An [`RxFrame`] is a header that was copied out and checked against its limits, and one buffer
//!   with the body. [`RxFrame::body`] gives the parts as views.
//! * [`ControlMessage`]s are the small, rare messages; they travel in the value block.
//!
//! Invariant: an `RxFrame` exists only for bytes whose magic, version, lengths and checksum are
//! right. What they mean is checked by `protocol`.

mod bf16;
mod call_body;
mod control;
mod dependency;
mod dtype;
mod error;
mod filter_flags;
mod filters;
mod frame;
mod header;
mod own_filter;
mod pieces;
mod raw_header;
mod resume;
mod table_spec;
mod user_update;

pub use bf16::Bf16;
pub use call_body::CallBody;
pub use control::{
    Assignment, ControlMessage, GivenBack, JobConfig, ModelRows, NodeInfo, SaveTask, SectionInfo, Shutdown, Task,
    TaskReply, Unit, WriterChange,
};
pub use dependency::{Dependencies, Dependency};
pub use dtype::DType;
pub use error::WireError;
pub use filter_flags::FilterFlags;
pub use filters::{Filters, FiltersError, FixedPointBits, Quantize};
pub use frame::{Body, RxFrame, Target, TxFrame};
pub use header::{Flags, Header, Kind, Status};
pub use own_filter::OwnFilter;
pub use pieces::Pieces;
pub use raw_header::{HEADER_BYTES, MAGIC, PROTOCOL_VERSION, RawHeader};
pub use resume::{ResumePoint, TableResume};
pub use table_spec::{Adagrad, Adam, BlockProx, Consistency, Ftrl, Layout, Prox, Sgd, TableSpec, UpdateFunction};
pub use user_update::{FunctionName, USER_PARAMETERS, UserUpdate};
