//! One time of a worker on a table, whose operations are named before they begin.
//!
//! A name tells the place of an operation in the worker's work. Calls that take their names in the order in
//! which they happen to be made cannot be made again by another worker, when this one is lost while several
//! pulls are under way. A step takes all its names when it begins: one for its pull, one for its push, and
//! one for the end of its time. So a program whose steps are a function of the work that it is given can be
//! started again behind the last unit that it finished, and every shard knows what it has.

use super::error::ClientError;
use super::key_list::KeyList;
use super::pending::{Pending, Pushed};
use super::table::Table;
use super::values::{Number, Source, Values};
use crate::id::Timestamp;
use crate::node::{self, Request};

/// Names of one step: pull, push, end.
const NAMES: u64 = 3;

/// A step that has begun. Each of its operations is made at most once.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    first: Timestamp,
}

impl Step {
    /// Its first name.
    pub(super) fn first(&self) -> Timestamp {
        self.first
    }

    fn pull(&self) -> Timestamp {
        self.first
    }

    fn push(&self) -> Timestamp {
        Timestamp(self.first.0 + 1)
    }

    fn end(&self) -> Timestamp {
        Timestamp(self.first.0 + 2)
    }
}

impl<T: Number> Table<T> {
    /// Begins a step, behind all that have begun.
    #[must_use]
    pub fn begin_step(&self) -> Step {
        Step { first: self.shared.enter().worker().reserve(NAMES as usize) }
    }

    /// Like [`Table::pull_ahead`], as the step's pull.
    ///
    /// # Errors
    /// As [`Table::pull`], and when the step has pulled before.
    pub fn pull_step(
        &self,
        step: &Step,
        keys: &KeyList,
        ahead: u32,
    ) -> Result<Option<Pending<Values<T>>>, ClientError> {
        let request = self.request(self.whole(), Some(keys.keys()), &[]);
        self.begin_pull_ahead(&Request { ahead, name: Some(step.pull()), ..request })
    }

    /// Like [`Table::push`], as the step's push.
    ///
    /// # Errors
    /// As [`Table::push`], and when the step has pushed before.
    pub fn push_step(
        &self,
        step: &Step,
        keys: &KeyList,
        values: impl Into<Source<T>>,
    ) -> Result<Pending<Pushed>, ClientError> {
        let request = self.request(self.whole(), Some(keys.keys()), &[]);
        self.begin_push(&Request { name: Some(step.push()), ..request }, values.into().into_buffer())
    }

    /// Ends the step and this worker's time on the table, like [`Table::tick`].
    ///
    /// # Errors
    /// When the job has ended.
    pub fn end_step(&self, step: Step) -> Result<(), ClientError> {
        let end = step.end();
        self.shared.enter().send(|worker| {
            let outcome = worker.tick_as(node::now(), self.spec.id, end);
            [step.pull(), step.push()].into_iter().for_each(|name| worker.release_name(name));
            outcome
        })
    }

    /// Ends a step that pushes nothing: the worker's time goes on.
    pub fn skip_step(&self, step: Step) {
        let mut inner = self.shared.enter();
        [step.pull(), step.push(), step.end()].into_iter().for_each(|name| inner.worker().release_name(name));
    }
}
