//! The worker of logistic regression: draws units, pulls the weights of a minibatch's keys, pushes
//! its gradient.
//!
//! A reader thread delivers minibatches ahead. While one minibatch is computed, the pulls of later ones
//! are in flight: of the next one under `Eventual`; of as many as the delay allows under `BoundedDelay`,
//! each demanding what its own time demands; of none under `Sequential`, where a pull must see the push
//! before it. Two units are kept in hand, so that the reader is not idle while the scheduler is asked. A unit is
//! reported as done when every push of it is acknowledged.
//!
//! What a unit does and under which names is a function of the units before it: each minibatch is a step,
//! named when it begins, and the rows learnt before are in the notes of each unit's account. So a worker that
//! takes over where another was lost makes the same operations under the same names. What has not begun of a unit
//! can be given back (`give_back`).

mod give_back;

use super::config::{Problem, WEIGHTS, WorkItem, minibatch_rows};
use super::data::{LocalBatch, ReadAhead, UnitBatch, UnitProgress, UnitSource};
use super::dbpg;
use super::error::LearnError;
use super::logistic;
use super::metric::{ScoreCount, Scores};
use super::report::{SCORES_MAX, UnitReport, WorkerFigures};
use crate::client::{ClientError, Cluster, Consistency, KeyList, Pending, Step, Table, Unit, Values};
use crate::error::Classify;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Units in hand, the one under way included.
const UNITS_IN_HAND: usize = 2;
/// Most minibatches whose pulls are in flight while one is computed, whatever the delay.
const AHEAD_MAX: usize = 64;
/// How often figures are told between the ends of units.
const FIGURES_INTERVAL: Duration = Duration::from_millis(100);
/// Rows of a minibatch that is only scored.
const TEST_ROWS: usize = 2048;

/// A minibatch whose pull is in flight.
struct InFlight {
    unit: u64,
    batch: LocalBatch,
    keys: KeyList,
    weights: Pending<Values<f32>>,
    progress: UnitProgress,
    /// What of the unit lies behind it.
    rest: Option<UnitSource>,
    bad_lines: u64,
    /// Of a minibatch to learn from; what is only scored needs no names.
    step: Option<Step>,
}

/// A unit in hand.
struct InHand {
    unit: u64,
    item: WorkItem,
    /// Whether a minibatch of it has begun.
    is_begun: bool,
    /// Rows of the minibatches that have begun, and what lies behind them.
    rows: u64,
    rest: Option<UnitSource>,
    /// Whether that was given up.
    is_cut: bool,
}

/// Runs a worker until no work is left. A failure is told to the scheduler, which ends the job.
///
/// # Errors
/// What ended it early.
pub fn run_worker(cluster: &Cluster) -> Result<(), LearnError> {
    let outcome = problem_of(cluster).and_then(|problem| match problem.block {
        Some(block) => dbpg::run(cluster, &problem, block),
        None => Worker::new(cluster, problem).and_then(|mut worker| worker.run()),
    });
    if let Err(error) = &outcome
        && !matches!(error, LearnError::Client(ClientError::Ended { .. }))
    {
        cluster.fail(error.exit_code() as u8, error.to_string());
    }
    outcome
}

fn problem_of(cluster: &Cluster) -> Result<Problem, LearnError> {
    postcard::from_bytes(&cluster.job().program)
        .map_err(|error| LearnError::Message(format!("unreadable learning problem: {error}")))
}

/// The rows that a writer had learnt from where its work goes on, from the notes of its last account.
fn rows_learnt(notes: &[u8]) -> Result<u64, LearnError> {
    match <[u8; 8]>::try_from(notes) {
        Ok(bytes) => Ok(u64::from_le_bytes(bytes)),
        Err(_) if notes.is_empty() => Ok(0),
        Err(_) => Err(LearnError::Message(format!("unreadable notes of a lost worker: {} bytes", notes.len()))),
    }
}

