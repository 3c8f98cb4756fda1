//! Operations under way.

use super::engine::Shared;
use super::error::ClientError;
use super::values::{Number, Values};
use crate::id::Timestamp;
use crate::memory::TxBuf;
use crate::node::Worker;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a push gives when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed;

/// What a call gives: the bytes that each shard has answered.
pub type Answers = Vec<Vec<u8>>;

/// A push, pull or call under way. Dropping it gives up interest in the outcome; a push is delivered all
/// the same, and a refusal of it is reported by the next call that waits.
pub struct Pending<T> {
    shared: Arc<Shared>,
    timestamp: Timestamp,
    taken: bool,
    /// Memory of the program that is pushed, to be given back.
    source: Option<TxBuf>,
    outcome: PhantomData<T>,
}

impl<T> Pending<T> {
    pub(super) fn new(shared: &Arc<Shared>, timestamp: Timestamp) -> Pending<T> {
        Pending { shared: Arc::clone(shared), timestamp, taken: false, source: None, outcome: PhantomData }
    }

    /// A push whose memory is wanted back.
    pub(super) fn of_source(shared: &Arc<Shared>, timestamp: Timestamp, source: TxBuf) -> Pending<T> {
        let mut pending = Pending::new(shared, timestamp);
        pending.source = Some(source);
        pending
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn take_source(&mut self) -> Option<TxBuf> {
        self.source.take()
    }

    /// Takes the outcome of an operation that is done.
    pub(super) fn take<R>(&mut self, take: impl FnOnce(&mut Worker, Timestamp) -> R) -> R {
        self.taken = true;
        take(self.shared.enter().worker(), self.timestamp)
    }

    /// The operation's name, for later operations to depend on.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Makes what progress can be made now; true when the outcome is there and `wait` will not block.
    pub fn is_done(&mut self) -> bool {
        let mut inner = self.shared.enter();
        inner.round();
        inner.worker().is_done(self.timestamp)
    }

    pub(super) fn wait_done(&self) -> Result<(), ClientError> {
        let timestamp = self.timestamp;
        self.shared.wait_for(|inner| inner.worker().is_done(timestamp).then_some(()))
    }
}

impl<T: Number> Pending<Values<T>> {
    /// Waits for the values: `width` numbers per key, in key order.
    ///
    /// # Errors
    /// When the pull was refused or the job has ended.
    pub fn wait(mut self) -> Result<Values<T>, ClientError> {
        self.wait_done()?;
        Ok(Values::new(self.take(|worker, timestamp| worker.take_pulled(timestamp))?))
    }
}

impl Pending<Pushed> {
    /// Waits for the acknowledgement.
    ///
    /// # Errors
    /// When the push was refused or the job has ended.
    pub fn wait(mut self) -> Result<Pushed, ClientError> {
        self.wait_done()?;
        self.take(|worker, timestamp| worker.take_pushed(timestamp))?;
        Ok(Pushed)
    }
}

impl Pending<Answers> {
    /// Waits for the answers: one from each shard that owns a part of the range, in the order of keys.
    ///
    /// # Errors
    /// When a server refused the call or the job has ended.
    pub fn wait(mut self) -> Result<Answers, ClientError> {
        self.wait_done()?;
        Ok(self.take(|worker, timestamp| worker.take_called(timestamp))?)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.enter().worker().abandon(self.timestamp);
        }
    }
}
