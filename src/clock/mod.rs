//! What was applied, and how far writers are: for each writer and key range a floor and the timestamps
//! above it, as RIFL keeps them, and the first time that the writer has not ended.
//!
//! * A push is named by writer and timestamp. On the parts of its range where that name is not yet
//!   recorded it may be applied; recording is part of asking, so nothing is applied twice.
//! * Everything below a writer's *settled* mark is acknowledged everywhere; its records collapse
//!   into the floor. Above it at most [`crate::limit::WINDOW_TIMESTAMPS`] may be in flight.
//! * A push on a part of a range splits that range's record; equal neighbours merge again, so the
//!   steady state is one record a writer and owned range: memory in proportion to writers times ranges.
//!   Pushes under way may cut at most [`crate::limit::CLOCK_RANGES`] out of them. Every record is counted in
//!   bytes, within [`crate::limit::SHARD_CLOCK_BYTES`]; `bench clock` measures both costs.
//! * A time is ended when the writer's mark is there and as many of its slices were recorded as the
//!   mark says. A writer that has ended its last time is retired: its records collapse into one mark.
//!   One that the scheduler has declared gone is not waited for, but its records stay, for another may
//!   do its work again under its names.
//!
//! `window` is the set of timestamps of one range, `ending` the times of one writer, `range_clock` both
//! by range and writer.
//!
//! Invariants: a recorded name stays recorded; floors never go back, and neither do times, except those
//! of a writer that had left and joins again.

mod ending;
mod error;
mod range_clock;
mod window;

pub use error::ClockError;
pub use range_clock::RangeClock;
