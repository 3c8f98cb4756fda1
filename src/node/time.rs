//! The only clock: monotonic nanoseconds since the process asked first.

use crate::id::Nanos;
use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Now, as the sans-io core and the transports want it.
#[must_use]
pub fn now() -> Nanos {
    let elapsed = START.get_or_init(Instant::now).elapsed();
    Nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}
