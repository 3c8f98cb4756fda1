//! Borrowed memory that answers land in and pushes are sent from, for the time of a call.
//!
//! The call returns when no device and no queue knows the memory any more: pulls that were not waited for
//! are given up, pushes are delivered first. It does not rest on what the program drops or forgets.

use super::engine::Shared;
use super::error::ClientError;
use super::key_list::KeyList;
use super::pending::{Outcome, Pending, Pushed};
use super::table::Table;
use super::values::Number;
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use crate::memory::{Block, LendScope, Lent, Pool};
use crate::node;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two looks at memory that a job which has ended still holds.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What a pull into lent memory gives: the values lie there, to be read when the scope is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed;

/// Pushes and pulls that work on memory of `'env`; see [`Cluster::scope`](super::Cluster::scope).
pub struct Scope<'scope, 'env: 'scope> {
    memory: &'scope LendScope<'scope, 'env>,
    open: Arc<Open>,
}

/// The operations that were begun in one scope.
struct Open {
    shared: Arc<Shared>,
    pulls: Mutex<Vec<Timestamp>>,
    pushes: Mutex<Vec<Timestamp>>,
}

/// Runs `work`; returns when its memory is free.
pub(super) fn run<'env, R>(
    shared: &Arc<Shared>,
    pool: &Arc<Pool>,
    work: impl for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
) -> R {
    let open = Arc::new(Open { shared: Arc::clone(shared), pulls: Mutex::default(), pushes: Mutex::default() });
    let at_the_end = Arc::clone(&open);
    pool.lend(|is_free| at_the_end.wait(is_free), |memory| work(&Scope { memory, open }))
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Lends memory until the scope is over. One operation at a time may work on it.
    pub fn register<T: Number>(&self, memory: &'env mut [T]) -> Lent<'scope, T> {
        self.memory.lend(memory)
    }

    /// Begins to pull `width` numbers per key into memory of exactly that many.
    ///
    /// # Errors
    /// When the keys do not fit the table or the memory, an operation works on the memory, or the job has ended.
    pub fn pull<T: Number>(
        &self,
        table: &Table<T>,
        keys: &KeyList,
        into: &Lent<'scope, T>,
    ) -> Result<Pending<Landed>, ClientError> {
        let pending = table.begin_pull_into(&table.request(table.whole(), Some(keys.keys()), &[]), take(into)?)?;
        note(&self.open.pulls, &pending);
        Ok(pending)
    }

    /// Begins to pull every key of a range into memory of exactly as many numbers.
    ///
    /// # Errors
    /// As [`Scope::pull`].
    pub fn pull_range<T: Number>(
        &self,
        table: &Table<T>,
        range: KeyRange,
        into: &Lent<'scope, T>,
    ) -> Result<Pending<Landed>, ClientError> {
        let pending = table.begin_pull_into(&table.request(range, None, &[]), take(into)?)?;
        note(&self.open.pulls, &pending);
        Ok(pending)
    }

    /// Begins to push the numbers of lent memory, `width` per key.
    ///
    /// # Errors
    /// As [`Scope::pull`]; nothing was sent.
    pub fn push<T: Number>(
        &self,
        table: &Table<T>,
        keys: &KeyList,
        from: &Lent<'scope, T>,
    ) -> Result<Pending<Pushed>, ClientError> {
        let request = table.request(table.whole(), Some(keys.keys()), &[]);
        let pending = table.begin_push(&request, take(from)?.freeze())?;
        note(&self.open.pushes, &pending);
        Ok(pending)
    }

    /// Begins to push to every key of a range.
    ///
    /// # Errors
    /// As [`Scope::push`].
    pub fn push_range<T: Number>(
        &self,
        table: &Table<T>,
        range: KeyRange,
        from: &Lent<'scope, T>,
    ) -> Result<Pending<Pushed>, ClientError> {
        let pending = table.begin_push(&table.request(range, None, &[]), take(from)?.freeze())?;
        note(&self.open.pushes, &pending);
        Ok(pending)
    }
}

fn take<T>(memory: &Lent<'_, T>) -> Result<Block, ClientError> {
    memory.take().ok_or(ClientError::InUse)
}

fn note<T>(open: &Mutex<Vec<Timestamp>>, pending: &Pending<T>) {
    open.lock().unwrap_or_else(PoisonError::into_inner).push(pending.timestamp());
}

impl Open {
    /// Lets go of what is under way, as far as may be, and waits until the memory is free.
    fn wait(&self, is_free: &dyn Fn() -> bool) {
        let waited = self.shared.wait_for(|inner| {
            let has_ended = inner.ended.is_some();
            let given_up = [Some(&self.pulls), has_ended.then_some(&self.pushes)];
            for open in given_up.into_iter().flatten() {
                for timestamp in open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                    inner.worker().cancel(node::now(), timestamp);
                }
            }
            is_free().then_some(())
        });
        if waited.is_err() {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Outcome for Landed {
    fn take_from(pending: &mut Pending<Landed>) -> Result<Landed, ClientError> {
        let taken = pending.take(|worker, timestamp| worker.is_kept(timestamp).then(|| worker.take_pulled(timestamp)));
        // The memory goes home to its scope, unless that has ended and has it.
        drop(taken.ok_or(ClientError::GivenUp)??);
        Ok(Landed)
    }
}
