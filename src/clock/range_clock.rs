//! The clock of one table in one shard.

use super::ending::Ending;
use super::error::ClockError;
use super::window::Window;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::{KeyRange, RangeMap};
use crate::limit;
use std::collections::BTreeMap;

/// What each writer has pushed to each owned key range, and which times it has ended there.
#[derive(Debug, Clone)]
pub struct RangeClock {
    writer_count: u32,
    /// A writer's records before its first push.
    fresh: RangeMap<Window>,
    fresh_times: RangeMap<Time>,
    writers: BTreeMap<WriterId, WriterClock>,
    /// Every writer has ended all times before, everywhere.
    ended: Time,
    /// Ranges that pushes have cut out of the owned ones, over all writers.
    cut_count: usize,
}

#[derive(Debug, Clone)]
struct WriterClock {
    settled: u64,
    ending: Ending,
    /// Nothing where the writer is retired: all below its settled mark is recorded.
    windows: Option<RangeMap<Window>>,
    /// The first time that the writer has not ended, by range.
    times: RangeMap<Time>,
    /// The latest of them.
    open: Time,
}

impl WriterClock {
    fn has(&self, timestamp: u64, range: KeyRange) -> bool {
        match &self.windows {
            Some(windows) => windows.overlapping(range).all(|(_, window)| window.has(timestamp)),
            None => timestamp < self.settled,
        }
    }

    fn window_count(&self) -> usize {
        self.windows.as_ref().map_or(0, RangeMap::len)
    }
}

impl RangeClock {
    /// Nothing recorded on `owned`, where this many writers are waited for.
    #[must_use]
    pub fn new(owned: &[KeyRange], writer_count: u32) -> RangeClock {
        let (mut fresh, mut fresh_times) = (RangeMap::default(), RangeMap::default());
        owned.iter().for_each(|&range| fresh.insert(range, Window::default()));
        owned.iter().for_each(|&range| fresh_times.insert(range, Time(0)));
        RangeClock { writer_count, fresh, fresh_times, writers: BTreeMap::new(), ended: Time(0), cut_count: 0 }
    }

    /// Records the name of a slice of `time` on all owned parts of `range`; `claimed` are then the parts
    /// where it was new, ordered. The slice counts for its time if there are any.
    ///
    /// # Errors
    /// When the timestamp or time is too far ahead, or pushes under way have cut too many ranges out of
    /// the clock ([`limit::CLOCK_RANGES`]); nothing is recorded then.
    pub fn claim(
        &mut self,
        writer: WriterId,
        timestamp: Timestamp,
        time: Time,
        range: KeyRange,
        claimed: &mut Vec<KeyRange>,
    ) -> Result<(), ClockError> {
        self.check_time(writer, time)?;
        self.record(writer, timestamp, range, claimed)?;
        if !claimed.is_empty() {
            self.change_ending(writer, |ending| ending.count(time));
        }
        Ok(())
    }

    /// As [`claim`](Self::claim), of an operation that is no slice of a time.
    ///
    /// # Errors
    /// As [`claim`](Self::claim), but for the time.
    pub fn record(
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
        let has_room = self.cut_count + 2 <= limit::CLOCK_RANGES;
        let clock = self.writer(writer);
        let settled = clock.settled;
        if timestamp.0 >= settled.saturating_add(limit::WINDOW_TIMESTAMPS as u64) {
            return Err(ClockError::Window { writer, timestamp, settled });
        }
        if !has_room && timestamp.0 > settled {
            return Err(ClockError::Ranges { writer, range });
        }
        if clock.windows.is_none() && timestamp.0 < settled {
            return Ok(());
        }
        self.change_windows(writer, |windows| {
            windows.update(range, |part, window| {
                if window.record(timestamp.0) {
                    claimed.push(part);
                }
            });
        });
        join_neighbours(claimed);
        Ok(())
    }

    /// Whether the name is recorded on every owned part of `range`.
    #[must_use]
    pub fn has(&self, writer: WriterId, timestamp: Timestamp, range: KeyRange) -> bool {
        range.is_empty()
            || match self.writers.get(&writer) {
                Some(clock) => clock.has(timestamp.0, range),
                None => self.fresh.overlapping(range).next().is_none(),
            }
    }