struct Worker<'a> {
    cluster: &'a Cluster,
    table: Table<f32>,
    problem: Problem,
    /// Sleep for each example, in place of a heavier computation.
    simulated_compute: Duration,
    train: ReadAhead,
    test: Option<ReadAhead>,
    queue: VecDeque<InHand>,
    /// Oldest first.
    in_flight: VecDeque<InFlight>,
    /// The step of a minibatch that is beginning, which is not in flight yet.
    beginning: Option<Step>,
    /// Steps that were given up, whose names are kept until the scheduler has heard so.
    dropped: Vec<Step>,
    /// The unit that the scheduler wants back and has no answer for.
    wanted: Option<u64>,
    report: UnitReport,
    /// Rows that this writer has learnt from, whichever node it was on.
    rows_learnt: u64,
    scores: Scores,
    bad_lines_told: u64,
    figures: WorkerFigures,
    /// When the figures were told last, except at the end of a unit.
    told_at: Instant,
    done: bool,
}

impl<'a> Worker<'a> {
    fn new(cluster: &'a Cluster, problem: Problem) -> Result<Worker<'a>, LearnError> {
        let thread = |source| LearnError::System { what: "start a reader thread", source };
        let (minibatch, warm_up) = (problem.minibatch, problem.warm_up);
        let rows_learnt = rows_learnt(&cluster.resume_notes())?;
        let rows = move |rows_before| match warm_up {
            true => minibatch_rows(rows_learnt + rows_before, minibatch),
            false => minibatch.max(1) as usize,
        };
        let train_files = Arc::from(problem.train_files.clone());
        let train = ReadAhead::spawn(train_files, problem.train_reader.clone(), rows).map_err(thread)?;
        let test = match problem.test_files.is_empty() {
            true => None,
            false => {
                let files = Arc::from(problem.test_files.clone());
                Some(ReadAhead::spawn(files, problem.test_reader.clone(), |_| TEST_ROWS).map_err(thread)?)
            }
        };
        Ok(Worker {
            cluster,
            table: cluster.table(WEIGHTS)?,
            simulated_compute: problem.simulated_compute(cluster.rank()),
            problem,
            train,
            test,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            beginning: None,
            dropped: Vec::new(),
            wanted: None,
            report: UnitReport::default(),
            rows_learnt,
            scores: Scores::default(),
            bad_lines_told: 0,
            figures: WorkerFigures::default(),
            told_at: Instant::now(),
            done: false,
        })
    }

    fn run(&mut self) -> Result<(), LearnError> {
        loop {
            // First, so that a hand that becomes empty asks before it waits.
            self.give_back()?;
            self.top_up()?;
            match self.queue.front().map(|front| (front.unit, &front.item)) {
                Some((unit, WorkItem::EndTraining | WorkItem::Solve)) => self.end_training(unit)?,
                Some((_, WorkItem::Train { .. } | WorkItem::Test { .. })) => self.advance()?,
                None if self.done => return Ok(()),
                None => {
                    let unit = self.cluster.wait_unit()?;
                    self.take(unit)?;
                }
            }
        }
    }

    /// Keeps units in hand, without waiting for them.
    fn top_up(&mut self) -> Result<(), LearnError> {
        if self.done || self.queue.len() >= UNITS_IN_HAND || self.queue.iter().any(|held| held.is_cut) {
            return Ok(());
        }
        match self.cluster.try_unit() {
            Some(unit) => self.take(unit),
            None => {
                self.cluster.ask_unit();
                Ok(())
            }
        }
    }

    fn take(&mut self, unit: Option<Unit>) -> Result<(), LearnError> {
        let Some(Unit { id, payload }) = unit else {
            self.done = true;
            return Ok(());
        };
        let item: WorkItem = postcard::from_bytes(&payload)
            .map_err(|error| LearnError::Message(format!("unreadable unit of work: {error}")))?;
        match (&item, &self.test) {
            (WorkItem::Train { source, .. }, _) => self.train.submit(id, *source),
            (WorkItem::Test { source }, Some(test)) => test.submit(id, *source),
            (WorkItem::Test { .. }, None) => return Err(LearnError::Message("a test unit without test files".into())),
            (WorkItem::Solve, _) => return Err(LearnError::Message("a unit of another algorithm".into())),
            (WorkItem::EndTraining, _) => {}
        }
        self.queue.push_back(InHand { unit: id, item, is_begun: false, rows: 0, rest: None, is_cut: false });
        Ok(())
    }

    /// Works on the oldest minibatch in flight, or reads the next one and asks for its weights.
    fn advance(&mut self) -> Result<(), LearnError> {
        if self.in_flight.len() > self.ahead_max() {
            return self.complete_oldest();
        }
        let is_test = self.reads_test();
        // Nothing is read yet: meanwhile work on what is in flight.
        let Some(next) = self.receive(is_test)? else { return self.complete_oldest() };
        let Some(held) = self.queue.iter_mut().find(|held| held.unit == next.unit && !held.is_cut) else {
            // It was given back.
            self.bad_lines_told = self.bad_lines_told.max(next.bad_lines);
            self.train.recycle(next.batch);
            return Ok(());
        };
        (held.is_begun, held.rest) = (true, next.rest);
        held.rows += next.batch.row_count() as u64;
        self.begin(next, is_test)
    }

    /// How many minibatches may be in flight while one is computed.
    fn ahead_max(&self) -> usize {
        match self.table.consistency() {
            Consistency::Sequential => 0,
            Consistency::Eventual => 1,
            Consistency::BoundedDelay { delay_max } => (delay_max as usize).min(AHEAD_MAX),
        }
    }

    /// Whether the reader's next rows are test rows: those of the first unit that is not read to its end.
    fn reads_test(&self) -> bool {
        let is_read = |unit: u64| self.in_flight.iter().any(|ahead| ahead.unit == unit && ahead.progress.is_last);
        let mut ahead = self.queue.iter().filter(|held| !is_read(held.unit));
        matches!(ahead.next(), Some(InHand { item: WorkItem::Test { .. }, .. }))
    }

    /// The next minibatch. Does not wait while something is in flight that could be worked on.
    fn receive(&mut self, is_test: bool) -> Result<Option<UnitBatch>, LearnError> {
        let reader = if is_test { self.test.as_ref().unwrap_or(&self.train) } else { &self.train };
        if !self.in_flight.is_empty() {
            return Ok(reader.receive_timeout(Duration::ZERO)?);
        }
        let start = Instant::now();
        let batch = reader.receive()?;
        self.figures.seconds_reading += start.elapsed().as_secs_f64();
        Ok(Some(batch))
    }

    fn begin(&mut self, next: UnitBatch, is_test: bool) -> Result<(), LearnError> {
        let mut batch = next.batch;
        let bad_lines = next.bad_lines.saturating_sub(self.bad_lines_told);
        self.bad_lines_told = self.bad_lines_told.max(next.bad_lines);
        let mut keys = std::mem::take(&mut batch.unique);
        keys.extend(self.problem.bias_key);
        let keys = KeyList::new(keys)?;
        // A minibatch that is scored ends no time, and neither do those before it.
        self.beginning = (!is_test).then(|| self.table.begin_step());
        let weights = loop {
            let ahead = u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX);
            let begun = match &self.beginning {
                Some(step) => self.table.pull_step(step, &keys, ahead)?,
                None => self.table.pull_ahead(&keys, 0)?,
            };
            match begun {
                Some(weights) => break weights,
                // The delay has become shorter.
                None => self.complete_oldest()?,
            }
        };
        let (unit, mut progress, rest, step) = (next.unit, next.progress, next.rest, self.beginning.take());
        progress.is_last |= self.queue.iter().any(|held| held.unit == unit && held.is_cut);
        self.in_flight.push_back(InFlight { unit, batch, keys, weights, progress, rest, bad_lines, step });
        Ok(())
    }

