//! What the value-changing filters do to a push, once, before it is named and cut.
//!
//! Rounding leaves a remainder of each number. It is kept here by key, in an ordered table as the
//! servers have them, and added to the key's number in a later push; so what is cut off is late and
//! not lost, but for what is kept at the job's end. Skipping keys loses their values. The filtered
//! values are a block of their own: the caller's stay as they were, and a retry sends the same again.
//!
//! At [`limit::WORKER_RESIDUAL_BYTES`] no remainders of further keys are kept; they are lost then.

use super::operation::OperationError;
use super::{Request, Worker};
use crate::filter::{RandomSkip, Rounding};
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::{Pool, TxBuf, copy_counted};
use crate::store::{self, Table};
use crate::wire::{Consistency, Filters, Layout, TableSpec, UpdateFunction};
use std::sync::Arc;

/// The value-changing filters of one table.
pub(super) struct ValueFilter {
    rounding: Option<(Rounding, Residual)>,
    skip: Option<RandomSkip>,
}

/// The remainders of one table's keys.
struct Residual {
    table: Table,
    /// Whether the bound was reached: the remainders of keys without a row are not kept.
    is_full: bool,
}

impl ValueFilter {
    /// The filters that a table declares; nothing where they change no values.
    pub(super) fn new(spec: &TableSpec, seed: u64, pool: &Arc<Pool>) -> Result<Option<ValueFilter>, OperationError> {
        if !spec.filters.change_values() {
            return Ok(None);
        }
        let refuse = |reason| OperationError::Request { table: spec.name.clone(), reason };
        let rounding = match spec.filters.quantize {
            Some(quantize) => Some((Rounding::new(quantize), Residual::new(spec, pool).map_err(refuse)?)),
            None => None,
        };
        let skip = spec.filters.random_skip.map(|share| RandomSkip::new(share, seed));
        Ok(Some(ValueFilter { rounding, skip }))
    }

    fn apply(
        &mut self,
        pool: &Arc<Pool>,
        spec: &TableSpec,
        request: &Request<'_>,
        timestamp: Timestamp,
        values: &TxBuf,
    ) -> Result<TxBuf, String> {
        let (range, keys) = (request.range, request.keys.as_ref().map(|keys| keys.buffer().typed::<u64>()));
        let mut filtered = pool.block(values.len());
        copy_counted(&mut filtered, values);
        if let Some((rounding, residual)) = &mut self.rounding {
            let mut rest = pool.block(values.len());
            residual.table.gather(range, keys, &mut rest);
            rounding.round(filtered.typed_mut(), rest.typed_mut()).map_err(|error| error.to_string())?;
            // What was within the bound may round to the other side of it, and shards would refuse it.
            if let Some(index) = store::first_beyond(spec, &filtered) {
                let largest = spec.push_max();
                return Err(format!("number {index} of the values rounds beyond {largest:e}: nothing was sent"));
            }
            residual.keep(range, keys, &rest);
        }
        if let Some(skip) = &self.skip {
            match keys {
                Some(keys) => skip.zero_skipped(timestamp, keys.iter().copied(), spec.value_size(), &mut filtered),
                None => skip.zero_skipped(timestamp, range.begin..range.end, spec.value_size(), &mut filtered),
            }
        }
        Ok(filtered.freeze())
    }
}

impl Residual {
    fn new(spec: &TableSpec, pool: &Arc<Pool>) -> Result<Residual, String> {
        let bytes = spec.key_end.saturating_mul(spec.value_size() as u64);
        let limit = limit::WORKER_RESIDUAL_BYTES;
        if spec.layout == Layout::Dense && bytes > limit as u64 {
            return Err(format!(
                "what {} cuts off would take {bytes} bytes on each worker, limit {limit}: leave the filter out",
                spec.filters
            ));
        }
        let (update, consistency, filters) = (UpdateFunction::Assign, Consistency::Eventual, Filters::default());
        let own = TableSpec { update, consistency, filters, ..spec.clone() };
        let table = Table::new(&own, &[KeyRange::new(0, spec.key_end)], pool).map_err(|error| error.to_string())?;
        Ok(Residual { table, is_full: false })
    }

    fn keep(&mut self, range: KeyRange, keys: Option<&[u64]>, rest: &[u8]) {
        if !self.is_full {
            self.table.apply(range, range, keys, rest);
            self.is_full = self.table.memory().total_bytes() > limit::WORKER_RESIDUAL_BYTES as u64;
            return;
        }
        // Keys that have a row keep their remainder still; one push finds out which these are.
        let Some(keys) = keys else { return self.table.apply(range, range, keys, rest) };
        let positions = self.table.remember(keys);
        if positions.missing() == 0 {
            self.table.apply(range, range, Some(keys), rest);
            return;
        }
        let size = rest.len() / keys.len();
        let (mut known, mut known_rest) = (Vec::new(), Vec::new());
        for ((&key, value), is_known) in keys.iter().zip(rest.chunks(size)).zip(positions.known()) {
            if is_known {
                known.push(key);
                known_rest.extend_from_slice(value);
            }
        }
        self.table.apply(range, range, Some(&known), &known_rest);
    }
}

impl Worker {
    /// The values as they are to be sent: the caller's, or a filtered copy.
    pub(super) fn filtered(
        &mut self,
        request: &Request<'_>,
        timestamp: Timestamp,
        values: TxBuf,
    ) -> Result<TxBuf, OperationError> {
        let index = usize::from(request.table.0);
        let (Some(Some(filter)), Some(job)) = (self.value_filters.get_mut(index), &self.job) else { return Ok(values) };
        let spec = &job.tables[index];
        let refuse = |reason| OperationError::Request { table: spec.name.clone(), reason };
        filter.apply(&self.pool, spec, request, timestamp, &values).map_err(refuse)
    }
}
