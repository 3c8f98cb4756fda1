//! A table as a worker program sees it.

use super::engine::Shared;
use super::error::ClientError;
use super::key_list::KeyList;
use super::pending::{Pending, Pushed};
use super::registered::Registered;
use super::values::{Number, Source, Values};
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use crate::memory::{Block, Pool, TxBuf, copy_counted};
use crate::node;
use crate::node::{Keys, OperationError, Request, Worker};
use crate::wire::{Consistency, TableSpec};
use std::marker::PhantomData;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A table of numbers of type `T`.
pub struct Table<T> {
    pub(super) shared: Arc<Shared>,
    pool: Arc<Pool>,
    pub(super) spec: Arc<TableSpec>,
    /// A rule for the pulls of this handle.
    consistency: Option<Consistency>,
    number: PhantomData<T>,
}

impl<T: Number> Table<T> {
    pub(super) fn new(shared: &Arc<Shared>, pool: &Arc<Pool>, spec: TableSpec) -> Result<Table<T>, ClientError> {
        if spec.dtype != T::DTYPE {
            return Err(ClientError::Type { table: spec.name, found: spec.dtype, wanted: T::DTYPE });
        }
        let (shared, pool, spec) = (Arc::clone(shared), Arc::clone(pool), Arc::new(spec));
        Ok(Table { shared, pool, spec, consistency: None, number: PhantomData })
    }

    /// The same table, read by another rule: its pulls demand what `consistency` says, at this worker's
    /// time. On an `Eventual` table nothing stronger is possible, for its writers do not tell their times.
    #[must_use]
    pub fn reading(&self, consistency: Consistency) -> Table<T> {
        let (shared, pool, spec) = (Arc::clone(&self.shared), Arc::clone(&self.pool), Arc::clone(&self.spec));
        Table { shared, pool, spec, consistency: Some(consistency), number: PhantomData }
    }

    /// The rule that this handle's pulls follow now; the scheduler may change a table's delay.
    #[must_use]
    pub fn consistency(&self) -> Consistency {
        let now = || self.shared.enter().worker().consistency(self.spec.id);
        self.consistency.or_else(now).unwrap_or(self.spec.consistency)
    }

    /// What the table is.
    #[must_use]
    pub fn spec(&self) -> &TableSpec {
        &self.spec
    }

    /// Room for `count` numbers in pool memory, to fill and push without a copy. The content is undefined.
    #[must_use]
    pub fn values(&self, count: usize) -> Values<T> {
        Values::new(self.pool.block(count * size_of::<T>()))
    }

    /// Begins to push `width` numbers per key, in key order.
    ///
    /// # Errors
    /// When the values do not fit the keys or the job has ended; nothing was sent.
    pub fn push(&self, keys: &KeyList, values: impl Into<Source<T>>) -> Result<Pending<Pushed>, ClientError> {
        self.push_after(keys, values, &[])
    }

    /// Like [`Table::push`], applied only after these earlier operations of this worker.
    ///
    /// # Errors
    /// As [`Table::push`].
    pub fn push_after(
        &self,
        keys: &KeyList,
        values: impl Into<Source<T>>,
        after: &[Timestamp],
    ) -> Result<Pending<Pushed>, ClientError> {
        self.begin_push(&self.request(self.whole(), Some(keys.keys()), after), values.into().into_buffer())
    }

    /// Like [`Table::push`], for keys that stay the caller's: they are copied, checked and hashed in
    /// full at each call. A list that comes again is better a [`KeyList`].
    ///
    /// # Errors
    /// As [`Table::push`], and when the keys are not strictly ascending.
    pub fn push_slice(&self, keys: &[u64], values: impl Into<Source<T>>) -> Result<Pending<Pushed>, ClientError> {
        self.begin_push(&self.request(self.whole(), Some(self.copied(keys)), &[]), values.into().into_buffer())
    }

    /// Begins to push to every key of a range: `range.span() * width` numbers.
    ///
    /// # Errors
    /// As [`Table::push`].
    pub fn push_range(&self, range: KeyRange, values: impl Into<Source<T>>) -> Result<Pending<Pushed>, ClientError> {
        self.begin_push(&self.request(range, None, &[]), values.into().into_buffer())
    }

    /// Begins to pull `width` numbers per key, in key order. A key that was never pushed has zeros.
    ///
    /// # Errors
    /// When the keys do not fit the table or the job has ended.
    pub fn pull(&self, keys: &KeyList) -> Result<Pending<Values<T>>, ClientError> {
        self.pull_after(keys, &[])
    }

    /// Like [`Table::pull`], answered only after these earlier operations of this worker.
    ///
    /// # Errors
    /// As [`Table::pull`].
    pub fn pull_after(&self, keys: &KeyList, after: &[Timestamp]) -> Result<Pending<Values<T>>, ClientError> {
        self.begin_pull(&self.request(self.whole(), Some(keys.keys()), after))
    }

    /// Like [`Table::pull`], for the time that this worker has after `ahead` more ticks. None where that
    /// pull would have to wait for this worker's own pushes: the delay is less than `ahead`, or there is
    /// none. The delay is the table's, as it holds at this moment.
    ///
    /// # Errors
    /// As [`Table::pull`].
    pub fn pull_ahead(&self, keys: &KeyList, ahead: u32) -> Result<Option<Pending<Values<T>>>, ClientError> {
        self.begin_pull_ahead(&Request { ahead, ..self.request(self.whole(), Some(keys.keys()), &[]) })
    }

