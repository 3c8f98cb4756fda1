//! How the delay of a table is chosen while a job runs. Functions of what they are told: no clock, no chance.

/// Busy seconds of all workers together between two decisions by waiting.
const DECISION_SECONDS: f64 = 0.4;
/// Above this share of waiting the delay grows.
const WAITING_SHARE_MAX: f64 = 0.1;
/// Below this share it shrinks.
const WAITING_SHARE_MIN: f64 = 0.05;
/// Longest delay that is chosen by waiting.
const DELAY_MAX: u32 = 64;

/// A rule for the delay.
#[derive(Debug, Clone, PartialEq)]
pub enum DelayPolicy {
    /// It stays as it is.
    Fixed(u32),
    /// From one delay to another in proportion to the work that is done.
    Annealed {
        /// When nothing is done.
        first: u32,
        /// When all is done.
        last: u32,
        /// The largest share of the work that was told of. A unit that is given back makes the next one smaller.
        done: f64,
    },
    /// As short as the measured waiting allows.
    Waiting(Waiting),
}

/// A delay that doubles when workers wait much and shrinks by one when they wait little.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    delay: u32,
    /// Seconds of waiting, and of everything, since the last decision.
    waiting: f64,
    seconds: f64,
}

impl DelayPolicy {
    /// From `first` to `last`.
    #[must_use]
    pub fn annealed(first: u32, last: u32) -> DelayPolicy {
        DelayPolicy::Annealed { first, last, done: 0.0 }
    }

    /// By measured waiting, from 1 on.
    #[must_use]
    pub fn by_waiting() -> DelayPolicy {
        DelayPolicy::Waiting(Waiting { delay: 1, waiting: 0.0, seconds: 0.0 })
    }

    /// The delay that should hold now.
    #[must_use]
    pub fn delay_max(&self) -> u32 {
        match self {
            DelayPolicy::Fixed(delay) => *delay,
            DelayPolicy::Annealed { first, last, done } => {
                let (first, last) = (f64::from(*first), f64::from(*last));
                (first + (last - first) * done).round() as u32
            }
            DelayPolicy::Waiting(waiting) => waiting.delay,
        }
    }

    /// This share of the job's work, from 0 to 1, is done.
    pub fn on_done(&mut self, share: f64) {
        if let DelayPolicy::Annealed { done, .. } = self {
            *done = done.max(share.clamp(0.0, 1.0));
        }
    }

    /// A worker has waited for answers for so many of its latest busy seconds.
    pub fn on_waited(&mut self, waiting: f64, seconds: f64) {
        if let DelayPolicy::Waiting(own) = self {
            own.on_waited(waiting.max(0.0), seconds.max(0.0));
        }
    }
}

impl Waiting {
    fn on_waited(&mut self, waiting: f64, seconds: f64) {
        self.waiting += waiting;
        self.seconds += seconds;
        if self.seconds < DECISION_SECONDS {
            return;
        }
        let share = self.waiting / self.seconds;
        if share > WAITING_SHARE_MAX {
            self.delay = (2 * self.delay).clamp(1, DELAY_MAX);
        } else if share < WAITING_SHARE_MIN {
            self.delay = self.delay.saturating_sub(1);
        }
        (self.waiting, self.seconds) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annealed_delay_goes_from_one_end_to_the_other() {
        let mut policy = DelayPolicy::annealed(16, 2);
        let delays = [0.0, 0.25, 0.5, 0.4, 1.0, 7.0].map(|share| {
            policy.on_done(share);
            policy.delay_max()
        });
        assert_eq!(delays, [16, 13, 9, 9, 2, 2]);
        policy.on_waited(9.0, 9.0);
        assert_eq!(policy.delay_max(), 2);
    }

    #[test]
    fn a_delay_by_waiting_grows_fast_and_shrinks_slowly() {
        let mut policy = DelayPolicy::by_waiting();
        policy.on_waited(0.1, 0.2);
        assert_eq!(policy.delay_max(), 1, "too early to tell");
        policy.on_waited(0.1, 0.2);
        assert_eq!(policy.delay_max(), 2);
        policy.on_waited(0.03, 0.4);
        assert_eq!(policy.delay_max(), 2, "neither much nor little");
        for _ in 0..3 {
            policy.on_waited(0.0, 1.0);
        }
        assert_eq!(policy.delay_max(), 0);
        for _ in 0..20 {
            policy.on_waited(1.0, 1.0);
        }
        assert_eq!(policy.delay_max(), DELAY_MAX);
    }
}
