//! The C ABI of Parashard.
