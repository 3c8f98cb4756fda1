//! A message that is one of many allocates nothing: buffers, queues and lists are used again. Its
//! payload is not copied but by the kernel and by the work itself, and it is answered at once.
//!
//! The binary has an allocator of its own, which counts. Each test warms a path up and then counts
//! while the same goes on.

mod answer;
mod copies;
mod counter;
mod job;
mod landing;
mod pair;
mod path;
mod transport;
