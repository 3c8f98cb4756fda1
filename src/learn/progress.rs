//! What the job has done so far, as the workers' reports tell it.

use super::config::WorkItem;
use super::dbpg::Solution;
use super::metric::{Quality, Scores};
use super::report::{UnitReport, WorkerFigures};
use crate::id::WriterId;
use std::collections::BTreeMap;
use std::time::Instant;

/// Most different test scores that are kept for the exact area under the curve.
const DISTINCT_SCORES_MAX: usize = 1 << 27;

/// Rows and losses of one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pass {
    /// Rows learnt from.
    pub rows: u64,
    /// Sum of their log losses, each before its row was learnt.
    pub loss_sum: f64,
    /// Bytes that workers sent to servers. A worker tells at the end of a unit, so what it sent ahead
    /// for the next pass counts here.
    pub bytes_sent: u64,
    /// Bytes of answers to pulls.
    pub bytes_received: u64,
}

impl Pass {
    /// Mean log loss; none without rows.
    #[must_use]
    pub fn log_loss(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.loss_sum / self.rows as f64)
    }
}

/// Everything that the summary and the progress bar show.
#[derive(Debug, Default)]
pub struct Progress {
    /// One a pass, in order.
    pub passes: Vec<Pass>,
    /// The test's scores.
    pub scores: Scores,
    /// Lines that were skipped.
    pub bad_lines: u64,
    /// Each worker's figures.
    pub workers: BTreeMap<u32, WorkerFigures>,
    /// Of these, the figures of nodes that were lost.
    lost_figures: BTreeMap<u32, WorkerFigures>,
    /// Workers whose nodes were lost, in order.
    pub losses: Vec<Loss>,
    /// Units that were taken back from workers that had not begun them.
    pub units_taken_back: u64,
    /// Units under way of which the rest was given to others.
    pub units_cut: u64,
    /// The parts of those rests.
    pub parts_cut: u64,
    /// Rows that each worker has learnt from.
    pub worker_rows: BTreeMap<u32, u64>,
    /// Training units offered, done, and in one pass if that is known.
    pub units: (u64, u64, Option<u64>),
    /// When the first training unit was offered.
    pub train_begin: Option<Instant>,
    /// When the last training unit so far was done.
    pub train_end: Option<Instant>,
    /// Whether the test has begun.
    pub testing: bool,
    /// The delays that were in force, in order.
    pub delays: Vec<DelayInForce>,
    /// Where block proximal gradient stands.
    pub solution: Option<Solution>,
}

/// A worker's node was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The worker.
    pub rank: u32,
    /// What was seen of it.
    pub reason: String,
    /// The worker whose process has done its work since; none where nothing was left.
    pub adopted_by: Option<u32>,
}

/// A bound on the delay, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DelayInForce {
    /// Seconds of training when it began.
    pub seconds: f64,
    /// The pass under way then, from 1.
    pub pass: usize,
    /// How many times a pull may miss.
    pub delay_max: u32,
}

impl Progress {
    /// A unit was offered.
    pub(super) fn on_offered(&mut self, item: &WorkItem, units_in_pass: Option<u64>) {
        match item {
            WorkItem::Train { .. } => {
                self.units.0 += 1;
                self.train_begin.get_or_insert_with(Instant::now);
            }
            WorkItem::Test { .. } => self.testing = true,
            WorkItem::Solve | WorkItem::EndTraining => {}
        }
        self.units.2 = units_in_pass;
    }

    /// Another bound on the delay is in force.
    pub(super) fn on_delay(&mut self, delay_max: u32) {
        let seconds = self.train_begin.map_or(0.0, |begin| begin.elapsed().as_secs_f64());
        self.delays.push(DelayInForce { seconds, pass: self.passes.len().max(1), delay_max });
    }

    /// A worker's node is lost: who comes in its place counts its figures from nothing.
    pub(super) fn on_lost(&mut self, worker: WriterId, reason: &str) {
        if let Some(&figures) = self.workers.get(&worker.0) {
            self.lost_figures.insert(worker.0, figures);
        }
        self.losses.push(Loss { rank: worker.0, reason: reason.to_owned(), adopted_by: None });
    }