    fn complete_oldest(&mut self) -> Result<(), LearnError> {
        self.await_oldest()?;
        match self.in_flight.pop_front() {
            Some(oldest) => self.complete(oldest),
            None => Ok(()),
        }
    }

    /// Waits for the weights, learns from the rows or scores them, and reports the unit at its end.
    fn complete(&mut self, in_flight: InFlight) -> Result<(), LearnError> {
        let InFlight { unit, batch, keys, weights, progress, bad_lines, step, .. } = in_flight;
        let (weights, is_test) = (weights.wait()?, step.is_none());
        self.report.bad_lines += bad_lines;
        if self.figures.first_pull_at.is_none() {
            let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            self.figures.first_pull_at = since_1970.ok().map(|elapsed| elapsed.as_secs_f64());
        }
        match step {
            Some(step) => self.learn(step, &batch, &keys, &weights)?,
            None => self.score(&batch, &weights),
        }
        let reader = if is_test { self.test.as_ref().unwrap_or(&self.train) } else { &self.train };
        reader.recycle(batch);
        if progress.is_last { self.end_unit(unit, progress) } else { Ok(()) }
    }

    fn learn(&mut self, step: Step, batch: &LocalBatch, keys: &KeyList, weights: &[f32]) -> Result<(), LearnError> {
        if batch.row_count() == 0 {
            self.table.skip_step(step);
            return Ok(());
        }
        let start = Instant::now();
        let mut gradient = self.table.values(keys.len());
        self.report.loss_sum += logistic::gradient(batch, self.problem.bias_key.is_some(), weights, &mut gradient);
        if !self.simulated_compute.is_zero() {
            std::thread::sleep(
                self.simulated_compute.saturating_mul(u32::try_from(batch.row_count()).unwrap_or(u32::MAX)),
            );
        }
        self.figures.seconds_computing += start.elapsed().as_secs_f64();
        self.report.rows += batch.row_count() as u64;
        self.rows_learnt += batch.row_count() as u64;
        // The driver keeps the push until it is acknowledged; `settle` waits for all of them.
        drop(self.table.push_step(&step, keys, gradient)?);
        self.table.end_step(step)?;
        if self.problem.reports_figures && self.told_at.elapsed() >= FIGURES_INTERVAL {
            self.told_at = Instant::now();
            let figures = self.figures();
            self.cluster.report_progress(figures.encode());
        }
        Ok(())
    }

