//! Data readers and learning algorithms, written on the public client alone, as a user would.

pub mod data;
