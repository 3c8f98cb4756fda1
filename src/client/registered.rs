//! A program's own memory that answers land in and pushes are sent from.

use super::engine::Shared;
use super::error::ClientError;
use super::pending::{Outcome, Pending};
use super::values::Number;
use crate::memory::{Block, Pool};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A vector that [`Cluster::register`](super::Cluster::register) took over, for devices to read and
/// write without a copy. A push or pull takes it, and gives it back when no device can reach it any more.
#[derive(Debug)]
pub struct Registered<T> {
    block: Block,
    number: PhantomData<T>,
}

impl<T: Number> Registered<T> {
    pub(super) fn adopt(pool: &Arc<Pool>, numbers: Vec<T>) -> Registered<T> {
        Registered::new(pool.adopt(numbers))
    }

    fn new(block: Block) -> Registered<T> {
        Registered { block, number: PhantomData }
    }

    pub(super) fn into_block(self) -> Block {
        self.block
    }

    /// The vector, once no device holds it.
    pub(super) fn give_back(self, pool: &Arc<Pool>, shared: &Shared) -> Result<Vec<T>, ClientError> {
        let mut block = Some(self.block);
        shared.wait_for(|_| {
            let reclaimed = pool.reclaim(block.take()?);
            reclaimed.map_err(|held| block = Some(held)).ok()
        })
    }
}

impl<T: Number> Deref for Registered<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.block.typed()
    }
}

impl<T: Number> DerefMut for Registered<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.block.typed_mut()
    }
}

impl<T: Number> Outcome for Registered<T> {
    /// The memory, when it is the program's again: with the values of a pull, or as it was pushed.
    fn take_from(pending: &mut Pending<Registered<T>>) -> Result<Registered<T>, ClientError> {
        let mut source = pending.source_mut().take();
        if source.is_none() {
            return Ok(Registered::new(pending.take(|worker, timestamp| worker.take_pulled(timestamp))?));
        }
        pending.take(|worker, timestamp| worker.take_pushed(timestamp))?;
        // A frame that was sent twice may still be on its way.
        let block = pending.shared().wait_for(|_| {
            let block = source.take()?.into_block();
            block.map_err(|viewed| source = Some(viewed)).ok()
        });
        block.map(Registered::new)
    }
}
