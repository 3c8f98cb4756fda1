//! A worker's accounts of its units, and its figures.

use super::data::UnitSource;
use super::dbpg::Solution;
use super::metric::ScoreCount;
use crate::client::{LinkCounts, Statistics};
use serde::{Deserialize, Serialize};

/// Figures of one worker, summed since it joined.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct WorkerFigures {
    /// Bytes of push frames, retries included.
    pub bytes_pushed: u64,
    /// Bytes of questions for values, retries included.
    pub bytes_asked: u64,
    /// Bytes of answers to pulls.
    pub bytes_pulled: u64,
    /// Segments sent more than once.
    pub retries: u64,
    /// Requests that named their key list by its digest.
    pub lists_named: u64,
    /// Of these, how many had to be sent again with the keys.
    pub lists_missed: u64,
    /// How the data of the worker and its servers travels.
    pub links: LinkCounts,
    /// Seconds spent waiting for answers of servers.
    pub seconds_waiting: f64,
    /// Seconds spent on filters, frames and system calls of pushes and pulls that begin.
    pub seconds_sending: f64,
    /// Seconds spent waiting for the scheduler's next unit of work.
    pub seconds_without_work: f64,
    /// Seconds spent waiting for rows.
    pub seconds_reading: f64,
    /// Seconds spent on margins and gradients.
    pub seconds_computing: f64,
    /// When the first pull was answered, in seconds since 1970.
    pub first_pull_at: Option<f64>,
}

impl WorkerFigures {
    /// Seconds of waiting for answers of servers, computing, sending and reading.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds_waiting + self.seconds_computing + self.seconds_sending + self.seconds_reading
    }

    /// The figures of a node and of the one that came in its place.
    #[must_use]
    pub fn plus(&self, later: WorkerFigures) -> WorkerFigures {
        WorkerFigures {
            bytes_pushed: self.bytes_pushed + later.bytes_pushed,
            bytes_asked: self.bytes_asked + later.bytes_asked,
            bytes_pulled: self.bytes_pulled + later.bytes_pulled,
            retries: self.retries + later.retries,
            lists_named: self.lists_named + later.lists_named,
            lists_missed: self.lists_missed + later.lists_missed,
            links: later.links,
            seconds_waiting: self.seconds_waiting + later.seconds_waiting,
            seconds_sending: self.seconds_sending + later.seconds_sending,
            seconds_without_work: self.seconds_without_work + later.seconds_without_work,
            seconds_reading: self.seconds_reading + later.seconds_reading,
            seconds_computing: self.seconds_computing + later.seconds_computing,
            first_pull_at: self.first_pull_at.or(later.first_pull_at),
        }
    }

    /// The figures as they travel between the ends of units.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match postcard::to_stdvec(self) {
            Ok(bytes) => bytes,
            Err(error) => unreachable!("figures encode into memory: {error}"),
        }
    }

    /// Takes over what the client counts.
    pub fn update(&mut self, statistics: &Statistics) {
        self.bytes_pushed = statistics.bytes_pushed;
        self.bytes_asked = statistics.bytes_asked;
        self.bytes_pulled = statistics.bytes_pulled;
        self.retries = statistics.retries;
        self.lists_named = statistics.lists_named;
        self.lists_missed = statistics.lists_missed;
        self.links = statistics.links;
        self.seconds_waiting = statistics.waited.as_secs_f64();
        self.seconds_sending = statistics.sending.as_secs_f64();
        self.seconds_without_work = statistics.without_work.as_secs_f64();
    }

    /// Bytes of all requests to servers.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_pushed + self.bytes_asked
    }
}

/// Account of a part of a unit; the last part ends the unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UnitReport {
    /// Whether this is the unit's last part.
    pub last: bool,
    /// Rows learnt from or scored.
    pub rows: u64,
    /// Sum of their log losses, each before its row was learnt.
    pub loss_sum: f64,
    /// Sum of predicted probabilities; of test rows only.
    pub probability_sum: f64,
    /// Scores of test rows.
    pub scores: Vec<ScoreCount>,
    /// Lines that were skipped.
    pub bad_lines: u64,
    /// The end of a compressed file, if the unit met it: lines in all.
    pub ended_rows: Option<u64>,
    /// The worker's figures at this moment.
    pub figures: WorkerFigures,
    /// What of the unit the worker has given up, and not done.
    pub rest: Option<UnitSource>,
    /// Where block proximal gradient stands.
    pub solution: Option<Solution>,
}

/// Most scores in one part, so that it stays a small message.
pub const SCORES_MAX: usize = 20_000;

impl UnitReport {
    /// The report as it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match postcard::to_stdvec(self) {
            Ok(bytes) => bytes,
            Err(error) => unreachable!("reports encode into memory: {error}"),
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// One line when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<UnitReport, String> {
        postcard::from_bytes(bytes).map_err(|error| format!("unreadable report: {error}"))
    }
}
