//! The pool of work: passes over the training units, then the test units.
//!
//! A worker that asks gets the next unit of the pass; the last pass ends for each worker with
//! [`WorkItem::EndTraining`], and with an algorithm that keeps its rows in memory before that with
//! [`WorkItem::Solve`]; the test begins when every worker has done that. Under `Sequential`
//! unit `i` of a file belongs to writer `i mod W`, whoever asks first, so that what a writer learns
//! depends on the data and the number of writers alone.
//!
//! A worker whose node is lost keeps its open units: they are done again under its name. Under `Sequential`
//! it then goes on as before; otherwise it gets no further ones.
//!
//! When nothing is left to be given and a worker has nothing, others give up what they have not begun
//! (`straggler`): a whole unit, or the rest of one, which then is a unit of its own in as many parts as are wanted.
//! Every example is in one unit at every moment: a unit ends where the rest begins from the moment when the rest is
//! here, and the scheduler gives the shorter one to whoever takes a lost worker's place
//! (`protocol::scheduler::release`).

use super::config::WorkItem;
use super::data::{UnitCursor, UnitPlan, UnitSource};
use super::progress::Progress;
use super::report::{UnitReport, WorkerFigures};
use super::straggler::Stragglers;
use crate::client::{DelayPolicy, GivenBack, Offer, Shutdown, Unit, Workload};
use crate::error::ExitCode;
use crate::id::{TableId, WriterId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a writer stands in the passes.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    pass: u32,
    cursor: UnitCursor,
    /// File of the last unit, and its number among the file's units.
    last: Option<(u32, u64)>,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Training,
    /// Was told to solve.
    Solving,
    /// Was told to end training; `true` when it has.
    Ending(bool),
}

/// A unit that a worker was given and has not finished.
struct Open {
    writer: WriterId,
    item: WorkItem,
    /// Whether its rest was given to others.
    is_cut: bool,
    /// Accounts of parts of it, which count when the last is there.
    parts: Vec<UnitReport>,
}

/// The pool of work of one training job.
pub struct TrainWorkload {
    train: UnitPlan,
    test: UnitPlan,
    passes: u32,
    solves: bool,
    /// One place a writer under `Sequential`, one for all otherwise.
    places: Vec<Place>,
    stages: Vec<Stage>,
    test_cursor: UnitCursor,
    open: BTreeMap<u64, Open>,
    /// What workers gave back.
    returned: VecDeque<WorkItem>,
    stragglers: Option<Stragglers>,
    /// Workers that do only what is open.
    left: BTreeSet<WriterId>,
    sequential: bool,
    next_unit: u64,
    stopped: bool,
    delay: DelayPolicy,
    /// The figures by which the delay was last chosen.
    told: BTreeMap<WriterId, WorkerFigures>,
    progress: Arc<Mutex<Progress>>,
}

impl TrainWorkload {
    /// A pool of `passes` over the units of `train`, then one over `test`.
    #[must_use]
    pub fn new(
        train: UnitPlan,
        test: UnitPlan,
        passes: u32,
        workers: u32,
        sequential: bool,
        progress: Arc<Mutex<Progress>>,
    ) -> TrainWorkload {
        let workers = workers as usize;
        TrainWorkload {
            train,
            test,
            passes,
            solves: false,
            places: vec![Place::default(); if sequential { workers } else { 1 }],
            stages: vec![Stage::Training; workers],
            test_cursor: UnitCursor::default(),
            open: BTreeMap::new(),
            returned: VecDeque::new(),
            stragglers: None,
            left: BTreeSet::new(),
            sequential,
            next_unit: 0,
            stopped: false,
            delay: DelayPolicy::Fixed(0),
            told: BTreeMap::new(),
            progress,
        }
    }

    /// The same pool, with a rule for the delay of a table that has one.
    #[must_use]
    pub fn with_delay(self, delay: DelayPolicy) -> TrainWorkload {
        TrainWorkload { delay, ..self }
    }

    /// The same pool, in which each worker that has read its rows solves for the weights.
    #[must_use]
    pub fn then_solve(self) -> TrainWorkload {
        TrainWorkload { solves: true, ..self }
    }

    /// The same pool, that takes back what slow workers have not begun when others have nothing to do. Not for
    /// `Sequential` tables.
    #[must_use]
    pub fn with_stragglers(self) -> TrainWorkload {
        TrainWorkload { stragglers: Some(Stragglers::default()), ..self }
    }

    /// Training units that workers hold, in the order in which they were given.
    fn held(&self) -> Vec<(WriterId, u64)> {
        let is_held = |open: &Open| matches!(open.item, WorkItem::Train { .. }) && !self.left.contains(&open.writer);
        self.open.iter().filter(|(_, open)| is_held(open)).map(|(&unit, open)| (open.writer, unit)).collect()
    }

