//! The driver: one state machine on one transport. The only place where protocol meets transport.

mod driver;
mod time;

pub use driver::Driver;
pub use time::now;