    fn score(&mut self, batch: &LocalBatch, weights: &[f32]) {
        let start = Instant::now();
        let bias = self.problem.bias_key.and(weights.last()).copied().unwrap_or(0.0);
        for row in 0..batch.row_count() {
            self.scores.add(logistic::margin(batch, row, weights) + bias, batch.labels[row]);
        }
        self.figures.seconds_computing += start.elapsed().as_secs_f64();
        self.report.rows += batch.row_count() as u64;
    }

    fn end_training(&mut self, unit: u64) -> Result<(), LearnError> {
        while !self.in_flight.is_empty() {
            self.complete_oldest()?;
        }
        self.table.finish()?;
        self.end_unit(unit, UnitProgress { is_last: true, rows_total: None })
    }

    /// Reports a unit in parts that stay small.
    fn end_unit(&mut self, unit: u64, progress: UnitProgress) -> Result<(), LearnError> {
        self.cluster.settle()?;
        let mut report = std::mem::take(&mut self.report);
        let scores = std::mem::take(&mut self.scores);
        if matches!(self.queue.front(), Some(InHand { item: WorkItem::Test { .. }, .. })) {
            (report.loss_sum, report.probability_sum) = scores.sums();
        }
        let counts: Vec<ScoreCount> = scores.counts().collect();
        let mut parts = counts.chunks(SCORES_MAX).peekable();
        while let Some(part) = parts.next_if(|part| part.len() == SCORES_MAX) {
            let part = UnitReport { scores: part.to_vec(), figures: self.figures(), ..UnitReport::default() };
            self.cluster.unit_part(unit, part.encode());
        }
        report.scores = parts.next().map_or(Vec::new(), <[ScoreCount]>::to_vec);
        (report.last, report.ended_rows, report.figures) = (true, progress.rows_total, self.figures());
        let cut = self.queue.front().filter(|held| held.is_cut);
        let is_cut = cut.is_some();
        report.rest = cut.and_then(|held| held.rest);
        // The names of a step that is beginning are taken, though it may wait for a delay that became shorter.
        let next = self.in_flight.front().and_then(|later| later.step.as_ref()).or(self.beginning.as_ref());
        let notes = self.rows_learnt.to_le_bytes().to_vec();
        self.cluster.unit_done_before(unit, report.encode(), next, notes);
        self.queue.pop_front();
        if is_cut {
            self.cluster.settle_accounts()?;
            self.dropped.drain(..).for_each(|step| self.table.skip_step(step));
        }
        Ok(())
    }

    fn figures(&mut self) -> WorkerFigures {
        self.figures.update(&self.cluster.statistics());
        self.figures
    }
}