    /// Another worker's process does a lost worker's work.
    pub(super) fn on_adopted(&mut self, worker: WriterId, by: WriterId) {
        if let Some(loss) = self.losses.iter_mut().rev().find(|loss| loss.rank == worker.0) {
            loss.adopted_by = Some(by.0);
        }
    }

    /// A unit was given back and will be offered again.
    pub(super) fn on_taken_back(&mut self) {
        self.units.0 = self.units.0.saturating_sub(1);
        self.units_taken_back += 1;
    }

    /// The rest of a unit will be offered in so many parts.
    pub(super) fn on_cut(&mut self, parts: u64) {
        self.units_cut += 1;
        self.parts_cut += parts;
    }

    /// Training units of all passes and their parts, if it is known how many they are.
    #[must_use]
    pub fn unit_count(&self, passes: u32) -> Option<u64> {
        self.units.2.map(|units| units * u64::from(passes) + self.parts_cut)
    }

    /// The share of the training units that is done, from 0 to 1.
    pub(super) fn share_done(&self, passes: u32) -> Option<f64> {
        self.unit_count(passes).filter(|&units| units > 0).map(|units| self.units.1 as f64 / units as f64)
    }

    /// A worker told of a unit.
    ///
    /// # Errors
    /// One line when a limit is reached.
    pub(super) fn on_report(&mut self, worker: WriterId, item: &WorkItem, report: &UnitReport) -> Result<(), String> {
        let now = self.lost_figures.get(&worker.0).map_or(report.figures, |lost| lost.plus(report.figures));
        let before = self.workers.insert(worker.0, now).unwrap_or_default();
        self.bad_lines += report.bad_lines;
        match item {
            WorkItem::Train { pass, .. } => {
                let pass = *pass as usize;
                if self.passes.len() <= pass {
                    self.passes.resize(pass + 1, Pass::default());
                }
                self.passes[pass].rows += report.rows;
                self.passes[pass].loss_sum += report.loss_sum;
                self.passes[pass].bytes_sent += now.bytes_sent().saturating_sub(before.bytes_sent());
                self.passes[pass].bytes_received += now.bytes_pulled.saturating_sub(before.bytes_pulled);
                *self.worker_rows.entry(worker.0).or_default() += report.rows;
                self.units.1 += u64::from(report.last);
                self.train_end = Some(Instant::now());
            }
            WorkItem::Test { .. } => {
                self.scores.merge(&report.scores, report.loss_sum, report.probability_sum);
                if self.scores.distinct() > DISTINCT_SCORES_MAX {
                    return Err(format!("more than {DISTINCT_SCORES_MAX} different test scores: test on fewer rows"));
                }
            }
            WorkItem::Solve => self.on_solution(report),
            WorkItem::EndTraining => self.train_end = Some(Instant::now()),
        }
        Ok(())
    }

    fn on_solution(&mut self, report: &UnitReport) {
        self.solution = report.solution.or(self.solution);
        if let Some(pass) = self.passes.last_mut() {
            pass.loss_sum += report.loss_sum;
        }
        self.train_end = Some(Instant::now());
    }

    /// Rows learnt from, over all passes.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.passes.iter().map(|pass| pass.rows).sum()
    }

    /// Seconds from the first training unit to the last.
    #[must_use]
    pub fn train_seconds(&self) -> f64 {
        match (self.train_begin, self.train_end) {
            (Some(begin), Some(end)) => end.duration_since(begin).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Rows learnt from in a second of training.
    #[must_use]
    pub fn rows_per_second(&self) -> f64 {
        let seconds = self.train_seconds();
        if seconds > 0.0 { self.rows() as f64 / seconds } else { 0.0 }
    }

    /// Mean log loss of the last pass, each row before it was learnt.
    #[must_use]
    pub fn train_log_loss(&self) -> Option<f64> {
        self.passes.last().and_then(Pass::log_loss)
    }

    /// The test's figures; none without test rows.
    #[must_use]
    pub fn test(&self) -> Option<Quality> {
        self.scores.quality()
    }
}
