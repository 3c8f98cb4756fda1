//! How far one writer has ended its times.
//!
//! A time is ended when the writer's mark is there and as many slices of it were recorded as the mark
//! says, and all times before it are ended; so neither order nor repetition of frames matters.

use crate::id::{Time, Timestamp};
use crate::limit;
use std::collections::VecDeque;

/// What is known of one time.
#[derive(Debug, Clone, Copy, Default)]
struct Slices {
    recorded: u32,
    announced: Option<u32>,
}

/// The times of one writer.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    /// All times before are ended.
    open: Time,
    /// One entry a time, from the open one on.
    slices: VecDeque<Slices>,
    /// The first time that the writer said will never come, and the name of the mark that said so.
    last: Option<(Time, Timestamp)>,
    /// The time from which nobody waits for the writer, by decision of the scheduler.
    left: Option<Time>,
}

impl Ending {
    /// The first time that is not ended; [`Time::FINISHED`] when none is waited for.
    pub(super) fn open(&self) -> Time {
        self.open
    }

    /// The first time at which the writer pushes no more, when it has said so or has left.
    pub(super) fn end(&self) -> Option<Time> {
        self.last.map(|(time, _)| time).into_iter().chain(self.left).min()
    }

    /// The name of the mark that said that the writer has finished, when everything before it is recorded.
    pub(super) fn finished_by(&self) -> Option<Timestamp> {
        let (_, mark) = self.last?;
        (self.open == Time::FINISHED && self.left.is_none()).then_some(mark)
    }

    /// Whether something of this time may be counted; otherwise earlier times must end first.
    pub(super) fn is_near(&self, time: Time) -> bool {
        let ahead = time.0.saturating_sub(self.open.0);
        (ahead as usize) < limit::WINDOW_TIMESTAMPS
    }

    /// A slice of that time was recorded.
    pub(super) fn count(&mut self, time: Time) {
        if let Some(slices) = self.slices_of(time) {
            slices.recorded = slices.recorded.wrapping_add(1);
            self.advance();
        }
    }

    /// The writer has ended that time with so many slices. Hearing it again changes nothing.
    pub(super) fn announce(&mut self, time: Time, slice_count: u32) {
        if let Some(slices) = self.slices_of(time) {
            slices.announced = Some(slice_count);
            self.advance();
        }
    }

    /// The writer pushes nothing at `time` and after.
    pub(super) fn finish(&mut self, time: Time, mark: Timestamp) {
        self.last.get_or_insert((time, mark));
        self.advance();
    }

    /// Nobody waits for what the writer does from `time` on.
    pub(super) fn leave(&mut self, time: Time) {
        self.left = Some(time);
        self.advance();
    }

    /// The writer that had left is waited for again, from `time` on.
    pub(super) fn join(&mut self, time: Time) {
        if self.left.take().is_some() && self.open == Time::FINISHED {
            self.open = time;
            self.advance();
        }
    }

    /// Bytes that this holds elsewhere.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slices.capacity() * size_of::<Slices>()
    }

    fn slices_of(&mut self, time: Time) -> Option<&mut Slices> {
        let place = time.0.checked_sub(self.open.0)? as usize;
        if self.open == Time::FINISHED || place >= limit::WINDOW_TIMESTAMPS {
            return None;
        }
        if self.slices.len() <= place {
            self.slices.resize(place + 1, Slices::default());
        }
        self.slices.get_mut(place)
    }

    fn advance(&mut self) {
        while let Some(slices) = self.slices.front()
            && slices.announced == Some(slices.recorded)
        {
            self.slices.pop_front();
            self.open.0 += 1;
        }
        if self.end().is_some_and(|end| end <= self.open) {
            self.open = Time::FINISHED;
            self.slices.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Timestamp = Timestamp(9);

    #[test]
    fn a_time_is_ended_by_its_mark_and_all_its_slices_in_any_order() {
        let mut ending = Ending::default();
        ending.announce(Time(1), 0);
        ending.count(Time(0));
        ending.announce(Time(0), 2);
        assert_eq!(ending.open(), Time(0));
        ending.announce(Time(0), 2);
        ending.count(Time(0));
        assert_eq!(ending.open(), Time(2));
        ending.announce(Time(1), 5);
        assert_eq!(ending.open(), Time(2), "a late repetition");
    }

    #[test]
    fn a_writer_is_finished_when_all_before_its_last_mark_is_there() {
        let mut ending = Ending::default();
        ending.announce(Time(1), 1);
        ending.finish(Time(2), MARK);
        ending.announce(Time(0), 0);
        assert_eq!((ending.open(), ending.finished_by()), (Time(1), None));
        ending.count(Time(1));
        assert_eq!((ending.open(), ending.finished_by()), (Time::FINISHED, Some(MARK)));
    }

    #[test]
    fn one_that_has_left_is_waited_for_up_to_its_time_and_again_when_it_joins() {
        let mut ending = Ending::default();
        ending.leave(Time(1));
        assert_eq!(ending.open(), Time(0));
        ending.announce(Time(0), 0);
        assert_eq!((ending.open(), ending.finished_by()), (Time::FINISHED, None));
        ending.join(Time(4));
        assert_eq!(ending.open(), Time(4));
        ending.join(Time(7));
        assert_eq!(ending.open(), Time(4), "it has not left");
    }

    #[test]
    fn far_ahead_nothing_is_counted() {
        let mut ending = Ending::default();
        let far = Time(limit::WINDOW_TIMESTAMPS as u32);
        assert!(!ending.is_near(far) && ending.is_near(Time(far.0 - 1)));
        ending.announce(far, 0);
        assert_eq!(ending.slices.len(), 0);
    }
}
