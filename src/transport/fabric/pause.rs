//! How long a pair's data go by the connection before its next link is set up.
//!
//! The first link is set up at once. After that the pause doubles from one set-up to the next, and is
//! the shortest again when a set-up comes long after the one before: then the link has worked between.

use crate::id::Nanos;
use crate::limit;
use std::time::Duration;

/// The pauses of one pair, kept by the side that has the first word.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// The latest set-up's moment, and the pause before it.
    latest: Option<(Nanos, Duration)>,
}

impl Pauses {
    /// The moment of the next set-up, which is wanted from `now` on.
    pub(super) fn next(&mut self, now: Nanos) -> Nanos {
        let pause = match self.latest {
            None => Duration::ZERO,
            Some((at, _)) if now.since(at) >= limit::LINK_PROVEN => limit::LINK_BACKOFF_MIN,
            Some((_, pause)) => (pause * 2).clamp(limit::LINK_BACKOFF_MIN, limit::LINK_BACKOFF_MAX),
        };
        let at = now.after(pause);
        self.latest = Some((at, pause));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_link_is_set_up_at_once_and_the_next_ones_later_and_later() {
        let mut pauses = Pauses::default();
        let mut now = Nanos(7);
        assert_eq!(pauses.next(now), now);
        let mut expected = limit::LINK_BACKOFF_MIN;
        for _ in 0..20 {
            now = now.after(Duration::from_millis(1));
            let at = pauses.next(now);
            assert_eq!(at.since(now), expected);
            expected = (expected * 2).min(limit::LINK_BACKOFF_MAX);
            now = at;
        }
        assert_eq!(expected, limit::LINK_BACKOFF_MAX);
    }

    #[test]
    fn a_link_that_has_worked_for_a_while_is_soon_set_up_again() {
        let mut pauses = Pauses::default();
        let mut now = Nanos(0);
        for _ in 0..5 {
            now = pauses.next(now);
        }
        let broken = now.after(limit::LINK_PROVEN);
        assert_eq!(pauses.next(broken).since(broken), limit::LINK_BACKOFF_MIN);
        // One that never came to its set-up has not worked.
        assert_eq!(pauses.next(broken).since(broken), limit::LINK_BACKOFF_MIN * 2);
    }
}