    /// Raises the writer's settled mark; a lower one changes nothing.
    pub fn settle(&mut self, writer: WriterId, settled: Timestamp) {
        let clock = self.writer(writer);
        if settled.0 <= clock.settled {
            return;
        }
        clock.settled = settled.0;
        if clock.windows.is_some() {
            self.change_windows(writer, |windows| windows.update_all(|_, window| window.settle(settled.0)));
        }
    }

    /// The writer has ended `time`, of which this many slices are for this shard; with `is_last` it
    /// pushes nothing afterwards. Hearing it again changes nothing.
    ///
    /// # Errors
    /// When the time is too far ahead.
    pub fn end_time(
        &mut self,
        writer: WriterId,
        mark: Timestamp,
        time: Time,
        slice_count: u32,
        is_last: bool,
    ) -> Result<(), ClockError> {
        self.check_time(writer, time)?;
        self.change_ending(writer, |ending| {
            ending.announce(time, slice_count);
            if is_last {
                ending.finish(Time(time.0.saturating_add(1)), mark);
            }
        });
        Ok(())
    }

    /// Nobody waits for what the writer does at `from_time` and after.
    pub fn leave(&mut self, writer: WriterId, from_time: Time) {
        self.change_ending(writer, |ending| ending.leave(from_time));
    }

    /// The writer that had left is waited for again, from `from_time` on.
    pub fn join(&mut self, writer: WriterId, from_time: Time) {
        self.change_ending(writer, |ending| ending.join(from_time));
    }

    /// The first time that the writer has not ended on all of `range`; [`Time::FINISHED`] when it is not
    /// waited for any more.
    #[must_use]
    pub fn open_time(&self, writer: WriterId, range: KeyRange) -> Time {
        let times = self.writers.get(&writer).map_or(&self.fresh_times, |clock| &clock.times);
        times.overlapping(range).map(|(_, &time)| time).min().unwrap_or(Time::FINISHED)
    }

    /// Whether every writer has ended all times below `demand` on `range`.
    #[must_use]
    pub fn has_reached(&self, demand: Time, range: KeyRange) -> bool {
        demand <= self.ended || (0..self.writer_count).all(|writer| self.open_time(WriterId(writer), range) >= demand)
    }

    /// Every writer has ended all times before this one, everywhere.
    #[must_use]
    pub fn ended(&self) -> Time {
        self.ended
    }

