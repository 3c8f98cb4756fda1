//! The clock of one shard.

use super::window::Window;
use crate::error::{Classify, ExitCode, Severity};
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::{KeyRange, RangeMap};
use crate::limit;
use std::collections::BTreeMap;

/// A name that cannot be recorded; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Too far ahead of what the writer has settled.
    #[error(
        "{writer}: {timestamp} is more than {} ahead of the settled mark {settled}: wait for acknowledgements",
        limit::WINDOW_TIMESTAMPS
    )]
    Window {
        /// Who pushes.
        writer: WriterId,
        /// What it names.
        timestamp: Timestamp,
        /// Everything below is acknowledged everywhere.
        settled: u64,
    },
    /// Too many ranges with records of their own.
    #[error(
        "{writer}: {range} would split the clock into more than {} ranges: wait for acknowledgements",
        limit::CLOCK_RANGES
    )]
    Ranges {
        /// Who pushes.
        writer: WriterId,
        /// What it claims.
        range: KeyRange,
    },
    /// The last number there is, which would leave the floor nowhere to go.
    #[error("{0}: timestamp {max} is reserved", max = u64::MAX)]
    Timestamp(WriterId),
}

impl Classify for ClockError {
    fn severity(&self) -> Severity {
        match self {
            ClockError::Window { .. } | ClockError::Ranges { .. } => Severity::Retryable,
            ClockError::Timestamp(_) => Severity::Fatal,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Limit
    }
}

/// What each writer has pushed to each owned key range.
#[derive(Debug, Clone)]
pub struct RangeClock {
    /// A writer's records before its first push.
    fresh: RangeMap<Window>,
    writers: BTreeMap<WriterId, WriterClock>,
}

#[derive(Debug, Clone)]
struct WriterClock {
    settled: u64,
    finished: Option<Time>,
    windows: RangeMap<Window>,
}

impl RangeClock {
    /// Nothing recorded on `owned`.
    #[must_use]
    pub fn new(owned: &[KeyRange]) -> RangeClock {
        let mut fresh = RangeMap::default();
        owned.iter().for_each(|&range| fresh.insert(range, Window::default()));
        RangeClock { fresh, writers: BTreeMap::new() }
    }

    /// Records the name on all owned parts of `range`; `claimed` are then the parts where it was new, ordered.
    ///
    /// # Errors
    /// When the timestamp is too far ahead of the settled mark, or the clock would get more ranges
    /// than [`limit::CLOCK_RANGES`]; nothing is recorded then.
    pub fn claim(
        &mut self,
        writer: WriterId,
        timestamp: Timestamp,
        range: KeyRange,
        claimed: &mut Vec<KeyRange>,
    ) -> Result<(), ClockError> {
        claimed.clear();
        if timestamp.0 == u64::MAX {
            return Err(ClockError::Timestamp(writer));
        }
        let settled = self.writers.get(&writer).map_or(0, |clock| clock.settled);
        if timestamp.0 >= settled.saturating_add(limit::WINDOW_TIMESTAMPS as u64) {
            return Err(ClockError::Window { writer, timestamp, settled });
        }
        let ranges = self.writers.get(&writer).map_or(self.fresh.len(), |clock| clock.windows.len());
        if ranges + 2 > limit::CLOCK_RANGES.max(self.fresh.len() + 2) {
            return Err(ClockError::Ranges { writer, range });
        }
        self.writer(writer).windows.update(range, |part, window| {
            if window.record(timestamp.0) {
                claimed.push(part);
            }
        });
        join_neighbours(claimed);
        Ok(())
    }

    /// Whether the name is recorded on every owned part of `range`.
    #[must_use]
    pub fn has(&self, writer: WriterId, timestamp: Timestamp, range: KeyRange) -> bool {
        let windows = self.writers.get(&writer).map_or(&self.fresh, |clock| &clock.windows);
        range.is_empty() || windows.overlapping(range).all(|(_, window)| window.has(timestamp.0))
    }

    /// Raises the writer's settled mark; a lower one changes nothing.
    pub fn settle(&mut self, writer: WriterId, settled: Timestamp) {
        let clock = self.writer(writer);
        if settled.0 > clock.settled {
            clock.settled = settled.0;
            clock.windows.update_all(|_, window| window.settle(settled.0));
        }
    }

    /// The writer has finished all times up to and including `time`; an earlier one changes nothing.
    pub fn finish_time(&mut self, writer: WriterId, time: Time) {
        let clock = self.writer(writer);
        clock.finished = clock.finished.max(Some(time));
    }

    /// The last time that the writer has finished.
    #[must_use]
    pub fn finished(&self, writer: WriterId) -> Option<Time> {
        self.writers.get(&writer)?.finished
    }

    /// Ranges with records of their own, of the writer that has most.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.writers.values().map(|clock| clock.windows.len()).max().unwrap_or(self.fresh.len())
    }

    fn writer(&mut self, writer: WriterId) -> &mut WriterClock {
        let fresh = &self.fresh;
        let clock = || WriterClock { settled: 0, finished: None, windows: fresh.clone() };
        self.writers.entry(writer).or_insert_with(clock)
    }
}