    pub(super) fn begin_pull_ahead(&self, request: &Request<'_>) -> Result<Option<Pending<Values<T>>>, ClientError> {
        let timestamp = self.begin(|worker| match worker.may_pull_ahead(self.spec.id, request.ahead) {
            true => worker.pull(node::now(), request).map(Some),
            false => Ok(None),
        })?;
        Ok(timestamp.map(|timestamp| Pending::new(&self.shared, timestamp)))
    }

    /// Like [`Table::pull`], for keys that stay the caller's; see [`Table::push_slice`].
    ///
    /// # Errors
    /// As [`Table::pull`], and when the keys are not strictly ascending.
    pub fn pull_slice(&self, keys: &[u64]) -> Result<Pending<Values<T>>, ClientError> {
        self.begin_pull(&self.request(self.whole(), Some(self.copied(keys)), &[]))
    }

    /// Begins to pull every key of a range.
    ///
    /// # Errors
    /// As [`Table::pull`].
    pub fn pull_range(&self, range: KeyRange) -> Result<Pending<Values<T>>, ClientError> {
        self.begin_pull(&self.request(range, None, &[]))
    }

    /// Ends this worker's time on the table: later pushes belong to the next one.
    ///
    /// # Errors
    /// When the job has ended.
    pub fn tick(&self) -> Result<(), ClientError> {
        self.shared.enter().send(|worker| worker.tick(node::now(), self.spec.id))
    }

    /// Says that this worker pushes no more: nobody waits for it any longer.
    ///
    /// # Errors
    /// When the job has ended.
    pub fn finish(&self) -> Result<(), ClientError> {
        self.shared.enter().send(|worker| worker.finish(node::now(), self.spec.id))
    }

    pub(super) fn whole(&self) -> KeyRange {
        KeyRange::new(0, self.spec.key_end)
    }

    pub(super) fn request<'a>(&self, range: KeyRange, keys: Option<Keys>, after: &'a [Timestamp]) -> Request<'a> {
        Request { table: self.spec.id, range, keys, after, consistency: self.consistency, ahead: 0, name: None }
    }

    /// Keys in memory of the node's pool: the call returns before they are sent.
    fn copied(&self, keys: &[u64]) -> Keys {
        let mut block = self.pool.block(size_of_val(keys));
        copy_counted(&mut block, keys.as_bytes());
        Keys::once(block.freeze())
    }

    /// As [`Table::push`], from memory that devices know, which comes back with the acknowledgement.
    ///
    /// # Errors
    /// As [`Table::push`]; the memory is freed then.
    pub fn push_from(&self, keys: &KeyList, memory: Registered<T>) -> Result<Pending<Registered<T>>, ClientError> {
        self.begin_push_from(&self.request(self.whole(), Some(keys.keys()), &[]), memory)
    }

    /// As [`Table::push_range`], from memory that devices know, which comes back with the acknowledgement.
    ///
    /// # Errors
    /// As [`Table::push`]; the memory is freed then.
    pub fn push_range_from(
        &self,
        range: KeyRange,
        memory: Registered<T>,
    ) -> Result<Pending<Registered<T>>, ClientError> {
        self.begin_push_from(&self.request(range, None, &[]), memory)
    }

    /// As [`Table::pull`], into memory that devices know, of exactly as many numbers.
    ///
    /// # Errors
    /// As [`Table::pull`], and when the memory is of another length; the memory is freed then.
    pub fn pull_into(&self, keys: &KeyList, memory: Registered<T>) -> Result<Pending<Registered<T>>, ClientError> {
        self.begin_pull_into(&self.request(self.whole(), Some(keys.keys()), &[]), memory.into_block())
    }

    /// As [`Table::pull_range`], into memory that devices know, of exactly as many numbers.
    ///
    /// # Errors
    /// As [`Table::pull_into`].
    pub fn pull_range_into(
        &self,
        range: KeyRange,
        memory: Registered<T>,
    ) -> Result<Pending<Registered<T>>, ClientError> {
        self.begin_pull_into(&self.request(range, None, &[]), memory.into_block())
    }

    fn begin_push_from(
        &self,
        request: &Request<'_>,
        memory: Registered<T>,
    ) -> Result<Pending<Registered<T>>, ClientError> {
        let source = memory.into_block().freeze();
        let timestamp = self.begin(|worker| worker.push(node::now(), request, source.clone()))?;
        Ok(Pending::of_source(&self.shared, timestamp, source))
    }

    pub(super) fn begin_push(&self, request: &Request<'_>, values: TxBuf) -> Result<Pending<Pushed>, ClientError> {
        let timestamp = self.begin(|worker| worker.push(node::now(), request, values))?;
        Ok(Pending::new(&self.shared, timestamp))
    }

    pub(super) fn begin_pull(&self, request: &Request<'_>) -> Result<Pending<Values<T>>, ClientError> {
        let timestamp = self.begin(|worker| worker.pull(node::now(), request))?;
        Ok(Pending::new(&self.shared, timestamp))
    }

    /// A pull into memory of the program; `O` is what it gives back.
    pub(super) fn begin_pull_into<O>(&self, request: &Request<'_>, into: Block) -> Result<Pending<O>, ClientError> {
        let timestamp = self.begin(|worker| worker.pull_into(node::now(), request, into))?;
        Ok(Pending::new(&self.shared, timestamp))
    }

    /// Begins an operation when there is room for another one.
    pub(super) fn begin<O>(
        &self,
        begin: impl FnOnce(&mut Worker) -> Result<O, OperationError>,
    ) -> Result<O, ClientError> {
        let mut inner = self.shared.enter();
        inner.wait_for(|inner| inner.worker().has_room().then_some(()))?;
        inner.send(begin)
    }
}
