//! The worker's loop: rows are loaded as units are drawn, solved when there are no more, and test rows
//! scored with the weights as they are then.

use super::column::Loader;
use super::config::BlockProblem;
use super::exchange::Exchange;
use super::solver::Solver;
use crate::client::{Cluster, KeyList, Table, Unit};
use crate::learn::config::{Problem, WEIGHTS, WorkItem};
use crate::learn::data::{LocalBatch, ReadAhead, UnitSource};
use crate::learn::error::LearnError;
use crate::learn::logistic;
use crate::learn::metric::{ScoreCount, Scores};
use crate::learn::report::{SCORES_MAX, UnitReport, WorkerFigures};
use std::sync::Arc;
use std::time::Instant;

/// Rows that are read or scored together.
const ROWS: usize = 4096;
/// Units in hand, the one under way included.
const UNITS_IN_HAND: usize = 2;

struct Worker<'a> {
    cluster: &'a Cluster,
    block: BlockProblem,
    loader: Loader,
    solver: Option<Solver>,
    figures: WorkerFigures,
    bad_lines_told: u64,
}

/// Runs a worker until no work is left.
///
/// # Errors
/// What ended it early.
pub(in crate::learn) fn run(cluster: &Cluster, problem: &Problem, block: BlockProblem) -> Result<(), LearnError> {
    let mut worker = Worker {
        cluster,
        block,
        loader: Loader::default(),
        solver: None,
        figures: WorkerFigures::default(),
        bad_lines_told: 0,
    };
    let reader = |files: &[_], config: &_| {
        ReadAhead::spawn(Arc::from(files.to_vec()), Clone::clone(config), |_| ROWS)
            .map_err(|source| LearnError::System { what: "start a reader thread", source })
    };
    let train = reader(&problem.train_files, &problem.train_reader)?;
    let test = reader(&problem.test_files, &problem.test_reader)?;
    let mut queue = std::collections::VecDeque::new();
    let mut done = false;
    loop {
        while !done && queue.len() < UNITS_IN_HAND {
            cluster.ask_unit();
            let unit = if queue.is_empty() { Some(cluster.wait_unit()?) } else { cluster.try_unit() };
            match unit {
                Some(Some(unit)) => queue.push_back(worker.take(unit, &train, &test)?),
                Some(None) => done = true,
                None => break,
            }
        }
        match queue.pop_front() {
            Some((unit, item)) => worker.work(unit, &item, &train, &test)?,
            None => return Ok(()),
        }
    }
}

impl Worker<'_> {
    /// Hands the rows of a unit to the reader.
    fn take(&self, unit: Unit, train: &ReadAhead, test: &ReadAhead) -> Result<(u64, WorkItem), LearnError> {
        let item: WorkItem = postcard::from_bytes(&unit.payload)
            .map_err(|error| LearnError::Message(format!("unreadable unit of work: {error}")))?;
        let submit = |reader: &ReadAhead, source: &UnitSource| reader.submit(unit.id, *source);
        match &item {
            WorkItem::Train { source, .. } => submit(train, source),
            WorkItem::Test { source } => submit(test, source),
            WorkItem::Solve | WorkItem::EndTraining => {}
        }
        Ok((unit.id, item))
    }

    fn work(&mut self, unit: u64, item: &WorkItem, train: &ReadAhead, test: &ReadAhead) -> Result<(), LearnError> {
        let mut report = UnitReport::default();
        match item {
            WorkItem::Train { .. } => self.read(train, &mut report, |worker, _, batch| {
                worker.loader.add(batch);
                Ok(())
            })?,
            WorkItem::Solve => self.solve(unit, &mut report)?,
            WorkItem::EndTraining => self.solver()?.exchange.finish()?,
            WorkItem::Test { .. } => {
                let mut scores = Scores::default();
                self.read(test, &mut report, |worker, reader, batch| {
                    worker.score(&batch, &mut scores)?;
                    reader.recycle(batch);
                    Ok(())
                })?;
                self.add_scores(unit, &scores, &mut report);
            }
        }
        self.cluster.settle()?;
        (report.last, report.figures) = (true, self.figures());
        self.cluster.unit_done(unit, report.encode());
        Ok(())
    }

    /// Gives all rows of the reader's next unit to `take`.
    fn read(
        &mut self,
        reader: &ReadAhead,
        report: &mut UnitReport,
        mut take: impl FnMut(&mut Self, &ReadAhead, LocalBatch) -> Result<(), LearnError>,
    ) -> Result<(), LearnError> {
        loop {
            let start = Instant::now();
            let next = reader.receive()?;
            self.figures.seconds_reading += start.elapsed().as_secs_f64();
            report.bad_lines += next.bad_lines.saturating_sub(self.bad_lines_told);
            self.bad_lines_told = self.bad_lines_told.max(next.bad_lines);
            report.rows += next.batch.row_count() as u64;
            take(self, reader, next.batch)?;
            if next.progress.is_last {
                report.ended_rows = next.progress.rows_total;
                return Ok(());
            }
        }
    }

    fn solve(&mut self, unit: u64, report: &mut UnitReport) -> Result<(), LearnError> {
        let (start, waited) = (Instant::now(), self.cluster.statistics().waited);
        let table: Table<f64> = self.cluster.table(WEIGHTS)?;
        let exchange = Exchange::new(self.cluster, table, &self.block)?;
        let data = std::mem::take(&mut self.loader).finish();
        let mut solver = Solver::new(data, exchange, self.block)?;
        report.loss_sum = solver.solve(|solution| {
            let part = UnitReport { solution: Some(*solution), figures: self.figures, ..UnitReport::default() };
            self.cluster.unit_done(unit, part.encode());
        })?;
        report.solution = Some(solver.solution);
        self.solver = Some(solver);
        let waiting = self.cluster.statistics().waited.saturating_sub(waited);
        self.figures.seconds_computing += start.elapsed().saturating_sub(waiting).as_secs_f64();
        Ok(())
    }

    fn solver(&self) -> Result<&Solver, LearnError> {
        self.solver.as_ref().ok_or_else(|| LearnError::Message("a unit that needs a solution comes before it".into()))
    }

    fn score(&self, batch: &LocalBatch, scores: &mut Scores) -> Result<(), LearnError> {
        let mut weights = Vec::new();
        if !batch.unique.is_empty() {
            let keys = KeyList::new(batch.unique.clone())?;
            let values = self.solver()?.exchange.table().pull(&keys)?.wait()?;
            weights.extend(values.as_chunks::<2>().0.iter().map(|pair| pair[0] as f32));
        }
        for row in 0..batch.row_count() {
            scores.add(logistic::margin(batch, row, &weights), batch.labels[row]);
        }
        Ok(())
    }

    /// Reports scores in parts that stay small; the last of them goes into `report`.
    fn add_scores(&mut self, unit: u64, scores: &Scores, report: &mut UnitReport) {
        (report.loss_sum, report.probability_sum) = scores.sums();
        let counts: Vec<ScoreCount> = scores.counts().collect();
        let parts: Vec<&[ScoreCount]> = counts.chunks(SCORES_MAX).collect();
        let Some((last, others)) = parts.split_last() else { return };
        for part in others {
            let part = UnitReport { scores: part.to_vec(), figures: self.figures(), ..UnitReport::default() };
            self.cluster.unit_done(unit, part.encode());
        }
        report.scores = last.to_vec();
    }

    fn figures(&mut self) -> WorkerFigures {
        let statistics = self.cluster.statistics();
        WorkerFigures::update(&mut self.figures, &statistics);
        self.figures
    }
}
