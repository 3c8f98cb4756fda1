//! What was applied: for each writer and key range a floor and the timestamps above it, as RIFL keeps them.
//!
//! * A push is named by writer and timestamp. On the parts of its range where that name is not yet
//!   recorded it may be applied; recording is part of asking, so nothing is applied twice.
//! * Everything below a writer's *settled* mark is acknowledged everywhere; its records collapse
//!   into the floor. Above it at most [`crate::limit::WINDOW_TIMESTAMPS`] may be in flight.
//! * A push on a part of a range splits that range's record; equal neighbours merge again, so the
//!   steady state is one record a writer and owned range.
//!
//! Invariants: a recorded name stays recorded; floors and times never go back.

mod range_clock;
mod window;

pub use range_clock::{ClockError, RangeClock};
