//! The verbs that Parashard calls, under the names of `infiniband/verbs.h`, bound by hand.
//!
//! It stands in for the published `rdma-sys` 0.3, whose extended verbs never work on 64-bit machines and
//! which links libibverbs, so that a program could not start without it. Here nothing is linked: the functions
//! are looked up in `libibverbs.so.1` when [`load`] is called, and what the header has as inline
//! functions goes through the device's operation table, as in C. Until [`load`] has succeeded every
//! call fails as it does on a machine without RDMA, with `ENOSYS`. No `ibv_*` symbol is defined or
//! demanded by what links this crate.

#![allow(non_camel_case_types, reason = "the names are the header's")]

mod call;
mod context;
mod enumeration;
mod inline;
mod load;
mod structure;
mod work_request;

pub use call::*;
pub use context::*;
pub use enumeration::*;
pub use inline::*;
pub use load::{LIBRARY, LoadError, load};
pub use structure::*;
pub use work_request::*;
