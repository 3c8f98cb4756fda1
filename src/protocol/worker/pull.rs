//! Beginning a pull, and the memory that its answers go to.

use super::demand::Demand;
use super::operation::Operation;
use super::target::Target;
use super::{OperationError, Request, Worker};
use crate::id::{Nanos, TableId, Timestamp};
use crate::limit;
use crate::memory::{Block, LandingBlock, Pool};
use crate::wire::Kind;
use std::sync::Arc;

impl Worker {
    /// Lets answers of at least `bytes_min` bytes land in memory of `pool`, of which a fabric may tell the
    /// shards the address.
    pub fn land_in(&mut self, pool: &Arc<Pool>, bytes_min: usize) {
        (self.landing_pool, self.landing_bytes_min) = (Some(Arc::clone(pool)), bytes_min);
    }

    /// Begins a pull. The answer is taken with [`Worker::take_pulled`].
    ///
    /// # Errors
    /// When the request does not fit the table; nothing was sent.
    pub fn pull(&mut self, now: Nanos, request: &Request<'_>) -> Result<Timestamp, OperationError> {
        self.begin_pull(now, request, None)
    }

    /// As [`pull`](Self::pull), into memory of the program: a block of as many bytes as the answer has.
    /// [`Worker::take_pulled`] gives it back; the pull is not done before nobody can write there any more.
    ///
    /// # Errors
    /// When the request does not fit the table or the block; nothing was sent.
    pub fn pull_into(&mut self, now: Nanos, request: &Request<'_>, into: Block) -> Result<Timestamp, OperationError> {
        self.begin_pull(now, request, Some(into))
    }

    fn begin_pull(
        &mut self,
        now: Nanos,
        request: &Request<'_>,
        into: Option<Block>,
    ) -> Result<Timestamp, OperationError> {
        let spec = self.spec(request.table)?;
        let key_count = request.check(spec, None)?;
        let target_bytes = key_count * spec.value_size();
        if let Some(into) = into.as_ref().filter(|into| into.len() != target_bytes) {
            let reason = format!("{key_count} keys have {target_bytes} bytes of values, the memory {}", into.len());
            return Err(OperationError::Request { table: spec.name.clone(), reason });
        }
        let Demand { time, is_exact } = self.demand(request)?;
        let is_given = into.is_some();
        let target = match into {
            Some(into) => Target::Landing(LandingBlock::new(into)),
            None => self.landing_target(request.table, target_bytes),
        };
        let wanted = Operation { target_bytes, target, is_given, is_exact, ..Operation::default() };
        let timestamp = self.begin(now, Kind::Pull, request, time, None, wanted)?;
        self.watch_pull(request, timestamp);
        Ok(timestamp)
    }

    /// Memory that the answers may be written to: of large ones that no filter packs, as long as what
    /// is in use of the landing pool, quarantine included, stays below its limit.
    fn landing_target(&self, table: TableId, bytes: usize) -> Target {
        let is_worth = bytes >= self.landing_bytes_min && self.answers_come_plain(table);
        let has_room = |pool: &&Arc<Pool>| pool.usage().used_bytes.saturating_add(bytes) <= limit::LANDING_BYTES;
        let pool = self.landing_pool.as_ref().filter(|_| is_worth).filter(has_room);
        pool.map_or(Target::Nothing, |pool| Target::Landing(LandingBlock::new(pool.block(bytes))))
    }

    /// Whether no filter packs the table's values.
    pub(super) fn answers_come_plain(&self, table: TableId) -> bool {
        self.chains.get(usize::from(table.0)).is_some_and(|chain| chain.values.is_plain())
    }
}
