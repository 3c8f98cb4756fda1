//! Steps that shrink a message. None is built yet: frames travel as they are.
//!
//! A filter will be a small trait with `encode` and `decode`, in a chain per table whose order the
//! code decides: value-changing filters run once per push, before it is cut into slices, and their
//! output is kept until it is acknowledged; lossless ones run at each send. The header's
//! `filter_flags` and `digest`, and the reply `need keys`, are their places on the wire.
