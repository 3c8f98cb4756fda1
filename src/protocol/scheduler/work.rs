//! Handing out work: units for workers, tasks for shards. Both may be asked and told again after a
//! lost connection, so both carry a sequence number and are answered once.

use super::{Scheduler, SchedulerEvent};
use crate::id::{Nanos, NodeId, Role, TableId, WriterId};
use crate::protocol::machine::Output;
use crate::wire::{Assignment, ControlMessage, GivenBack, ResumePoint, Shutdown, Task, TaskReply, Unit};
use std::collections::VecDeque;

/// The workload's answer to a worker that asks for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// Do this.
    Unit(Unit),
    /// Nothing now; something may come when another worker has finished its unit.
    Wait,
    /// Nothing any more.
    Finished,
}

/// The learning program's pool of work, as the scheduler sees it. Deterministic: no clock, no chance
/// of its own.
pub trait Workload: Send {
    /// The next unit for this worker.
    fn next(&mut self, worker: WriterId) -> Offer;

    /// A worker has finished a unit or a part of it; `report` is the learning program's own account.
    ///
    /// # Errors
    /// When the report is unreadable or the job cannot go on; the job then ends so.
    fn finished(&mut self, worker: WriterId, unit: u64, report: &[u8]) -> Result<(), Shutdown>;

    /// A worker's latest figures.
    fn progress(&mut self, worker: WriterId, report: &[u8]);

    /// A worker's node is lost; reports of parts of units that it had not finished are void. Its open units are
    /// done again under its name unless nothing is left for it: then `is_adopted` is false.
    fn lost(&mut self, _worker: WriterId, _reason: &str, _is_adopted: bool) {}

    /// The process of the worker `by` does a lost worker's work from now on.
    fn adopted(&mut self, _worker: WriterId, _by: WriterId) {}

    /// A unit that a worker was given and of which another waits for what is not begun. Asked whenever
    /// something was told, until there is none.
    fn take_back(&mut self) -> Option<(WriterId, u64)> {
        None
    }

    /// What a worker gives back of a unit that it was asked for: it may be offered again, and will never be begun
    /// there. Where that is a part, gives the payload of what the worker keeps.
    ///
    /// # Errors
    /// When the part is unreadable or none of the unit; the job then ends so.
    fn released(&mut self, _worker: WriterId, _unit: u64, _given: &GivenBack) -> Result<Option<Vec<u8>>, Shutdown> {
        Ok(None)
    }

    /// Offer no more work: the job was asked to stop.
    fn stop(&mut self);

    /// The delay that a `BoundedDelay` table should have; none where it stays. Asked whenever something
    /// was told.
    fn delay(&mut self, _table: TableId) -> Option<u32> {
        None
    }

    /// From now on no pull of the table misses more than this, until it is told otherwise.
    fn on_delay_in_force(&mut self, _table: TableId, _delay_max: u32) {}
}

/// No work from the scheduler: for programs whose workers know what to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWork;

impl Workload for NoWork {
    fn next(&mut self, _: WriterId) -> Offer {
        Offer::Finished
    }

    fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), Shutdown> {
        Ok(())
    }

    fn progress(&mut self, _: WriterId, _: &[u8]) {}

    fn stop(&mut self) {}
}

/// A worker's last question and its answer, once there is one.
#[derive(Debug, Default)]
pub(super) struct Question {
    sequence: u64,
    answer: Option<Assignment>,
}

/// What a worker was given and what was heard of it.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Sequence number of the last account, which is their number.
    heard: u64,
    /// Units that the worker was given and has not finished, in order.
    pub(super) open: VecDeque<Unit>,
    /// Of these, how many its present node was not given yet.
    untold: usize,
    /// Where the writer's work goes on behind the last finished unit.
    pub(super) resume: ResumePoint,
    /// The unit that it was asked to give back.
    pub(super) release: Option<u64>,
}

impl Account {
    /// Another node takes the writer's place.
    pub(super) fn begin_again(&mut self) {
        (self.heard, self.untold, self.release) = (0, self.open.len(), None);
    }

    /// Whether the writer's present node was given all open units, and this is one of them.
    pub(super) fn has_told(&self, unit: u64) -> bool {
        self.untold == 0 && self.open.iter().any(|open| open.id == unit)
    }

    /// The next of the open units that the writer's present node was not given.
    fn next_untold(&mut self) -> Option<Unit> {
        self.untold = self.untold.checked_sub(1)?;
        self.open.get(self.open.len() - self.untold - 1).cloned()
    }
}

/// The task that a shard is busy with.
#[derive(Debug)]
pub(super) struct OpenTask {
    sequence: u64,
    task: Task,
}

impl Scheduler {
    /// Lets the workers begin; their questions are answered from now on.
    pub fn begin_work(&mut self) {
        self.working = true;
        self.check_delays();
        self.answer_questions();
    }