    /// Whether a worker without a unit should wait for one that another gives back.
    fn waits_for_others(&mut self, worker: WriterId) -> bool {
        let held = self.held();
        !self.stopped && self.stragglers.as_mut().is_some_and(|stragglers| stragglers.waits(worker, &held))
    }

    /// Chooses the delay by a worker's latest figures and by what is done.
    fn choose_delay(&mut self, worker: WriterId, now: WorkerFigures) {
        let before = self.told.insert(worker, now).unwrap_or_default();
        self.delay.on_waited(now.seconds_waiting - before.seconds_waiting, now.seconds() - before.seconds());
        let share = self.figures().share_done(self.passes);
        share.into_iter().for_each(|share| self.delay.on_done(share));
    }

    fn figures(&self) -> MutexGuard<'_, Progress> {
        // Figures are only added to; a panic elsewhere leaves them readable.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer's next training unit.
    fn next_training(&mut self, writer: WriterId) -> Option<WorkItem> {
        if let Some(item) = self.returned.pop_front().filter(|_| !self.stopped) {
            return Some(item);
        }
        if self.left.contains(&writer) {
            return None;
        }
        let count = self.places.len();
        let index = writer.0 as usize % count;
        let place = &mut self.places[index];
        while !self.stopped && place.pass < self.passes {
            let Some(source) = self.train.next_unit(&mut place.cursor) else {
                *place = Place { pass: place.pass + 1, ..Place::default() };
                continue;
            };
            let file = source.file();
            let number = place.last.map_or(0, |(last, number)| if last == file { number + 1 } else { 0 });
            place.last = Some((file, number));
            if number % count as u64 == index as u64 {
                return Some(WorkItem::Train { pass: place.pass, source });
            }
        }
        None
    }

    fn next_item(&mut self, writer: WriterId) -> Result<WorkItem, Offer> {
        let worker = writer.0 as usize;
        if worker >= self.stages.len() {
            return Err(Offer::Finished);
        }
        if self.stages[worker] == Stage::Training {
            if let Some(item) = self.next_training(writer) {
                return Ok(item);
            }
            if !self.left.contains(&writer) && self.waits_for_others(writer) {
                return Err(Offer::Wait);
            }
            if self.solves {
                self.stages[worker] = Stage::Solving;
                return Ok(WorkItem::Solve);
            }
        }
        if matches!(self.stages[worker], Stage::Training | Stage::Solving) {
            self.stages[worker] = Stage::Ending(false);
            return Ok(WorkItem::EndTraining);
        }
        if self.left.contains(&writer) && self.stages[worker] == Stage::Ending(true) {
            return Err(Offer::Finished);
        }
        if self.stages.iter().any(|stage| *stage != Stage::Ending(true)) {
            return Err(Offer::Wait);
        }
        let source = if self.stopped { None } else { self.test.next_unit(&mut self.test_cursor) };
        match source {
            Some(source) => Ok(WorkItem::Test { source }),
            None if self.open.values().any(|open| open.writer == writer) => Err(Offer::Wait),
            None => Err(Offer::Finished),
        }
    }

    /// A worker has given up the rest of a unit: gives what it keeps.
    fn cut(&mut self, worker: WriterId, unit: u64, rest: UnitSource) -> Result<WorkItem, Shutdown> {
        let parts = 1 + self.stragglers.as_ref().map_or(0, Stragglers::idle_count);
        let cut = self.open.get_mut(&unit).and_then(|open| {
            let WorkItem::Train { pass, source } = open.item else { return None };
            open.is_cut = true;
            open.item = WorkItem::Train { pass, source: source.before(&rest)? };
            Some((pass, open.item.clone()))
        });
        let Some((pass, kept)) = cut else {
            let message = format!("worker {} gives up {rest:?}, which is not the rest of its unit", worker.0);
            return Err(Shutdown { exit_code: ExitCode::BadInput as u8, message });
        };
        self.stragglers.iter_mut().for_each(|stragglers| stragglers.on_answered(unit));
        let parts = rest.parts(parts);
        self.figures().on_cut(parts.len() as u64);
        self.returned.extend(parts.into_iter().map(|source| WorkItem::Train { pass, source }));
        Ok(kept)
    }