    /// The first time at which nobody pushes any more; none as long as a writer has not said so.
    #[must_use]
    pub fn end(&self) -> Option<Time> {
        let ends = (0..self.writer_count).map(|writer| self.writers.get(&WriterId(writer))?.ending.end());
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Ranges with records of their own, of the writer that has most.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.writers.values().map(WriterClock::window_count).max().unwrap_or(self.fresh.len())
    }

    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_windows = |windows: &RangeMap<Window>| {
            let heap: usize = windows.iter().map(|(_, window)| window.heap_bytes()).sum();
            windows.len() * size_of::<(KeyRange, Window)>() + heap
        };
        let of_writer = |clock: &WriterClock| {
            let times = clock.times.len() * size_of::<(KeyRange, Time)>();
            size_of::<(WriterId, WriterClock)>() + clock.windows.as_ref().map_or(0, of_windows) + times
        };
        self.writers.values().map(of_writer).sum()
    }

    fn check_time(&self, writer: WriterId, time: Time) -> Result<(), ClockError> {
        match self.writers.get(&writer).map(|clock| &clock.ending) {
            Some(ending) if ending.is_near(time) => Ok(()),
            None if Ending::default().is_near(time) => Ok(()),
            ending => Err(ClockError::Time { writer, time, open: ending.map_or(Time(0), Ending::open) }),
        }
    }

    fn writer(&mut self, writer: WriterId) -> &mut WriterClock {
        let (windows, times) = (&self.fresh, &self.fresh_times);
        self.writers.entry(writer).or_insert_with(|| WriterClock {
            settled: 0,
            ending: Ending::default(),
            windows: Some(windows.clone()),
            times: times.clone(),
            open: Time(0),
        })
    }

    /// Changes a writer's windows, which a retired one gets anew, and counts what that cuts or merges.
    fn change_windows(&mut self, writer: WriterId, change: impl FnOnce(&mut RangeMap<Window>)) {
        let RangeClock { fresh, writers, cut_count, .. } = self;
        let Some(WriterClock { settled, windows, .. }) = writers.get_mut(&writer) else { return };
        let windows = windows.get_or_insert_with(|| {
            let mut windows = fresh.clone();
            windows.update_all(|_, window| window.settle(*settled));
            windows
        });
        let before = windows.len().saturating_sub(fresh.len());
        change(windows);
        let after = windows.len().saturating_sub(fresh.len());
        *cut_count = (*cut_count + after).saturating_sub(before);
    }

    /// Changes what is known of a writer's times, and spreads the outcome over its ranges and the clock.
    fn change_ending(&mut self, writer: WriterId, change: impl FnOnce(&mut Ending)) {
        let clock = self.writer(writer);
        change(&mut clock.ending);
        let open = clock.ending.open();
        let before = std::mem::replace(&mut clock.open, open);
        if before == open {
            return;
        }
        clock.times.update_all(|_, time| *time = open);
        let retired_by = clock.ending.finished_by();
        if let Some(mark) = retired_by {
            self.retire(writer, mark);
        }
        let is_all_known = self.writers.len() >= self.writer_count as usize;
        if is_all_known && (before == self.ended || open < self.ended) {
            self.ended = self.writers.values().map(|clock| clock.open).min().unwrap_or(Time(0));
        }
    }

    /// Everything that the writer has pushed and ever will is recorded: its mark is enough to know it.
    fn retire(&mut self, writer: WriterId, mark: Timestamp) {
        let owned_count = self.fresh.len();
        let clock = self.writer(writer);
        clock.settled = clock.settled.max(mark.0.saturating_add(1));
        let cut = clock.window_count().saturating_sub(owned_count);
        clock.windows = None;
        self.cut_count = self.cut_count.saturating_sub(cut);
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

    const W: WriterId = WriterId(1);

    fn claim_parts(
        clock: &mut RangeClock,
        writer: WriterId,
        timestamp: Timestamp,
        range: KeyRange,
    ) -> Result<Vec<KeyRange>, ClockError> {
        let mut parts = vec![KeyRange::ALL];
        clock.claim(writer, timestamp, Time(0), range, &mut parts).map(|()| parts)
    }

    #[test]
    fn a_name_is_claimed_once_on_each_part() {
        let mut clock = RangeClock::new(&[KeyRange::new(0, 100), KeyRange::new(200, 300)], 2);
        let claim = |clock: &mut RangeClock, begin, end| {
            claim_parts(clock, W, Timestamp(5), KeyRange::new(begin, end)).unwrap()
        };
        assert_eq!(claim(&mut clock, 20, 40), [KeyRange::new(20, 40)]);
        assert!(!clock.has(W, Timestamp(5), KeyRange::new(0, 40)));
        assert_eq!(claim(&mut clock, 0, 250), [KeyRange::new(0, 20), KeyRange::new(40, 100), KeyRange::new(200, 250)]);
        assert_eq!(claim(&mut clock, 0, 250), []);
        assert!(
            clock.has(W, Timestamp(5), KeyRange::new(0, 240))
                && !clock.has(WriterId(0), Timestamp(5), KeyRange::new(0, 240))
        );
        clock.settle(W, Timestamp(6));
        assert_eq!((clock.range_count(), claim(&mut clock, 250, 300)), (2, vec![]));
    }

    #[test]
    fn a_timestamp_past_the_window_is_refused_until_the_mark_moves() {
        let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
        let far = Timestamp(limit::WINDOW_TIMESTAMPS as u64);
        assert!(matches!(claim_parts(&mut clock, W, far, KeyRange::ALL), Err(ClockError::Window { settled: 0, .. })));
        clock.settle(W, Timestamp(1));
        assert_eq!(claim_parts(&mut clock, W, far, KeyRange::ALL), Ok(vec![KeyRange::ALL]));
    }

    #[test]
    fn too_many_ranges_are_refused_and_merge_away_when_settled() {
        let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
        let claim = |clock: &mut RangeClock, place: u64| {
            claim_parts(clock, W, Timestamp(1), KeyRange::new(place * 2, place * 2 + 1))
        };
        let refused = (1..).find(|&place| claim(&mut clock, place).is_err()).unwrap();
        assert!(clock.cut_count <= limit::CLOCK_RANGES && refused as usize > limit::CLOCK_RANGES / 2 - 3);
        clock.settle(W, Timestamp(2));
        assert_eq!(clock.range_count(), 1);
    }

    #[test]
    fn a_demand_is_reached_when_every_writer_has_ended_all_before_it() {
        let range = KeyRange::new(10, 20);
        let mut clock = RangeClock::new(&[KeyRange::new(0, 50), KeyRange::new(60, 90)], 2);
        let end = |clock: &mut RangeClock, writer, time, slices| {
            clock.end_time(WriterId(writer), Timestamp(50), Time(time), slices, false).unwrap();
        };
        assert!(clock.has_reached(Time(0), range) && !clock.has_reached(Time(1), range));
        end(&mut clock, 0, 0, 0);
        end(&mut clock, 1, 0, 1);
        assert!(!clock.has_reached(Time(1), range), "a slice is on its way");
        assert_eq!(clock.open_time(WriterId(0), range), Time(1));
        let mut parts = Vec::new();
        for _ in 0..2 {
            clock.claim(WriterId(1), Timestamp(1), Time(0), range, &mut parts).unwrap();
        }
        assert!(clock.has_reached(Time(1), range) && !clock.has_reached(Time(2), range));
        assert_eq!((clock.ended(), clock.end()), (Time(1), None));
    }

    #[test]
    fn a_finished_writer_is_retired_and_what_it_pushed_is_still_known() {
        let mut clock = RangeClock::new(&[KeyRange::new(0, 100)], 2);
        let (first, second) = (WriterId(0), WriterId(1));
        let mut parts = Vec::new();
        for place in 0..5 {
            let range = KeyRange::new(place * 20, place * 20 + 10);
            clock.claim(first, Timestamp(place + 1), Time(0), range, &mut parts).unwrap();
        }
        let bytes = clock.bytes();
        clock.end_time(first, Timestamp(6), Time(0), 5, true).unwrap();
        assert!(clock.bytes() < bytes && clock.range_count() == 0);
        assert!(clock.has(first, Timestamp(3), KeyRange::new(0, 100)));
        clock.claim(first, Timestamp(3), Time(0), KeyRange::new(40, 50), &mut parts).unwrap();
        assert_eq!(parts, [], "a late copy");
        clock.end_time(second, Timestamp(1), Time(0), 0, false).unwrap();
        assert!(clock.has_reached(Time(1), KeyRange::ALL) && !clock.has_reached(Time(2), KeyRange::ALL));
        clock.end_time(second, Timestamp(2), Time(1), 0, true).unwrap();
        assert_eq!((clock.ended(), clock.end()), (Time::FINISHED, Some(Time(2))));
    }

    #[test]
    fn a_writer_that_has_left_holds_nobody_back_until_it_joins() {
        let mut clock = RangeClock::new(&[KeyRange::new(0, 100)], 2);
        clock.leave(WriterId(0), Time(0));
        for time in 0..3 {
            clock.end_time(WriterId(1), Timestamp(1), Time(time), 0, false).unwrap();
        }
        assert_eq!(clock.ended(), Time(3));
        clock.join(WriterId(0), Time(2));
        assert_eq!(clock.ended(), Time(2));
    }

    #[test]
    fn the_lowest_open_push_is_let_in_past_the_limit() {
        let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
        clock.cut_count = limit::CLOCK_RANGES;
        let claim = |clock: &mut RangeClock, at| claim_parts(clock, W, Timestamp(at), KeyRange::new(4, 5));
        assert!(matches!(claim(&mut clock, 1), Err(ClockError::Ranges { .. })));
        assert_eq!(claim(&mut clock, 0), Ok(vec![KeyRange::new(4, 5)]));
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
            let mut clock = RangeClock::new(&owned, 2);
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
