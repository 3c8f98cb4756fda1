//! A message that is one of many allocates nothing: buffers, queues and lists are used again.
//!
//! The binary has an allocator of its own, which counts. Each test warms a path up and then counts
//! while the same goes on.

mod counter;
mod transport;