/// Joins ranges that follow each other without a gap.
fn join_neighbours(ranges: &mut Vec<KeyRange>) {
    ranges.dedup_by(|next, kept| {
        let joins = kept.end == next.begin;
        if joins {
            kept.end = next.end;
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const W: WriterId = WriterId(3);

    fn claim_parts(
        clock: &mut RangeClock,
        writer: WriterId,
        timestamp: Timestamp,
        range: KeyRange,
    ) -> Result<Vec<KeyRange>, ClockError> {
        let mut parts = vec![KeyRange::ALL];
        clock.claim(writer, timestamp, range, &mut parts).map(|()| parts)
    }

    #[test]
    fn a_name_is_claimed_once_on_each_part() {
        let mut clock = RangeClock::new(&[KeyRange::new(0, 100), KeyRange::new(200, 300)]);
        let claim = |clock: &mut RangeClock, begin, end| {
            claim_parts(clock, W, Timestamp(5), KeyRange::new(begin, end)).unwrap()
        };
        assert_eq!(claim(&mut clock, 20, 40), [KeyRange::new(20, 40)]);
        assert!(!clock.has(W, Timestamp(5), KeyRange::new(0, 40)));
        assert_eq!(claim(&mut clock, 0, 250), [KeyRange::new(0, 20), KeyRange::new(40, 100), KeyRange::new(200, 250)]);
        assert_eq!(claim(&mut clock, 0, 250), []);
        assert!(
            clock.has(W, Timestamp(5), KeyRange::new(0, 240))
                && !clock.has(WriterId(4), Timestamp(5), KeyRange::new(0, 240))
        );
        clock.settle(W, Timestamp(6));
        assert_eq!((clock.range_count(), claim(&mut clock, 250, 300)), (2, vec![]));
    }

    #[test]
    fn a_timestamp_past_the_window_is_refused_until_the_mark_moves() {
        let mut clock = RangeClock::new(&[KeyRange::ALL]);
        let far = Timestamp(limit::WINDOW_TIMESTAMPS as u64);
        assert!(matches!(claim_parts(&mut clock, W, far, KeyRange::ALL), Err(ClockError::Window { settled: 0, .. })));
        clock.settle(W, Timestamp(1));
        assert_eq!(claim_parts(&mut clock, W, far, KeyRange::ALL), Ok(vec![KeyRange::ALL]));
    }

    #[test]
    fn too_many_ranges_are_refused_and_merge_away_when_settled() {
        let mut clock = RangeClock::new(&[KeyRange::ALL]);
        let claim = |clock: &mut RangeClock, place: u64| {
            claim_parts(clock, W, Timestamp(1), KeyRange::new(place * 2, place * 2 + 1))
        };
        let refused = (1..).find(|&place| claim(&mut clock, place).is_err()).unwrap();
        assert!(clock.range_count() <= limit::CLOCK_RANGES && refused as usize > limit::CLOCK_RANGES / 2 - 3);
        clock.settle(W, Timestamp(2));
        assert_eq!(clock.range_count(), 1);
    }

    #[test]
    fn times_never_go_back() {
        let mut clock = RangeClock::new(&[KeyRange::ALL]);
        assert_eq!(clock.finished(W), None);
        clock.finish_time(W, Time(4));
        clock.finish_time(W, Time(2));
        assert_eq!(clock.finished(W), Some(Time(4)));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Claim(u32, u64, u64, u64),
        Settle(u32, u64),
    }

    proptest! {
        #[test]
        fn the_clock_equals_a_set_of_names(steps in prop::collection::vec(prop_oneof![
            5 => (0u32..2, 0u64..12, 0u64..32, 0u64..32).prop_map(|(writer, at, begin, end)| Step::Claim(writer, at, begin, end)),
            1 => (0u32..2, 0u64..14).prop_map(|(writer, at)| Step::Settle(writer, at)),
        ], 0..60)) {
            let owned = [KeyRange::new(0, 12), KeyRange::new(12, 20), KeyRange::new(22, 30)];
            let mut clock = RangeClock::new(&owned);
            let mut names = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Claim(writer, at, begin, end) => {
                        let range = KeyRange::new(begin, end);
                        let claimed = claim_parts(&mut clock, WriterId(writer), Timestamp(at), range).unwrap();
                        for key in 0..32 {
                            let mine = range.contains(key) && owned.iter().any(|own| own.contains(key));
                            let new = mine && names.insert((writer, at, key));
                            prop_assert_eq!(claimed.iter().any(|part| part.contains(key)), new);
                        }
                        prop_assert!(clock.has(WriterId(writer), Timestamp(at), range));
                    }
                    Step::Settle(writer, at) => {
                        clock.settle(WriterId(writer), Timestamp(at));
                        names.extend((0..at).flat_map(|at| (0..32).map(move |key| (writer, at, key))));
                    }
                }
            }
            for writer in 0..2 {
                clock.settle(WriterId(writer), Timestamp(14));
            }
            prop_assert_eq!(clock.range_count(), 2);
        }
    }
}
