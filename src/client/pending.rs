//! Operations under way.

use super::engine::Shared;
use super::error::ClientError;
use super::values::{Number, Values};
use crate::id::Timestamp;
use crate::memory::TxBuf;
use crate::node::Worker;
use crate::wire::Shutdown;
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

    pub(super) fn source_mut(&mut self) -> &mut Option<TxBuf> {
        &mut self.source
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

    fn wait_done(&self) -> Result<(), ClientError> {
        let timestamp = self.timestamp;
        self.shared.wait_for(|inner| inner.worker().is_done(timestamp).then_some(()))
    }
}

/// What an operation gives when it is done.
pub trait Outcome: Sized {
    /// Takes it from an operation that is done.
    #[doc(hidden)]
    fn take_from(pending: &mut Pending<Self>) -> Result<Self, ClientError>;
}

impl<T: Outcome> Pending<T> {
    /// Waits for the outcome: of a pull `width` numbers per key, in key order; of a push the
    /// acknowledgement, and its memory where it is wanted back; of a call one answer from each shard that
    /// owns a part of the range, in the order of keys.
    ///
    /// # Errors
    /// When a server refused the operation or the job has ended; memory to be given back is freed.
    pub fn wait(mut self) -> Result<T, ClientError> {
        self.wait_done()?;
        T::take_from(&mut self)
    }

    /// Makes what progress can be made now, and takes the outcome if it is there; nothing otherwise, and
    /// when it was taken before.
    ///
    /// # Errors
    /// As [`Pending::wait`].
    pub fn try_wait(&mut self) -> Result<Option<T>, ClientError> {
        if self.taken {
            return Ok(None);
        }
        let mut inner = self.shared.enter();
        inner.round();
        let is_done = inner.worker().is_done(self.timestamp);
        let ended = inner.ended.clone();
        drop(inner);
        match ended {
            _ if is_done => T::take_from(self).map(Some),
            Some(Shutdown { exit_code, message }) => Err(ClientError::Ended { exit_code, message }),
            None => Ok(None),
        }
    }

    /// Calls `callback` with the outcome, once, on whichever thread makes the progress that brings it: at
    /// once on this one when it is there. Nothing is locked meanwhile, so it may begin operations and wait
    /// for them; it should be short, as that thread does nothing else. It is dropped without a call when the
    /// [`Cluster`](super::Cluster) goes first.
    pub fn on_done(self, callback: impl FnOnce(Result<T, ClientError>) + Send + 'static)
    where
        T: Send + 'static,
    {
        let (shared, timestamp) = (Arc::clone(&self.shared), self.timestamp);
        let call = Box::new(move || callback(self.wait()));
        shared.enter().watch(timestamp, call);
    }
}

impl<T: Number> Outcome for Values<T> {
    fn take_from(pending: &mut Pending<Values<T>>) -> Result<Values<T>, ClientError> {
        Ok(Values::new(pending.take(|worker, timestamp| worker.take_pulled(timestamp))?))
    }
}

impl Outcome for Pushed {
    fn take_from(pending: &mut Pending<Pushed>) -> Result<Pushed, ClientError> {
        pending.take(|worker, timestamp| worker.take_pushed(timestamp))?;
        Ok(Pushed)
    }
}

impl Outcome for Answers {
    fn take_from(pending: &mut Pending<Answers>) -> Result<Answers, ClientError> {
        Ok(pending.take(|worker, timestamp| worker.take_called(timestamp))?)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.enter().worker().abandon(self.timestamp);
        }
    }
}
