//! Operations under way.

use super::engine::Shared;
use super::error::ClientError;
use super::values::{Number, Values};
use crate::id::Timestamp;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a push gives when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed;

/// A push or pull under way. Dropping it gives up interest in the outcome; a push is delivered all
/// the same, and a refusal of it is reported by the next call that waits.
pub struct Pending<T> {
    shared: Arc<Shared>,
    timestamp: Timestamp,
    taken: bool,
    outcome: PhantomData<T>,
}

impl<T> Pending<T> {
    pub(super) fn new(shared: &Arc<Shared>, timestamp: Timestamp) -> Pending<T> {
        Pending { shared: Arc::clone(shared), timestamp, taken: false, outcome: PhantomData }
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

impl<T: Number> Pending<Values<T>> {
    /// Waits for the values: `width` numbers per key, in key order.
    ///
    /// # Errors
    /// When the pull was refused or the job has ended.
    pub fn wait(mut self) -> Result<Values<T>, ClientError> {
        self.wait_done()?;
        self.taken = true;
        Ok(Values::new(self.shared.enter().worker().take_pulled(self.timestamp)?))
    }
}

impl Pending<Pushed> {
    /// Waits for the acknowledgement.
    ///
    /// # Errors
    /// When the push was refused or the job has ended.
    pub fn wait(mut self) -> Result<Pushed, ClientError> {
        self.wait_done()?;
        self.taken = true;
        self.shared.enter().worker().take_pushed(self.timestamp)?;
        Ok(Pushed)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.enter().worker().abandon(self.timestamp);
        }
    }
}
