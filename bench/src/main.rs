//! Microbenchmarks of Parashard.
fn main() {}