    /// A unit is done, and all its accounts are there.
    fn end_unit(&mut self, unit: u64, Open { writer, item, parts, .. }: &Open) -> Result<(), Shutdown> {
        for report in parts {
            self.figures()
                .on_report(*writer, item, report)
                .map_err(|message| Shutdown { exit_code: ExitCode::Limit as u8, message })?;
            self.choose_delay(*writer, report.figures);
        }
        self.stragglers.iter_mut().for_each(|stragglers| stragglers.on_gone(unit));
        match (item, parts.last().and_then(|report| report.ended_rows)) {
            (WorkItem::EndTraining, _) => self.stages[writer.0 as usize] = Stage::Ending(true),
            (WorkItem::Train { source, .. }, Some(rows)) => self.train.on_ended(source.file(), rows),
            (WorkItem::Test { source }, Some(rows)) => self.test.on_ended(source.file(), rows),
            _ => {}
        }
        Ok(())
    }
}

fn encode(item: &WorkItem) -> Vec<u8> {
    match postcard::to_stdvec(item) {
        Ok(payload) => payload,
        Err(error) => unreachable!("work items encode into memory: {error}"),
    }
}

impl Workload for TrainWorkload {
    fn next(&mut self, worker: WriterId) -> Offer {
        if let Some(stragglers) = &mut self.stragglers {
            stragglers.on_asks(worker);
        }
        let item = match self.next_item(worker) {
            Ok(item) => item,
            Err(offer) => return offer,
        };
        let payload = encode(&item);
        let id = self.next_unit;
        self.next_unit += 1;
        self.figures().on_offered(&item, self.train.unit_count());
        self.open.insert(id, Open { writer: worker, item, is_cut: false, parts: Vec::new() });
        Offer::Unit(Unit { id, payload })
    }

    fn finished(&mut self, worker: WriterId, unit: u64, report: &[u8]) -> Result<(), Shutdown> {
        let report = UnitReport::decode(report).map_err(|reason| Shutdown {
            exit_code: ExitCode::BadInput as u8,
            message: format!("worker {}: {reason}; run the same release on every node", worker.0),
        })?;
        let is_last = report.last;
        // Its answer may be on its way still.
        if let Some(rest) = report.rest
            && self.open.get(&unit).is_some_and(|open| !open.is_cut)
        {
            self.cut(worker, unit, rest)?;
        }
        let Some(open) = self.open.get_mut(&unit) else { return Ok(()) };
        open.parts.push(report);
        if is_last {
            let open = self.open.remove(&unit);
            open.map_or(Ok(()), |open| self.end_unit(unit, &open))?;
        }
        Ok(())
    }

    fn lost(&mut self, worker: WriterId, reason: &str, is_adopted: bool) {
        self.told.remove(&worker);
        if !self.sequential || !is_adopted {
            self.left.insert(worker);
        }
        self.stragglers.iter_mut().for_each(|stragglers| stragglers.on_asks(worker));
        for (&unit, open) in self.open.iter_mut().filter(|(_, open)| open.writer == worker) {
            open.parts.clear();
            self.stragglers.iter_mut().for_each(|stragglers| stragglers.on_answered(unit));
        }
        self.figures().on_lost(worker, reason);
    }

    fn adopted(&mut self, worker: WriterId, by: WriterId) {
        self.figures().on_adopted(worker, by);
    }

    fn take_back(&mut self) -> Option<(WriterId, u64)> {
        let held = self.held();
        self.stragglers.as_mut()?.next(&held)
    }

    fn released(&mut self, worker: WriterId, unit: u64, given: &GivenBack) -> Result<Option<Vec<u8>>, Shutdown> {
        match given {
            GivenBack::Nothing => self.stragglers.iter_mut().for_each(|stragglers| stragglers.on_answered(unit)),
            GivenBack::Whole => {
                self.stragglers.iter_mut().for_each(|stragglers| stragglers.on_gone(unit));
                if let Some(Open { item, .. }) = self.open.remove(&unit) {
                    self.figures().on_taken_back();
                    self.returned.push_back(item);
                }
            }
            GivenBack::Rest(rest) => {
                let rest = postcard::from_bytes(rest).map_err(|error| Shutdown {
                    exit_code: ExitCode::BadInput as u8,
                    message: format!("worker {}: unreadable rest of a unit: {error}", worker.0),
                })?;
                return self.cut(worker, unit, rest).map(|kept| Some(encode(&kept)));
            }
        }
        Ok(None)
    }

    fn progress(&mut self, worker: WriterId, report: &[u8]) {
        // An unreadable one is of no account: the next comes soon, and the unit's own is checked.
        if let Ok(figures) = postcard::from_bytes(report) {
            self.choose_delay(worker, figures);
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn delay(&mut self, _table: TableId) -> Option<u32> {
        Some(self.delay.delay_max())
    }

    fn on_delay_in_force(&mut self, _table: TableId, delay_max: u32) {
        self.figures().on_delay(delay_max);
    }
}
