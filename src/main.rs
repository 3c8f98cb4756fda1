//! The `parashard` program.
fn main() {}
