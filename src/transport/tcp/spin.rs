//! When a wait polls instead of sleeping at once.
//!
//! A sleep costs two wake-ups of the system, several times what a round trip of polls costs. But
//! polling pays only while the next message is near, so a wait polls only when the last one came a
//! short while ago: an idle node sleeps, whatever the limit.

use std::time::{Duration, Instant};

/// A message keeps waits polling for this many times the limit.
const WARM_LIMITS: u32 = 20;
/// Of so many looks one asks the poller; the others read from the connection that spoke last.
const LOOKS_PER_POLL: u32 = 8;
/// The same while messages come by another way than a connection, where a look costs next to nothing.
const LOOKS_ELSEWHERE_PER_POLL: u32 = 1024;
/// Looks between two pauses of the core, and between two readings of the clock: both take as long as several
/// looks, and what comes meanwhile waits.
const LOOKS_PER_PAUSE: u32 = 8;
/// The same while messages come by another way, where they take as long as many looks.
const LOOKS_ELSEWHERE_PER_PAUSE: u32 = 64;

/// Where a wait that polls looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nowhere but where the caller looks itself.
    Elsewhere,
    /// At the connection that spoke last, where the next message most likely comes from.
    Talker,
    /// At everything.
    Poller,
}

#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    /// When the first wait after the latest arrival began.
    last_arrival: Option<Instant>,
    /// Whether something has arrived since then. The arrival itself reads no clock.
    has_arrived: bool,
    /// Whether what came last came by another way than a connection.
    is_elsewhere: bool,
    looks: u32,
}

impl Spin {
    pub(super) fn new(limit: Duration) -> Spin {
        Spin { limit, last_arrival: None, has_arrived: false, is_elsewhere: false, looks: 0 }
    }

    /// Something has arrived from a connection.
    pub(super) fn arrived(&mut self) {
        self.note_arrival(false);
    }

    /// Something has arrived by another way.
    pub(super) fn arrived_elsewhere(&mut self) {
        self.note_arrival(true);
    }

    fn note_arrival(&mut self, is_elsewhere: bool) {
        self.is_elsewhere = is_elsewhere;
        self.has_arrived = true;
    }

    /// Whether the poller is to be asked now although a first look has found something. Counted as
    /// [`next_look`](Self::next_look) counts.
    pub(super) fn is_poll_due(&mut self) -> bool {
        self.looks = self.looks.wrapping_add(1);
        self.looks.is_multiple_of(LOOKS_PER_POLL)
    }

    /// How long a wait that begins at `begin` and ends after `timeout` at the latest polls.
    pub(super) fn budget(&mut self, begin: Instant, timeout: Option<Duration>) -> Duration {
        if std::mem::take(&mut self.has_arrived) {
            self.last_arrival = Some(begin);
        }
        let is_warm = self.last_arrival.is_some_and(|at| begin.duration_since(at) < self.limit * WARM_LIMITS);
        if is_warm { timeout.map_or(self.limit, |timeout| timeout.min(self.limit)) } else { Duration::ZERO }
    }

    /// Looks until the clock is to be read again.
    pub(super) fn looks_per_pause(&self) -> u32 {
        if self.is_elsewhere { LOOKS_ELSEWHERE_PER_PAUSE } else { LOOKS_PER_PAUSE }
    }

    /// Where to look next. Counted over all waits, so that nobody who is not the talker is forgotten.
    pub(super) fn next_look(&mut self) -> Look {
        self.looks = self.looks.wrapping_add(1);
        let looks_per_poll = if self.is_elsewhere { LOOKS_ELSEWHERE_PER_POLL } else { LOOKS_PER_POLL };
        if self.looks.is_multiple_of(looks_per_poll) {
            // The message may have to come from a thread that waits for this core.
            std::thread::yield_now();
            return Look::Poller;
        }
        if self.looks.is_multiple_of(self.looks_per_pause()) {
            std::hint::spin_loop();
        }
        if self.is_elsewhere { Look::Elsewhere } else { Look::Talker }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_polls_only_while_messages_are_near() {
        let limit = Duration::from_micros(100);
        let mut spin = Spin::new(limit);
        let now = Instant::now();
        assert_eq!(spin.budget(now, None), Duration::ZERO);
        spin.arrived();
        assert_eq!(spin.budget(now, Some(limit / 2)), limit / 2);
        assert_eq!(spin.budget(now + limit * 2, None), limit);
        assert_eq!(spin.budget(now + limit * 21, None), Duration::ZERO);
    }

    #[test]
    fn waits_that_end_at_their_first_look_come_to_the_poller_as_well() {
        let mut spin = Spin::new(Duration::from_micros(1));
        let polls = (0..LOOKS_PER_POLL * 5).filter(|_| spin.next_look() == Look::Poller).count();
        assert_eq!(polls, 5);
    }

    #[test]
    fn no_limit_is_no_polling() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.arrived();
        assert_eq!(spin.budget(Instant::now(), None), Duration::ZERO);
    }
}