    /// Offers no more work; [`SchedulerEvent::WorkFinished`] follows when the workers are through.
    pub fn stop_work(&mut self) {
        self.workload.stop();
        self.begin_work();
    }

    /// Gives a shard a task. One at a time for each shard.
    pub fn begin_task(&mut self, node: NodeId, task: Task) {
        self.task_sequence += 1;
        let sequence = self.task_sequence;
        self.say(node, &ControlMessage::Task { sequence, task: task.clone() });
        self.tasks.insert(node, OpenTask { sequence, task });
    }

    pub(super) fn on_task_done(&mut self, from: NodeId, sequence: u64, reply: TaskReply) {
        if self.tasks.get(&from).is_some_and(|open| open.sequence == sequence) {
            self.tasks.remove(&from);
            self.outputs.push_back(Output::Event(SchedulerEvent::TaskDone { node: from, reply }));
        }
    }

    /// Says the open tasks again; a shard that knows them drops them.
    pub(super) fn repeat_tasks(&mut self) {
        let tasks = self.tasks.iter();
        let tasks: Vec<_> = tasks.map(|(&node, open)| (node, open.sequence, open.task.clone())).collect();
        for (node, sequence, task) in tasks {
            self.say(node, &ControlMessage::Task { sequence, task });
        }
    }

    pub(super) fn on_next_unit(&mut self, from: NodeId, sequence: u64) {
        if from.role() != Some(Role::Worker) {
            return;
        }
        let question = self.questions.entry(from).or_default();
        if sequence < question.sequence {
            return;
        }
        if sequence == question.sequence {
            if let Some(assignment) = question.answer.clone() {
                self.say(from, &ControlMessage::Assigned { sequence, assignment });
            }
            return;
        }
        *question = Question { sequence, answer: None };
        self.answer_questions();
    }

    /// Takes an account once, in order; one that came too early is said again by the worker.
    pub(super) fn on_unit_done(
        &mut self,
        now: Nanos,
        from: NodeId,
        sequence: u64,
        (unit, report, resume): (u64, &[u8], Option<ResumePoint>),
    ) {
        if from.role() != Some(Role::Worker) {
            return;
        }
        let account = self.accounts.entry(from).or_default();
        if sequence == account.heard + 1 {
            account.heard = sequence;
            if let Some(resume) = resume {
                account.open.retain(|open| open.id != unit);
                account.resume = resume;
                // What is done need not be given back.
                account.release = account.release.filter(|&asked| asked != unit);
            }
            if let Err(shutdown) = self.workload.finished(WriterId(from.rank()), unit, report) {
                self.end(now, shutdown);
                return;
            }
        }
        let sequence = self.accounts.get(&from).map_or(0, |account| account.heard);
        self.say(from, &ControlMessage::UnitDoneHeard { sequence });
        self.check_delays();
        self.answer_questions();
    }

    /// Answers every worker that waits and can be given something.
    pub(super) fn answer_questions(&mut self) {
        if !self.working || self.ending.is_some() {
            return;
        }
        let open: Vec<_> = self.questions.iter().filter(|(_, question)| question.answer.is_none()).collect();
        let open: Vec<_> = open.into_iter().map(|(&node, question)| (node, question.sequence)).collect();
        for (node, sequence) in open {
            let Some(assignment) = self.assign(node) else { continue };
            if let Some(question) = self.questions.get_mut(&node) {
                question.answer = Some(assignment.clone());
            }
            self.say(node, &ControlMessage::Assigned { sequence, assignment });
        }
        self.check_work_finished();
        self.take_units_back();
    }

    /// What a worker is to do next, if that is known: first what was open when its former node was lost.
    fn assign(&mut self, node: NodeId) -> Option<Assignment> {
        let account = self.accounts.entry(node).or_default();
        if let Some(unit) = account.next_untold() {
            return Some(Assignment::Unit(unit));
        }
        match self.workload.next(WriterId(node.rank())) {
            Offer::Unit(unit) => {
                account.open.push_back(unit.clone());
                Some(Assignment::Unit(unit))
            }
            Offer::Finished => Some(Assignment::Finished),
            Offer::Wait => None,
        }
    }

    /// A worker is through when it was told so and its accounts of all units were heard, in
    /// whatever order its messages came.
    fn check_work_finished(&mut self) {
        let mut workers = self.nodes.keys().filter(|node| node.role() == Some(Role::Worker));
        if !self.work_finished && workers.all(|&node| self.is_through(node)) {
            self.work_finished = true;
            self.outputs.push_back(Output::Event(SchedulerEvent::WorkFinished));
        }
    }

    pub(super) fn is_through(&self, node: NodeId) -> bool {
        let answer = self.questions.get(&node).and_then(|question| question.answer.as_ref());
        let owes = self.accounts.get(&node).is_some_and(|account| !account.open.is_empty());
        matches!(answer, Some(Assignment::Finished)) && !owes
    }
}
