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
    /// Bytes of all records, and from where on only a writer's lowest open operation adds to them.
    bytes: usize,
    bytes_max: usize,
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

    /// Bytes of all but the windows.
    fn bytes_beside_windows(&self) -> usize {
        let times = self.times.len() * size_of::<(KeyRange, Time)>();
        size_of::<(WriterId, WriterClock)>() + times + self.ending.heap_bytes()
    }
}

/// Bytes of one range's record, but for what it holds elsewhere.
const WINDOW_BYTES: usize = size_of::<(KeyRange, Window)>();

/// Bytes of the records of the ranges that `around` meets.
fn bytes_of(windows: &RangeMap<Window>, around: KeyRange) -> usize {
    windows.overlapping(around).map(|(_, window)| WINDOW_BYTES + window.heap_bytes()).sum()
}

impl RangeClock {
    /// Nothing recorded on `owned`, where this many writers are waited for.
    #[must_use]
    pub fn new(owned: &[KeyRange], writer_count: u32) -> RangeClock {
        RangeClock::within(limit::SHARD_CLOCK_BYTES, owned, writer_count)
    }

    /// As [`new`](Self::new), with a bound on the bytes of all records.
    #[must_use]
    pub fn within(bytes_max: usize, owned: &[KeyRange], writer_count: u32) -> RangeClock {
        let (mut fresh, mut fresh_times) = (RangeMap::default(), RangeMap::default());
        owned.iter().for_each(|&range| fresh.insert(range, Window::default()));
        owned.iter().for_each(|&range| fresh_times.insert(range, Time(0)));
        let (writers, ended) = (BTreeMap::new(), Time(0));
        RangeClock { writer_count, fresh, fresh_times, writers, ended, cut_count: 0, bytes: 0, bytes_max }
    }

    /// Bytes that the records of so many writers take when none has anything under way.
    #[must_use]
    pub fn bytes_at_rest(owned: &[KeyRange], writer_count: u32) -> usize {
        let range = WINDOW_BYTES + size_of::<(KeyRange, Time)>();
        let writer = size_of::<(WriterId, WriterClock)>() + owned.len() * range;
        usize::try_from(writer_count).unwrap_or(usize::MAX).saturating_mul(writer)
    }

    /// Records the name of a slice of `time` on all owned parts of `range`; `claimed` are then the parts
    /// where it was new, ordered. The slice counts for its time if there are any.
    ///
    /// # Errors
    /// When the timestamp or time is too far ahead, pushes under way have cut too many ranges out of
    /// the clock ([`limit::CLOCK_RANGES`]), or its records take too many bytes; nothing is recorded then.
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
        let has_ranges = self.cut_count + 2 <= limit::CLOCK_RANGES;
        let (has_bytes, bytes_max) = (self.bytes + 2 * WINDOW_BYTES <= self.bytes_max, self.bytes_max);
        let clock = self.writer(writer);
        let settled = clock.settled;
        if timestamp.0 >= settled.saturating_add(limit::WINDOW_TIMESTAMPS as u64) {
            return Err(ClockError::Window { writer, timestamp, settled });
        }
        if timestamp.0 > settled {
            match (has_ranges, has_bytes) {
                (true, true) => {}
                (false, _) => return Err(ClockError::Ranges { writer, range }),
                (true, false) => return Err(ClockError::Bytes { writer, range, bytes_max }),
            }
        }
        if clock.windows.is_none() && timestamp.0 < settled {
            return Ok(());
        }
        // Writing to a range may join it with those beside it.
        let around = KeyRange::new(range.begin.saturating_sub(1), range.end.saturating_add(1));
        self.change_windows(writer, around, |windows| {
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
            self.change_windows(writer, KeyRange::ALL, |windows| {
                windows.update_all(|_, window| window.settle(settled.0))
            });
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

    /// Whether the writer has a time like this one: not when it has finished before.
    #[must_use]
    pub fn takes_part(&self, writer: WriterId, time: Time) -> bool {
        self.writers.get(&writer).and_then(|clock| clock.ending.end()).is_none_or(|end| time < end)
    }

    /// Ranges with records of their own, of the writer that has most.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.writers.values().map(WriterClock::window_count).max().unwrap_or(self.fresh.len())
    }

    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    fn counted_bytes(&self) -> usize {
        let of_writer = |clock: &WriterClock| {
            let windows = clock.windows.as_ref().map_or(0, |windows| bytes_of(windows, KeyRange::ALL));
            clock.bytes_beside_windows() + windows
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
        let RangeClock { fresh, fresh_times, writers, bytes, .. } = self;
        writers.entry(writer).or_insert_with(|| {
            let (windows, times) = (Some(fresh.clone()), fresh_times.clone());
            let clock = WriterClock { settled: 0, ending: Ending::default(), windows, times, open: Time(0) };
            *bytes += clock.bytes_beside_windows() + bytes_of(fresh, KeyRange::ALL);
            clock
        })
    }

    /// Changes a writer's windows inside of `around`; a retired one gets them anew. Counts what that cuts or merges.
    fn change_windows(&mut self, writer: WriterId, around: KeyRange, change: impl FnOnce(&mut RangeMap<Window>)) {
        let RangeClock { fresh, writers, cut_count, bytes, .. } = self;
        let Some(WriterClock { settled, windows, .. }) = writers.get_mut(&writer) else { return };
        let windows = windows.get_or_insert_with(|| {
            let mut windows = fresh.clone();
            windows.update_all(|_, window| window.settle(*settled));
            *bytes += bytes_of(&windows, KeyRange::ALL);
            windows
        });
        let before = windows.len().saturating_sub(fresh.len());
        *bytes -= bytes_of(windows, around);
        change(windows);
        *bytes += bytes_of(windows, around);
        let after = windows.len().saturating_sub(fresh.len());
        *cut_count = (*cut_count + after).saturating_sub(before);
    }

    /// Changes what is known of a writer's times, and spreads the outcome over its ranges and the clock.
    fn change_ending(&mut self, writer: WriterId, change: impl FnOnce(&mut Ending)) {
        let clock = self.writer(writer);
        let held = clock.ending.heap_bytes();
        change(&mut clock.ending);
        let (open, now_held) = (clock.ending.open(), clock.ending.heap_bytes());
        let before = std::mem::replace(&mut clock.open, open);
        self.bytes = self.bytes + now_held - held;
        if before == open {
            return;
        }
        let clock = self.writer(writer);
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
        let freed = clock.windows.take().map_or(0, |windows| bytes_of(&windows, KeyRange::ALL));
        self.bytes -= freed;
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
mod tests;
