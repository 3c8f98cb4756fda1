//! What the value-changing filters do to a push, once, before it is named and cut.
//!
//! First what was kept of the keys is added. Then the filter of the user's own and `significant` decide
//! which keys are sent: the others are dropped from the push, whose frames, range and name stay, even
//! without keys; or zeros stand for them, where that is the same and takes fewer bytes. What is sent is rounded. What is held back and what rounding cuts off is kept by key
//! ([`Residual`]) and added to a later push; so it is late and not lost, and what was held back is sent
//! at the latest when the worker finishes the table. Skipping keys loses their values. The filtered
//! values are a block of their own: the caller's stay as they were, and a retry sends the same again.

use super::keys::Keys;
use super::operation::OperationError;
use super::residual::{self, Residual};
use super::{Request, Worker};
use crate::filter::{self, PushFilter, PushFilters, RandomSkip, Rounding};
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::{Block, Pool, TxBuf, copy_counted};
use crate::store;
use crate::wire::{DType, TableSpec};
use std::sync::Arc;

/// The value-changing filters of one table.
pub(super) struct ValueFilter {
    own: Option<Box<dyn PushFilter>>,
    significant: Option<f64>,
    rounding: Option<Rounding>,
    skip: Option<RandomSkip>,
    /// There where something is kept.
    pub(super) residual: Option<Residual>,
    /// For marks and for the keys of dense pushes.
    held: Vec<bool>,
    dense_keys: Vec<u64>,
}

/// A push as it is to be sent.
pub(super) struct Filtered {
    /// Where these are not all that the request names.
    pub(super) keys: Option<Keys>,
    pub(super) values: TxBuf,
}

impl ValueFilter {
    /// The filters that a table declares; nothing where they change no values.
    pub(super) fn new(
        spec: &TableSpec,
        own: &PushFilters,
        seed: u64,
        pool: &Arc<Pool>,
    ) -> Result<Option<ValueFilter>, OperationError> {
        if !spec.filters.change_values() {
            return Ok(None);
        }
        let refuse = |reason| OperationError::Request { table: spec.name.clone(), reason };
        let keeps = spec.filters.quantize.is_some() || spec.filters.hold_back();
        Ok(Some(ValueFilter {
            own: own.make(spec).map_err(refuse)?,
            significant: spec.filters.significant,
            rounding: spec.filters.quantize.map(Rounding::new),
            skip: spec.filters.random_skip.map(|share| RandomSkip::new(share, seed)),
            residual: keeps.then(|| Residual::new(spec, pool)).transpose().map_err(refuse)?,
            held: Vec::new(),
            dense_keys: Vec::new(),
        }))
    }

    /// Shows the answer to a pull to the filter of the user's own.
    pub(super) fn on_pulled(&mut self, dtype: DType, range: KeyRange, keys: Option<&[u64]>, values: &Block) {
        let Some(own) = &mut self.own else { return };
        let keys = all_keys(&mut self.dense_keys, range, keys);
        match dtype {
            DType::F32 => own.pulled_f32(keys, values.typed()),
            DType::F64 => own.pulled_f64(keys, values.typed()),
            // Tables of other types declare no filter of the user's own.
            DType::Bf16 | DType::U32 | DType::I64 => {}
        }
    }

    fn apply(
        &mut self,
        pool: &Arc<Pool>,
        spec: &TableSpec,
        request: &Request<'_>,
        timestamp: Timestamp,
        values: &TxBuf,
    ) -> Result<Filtered, String> {
        let (range, keys) = (request.range, request.keys.as_ref().map(|keys| keys.buffer().typed::<u64>()));
        let mut filtered = pool.block(values.len());
        copy_counted(&mut filtered, values);
        let mut chosen = None;
        if self.residual.is_some() {
            let mut rest = pool.block(values.len());
            if let Some(residual) = &self.residual {
                residual.gather(range, keys, &mut rest);
            }
            if self.hold_back(spec, range, keys, &mut filtered, &mut rest) {
                if self.zeros_pay(spec, keys) {
                    filter::part_in_place(&mut filtered, &self.held, &mut rest);
                } else {
                    let all = all_keys(&mut self.dense_keys, range, keys);
                    let kept = residual::part(pool, range, all, &filtered, &self.held, &mut rest);
                    (chosen, filtered) = (Some(kept.keys), kept.values);
                }
                self.round_sent(pool, chosen.is_some(), &mut filtered, &mut rest)?;
            } else if let Some(rounding) = &self.rounding {
                rounding.round(filtered.typed_mut(), rest.typed_mut()).map_err(|error| error.to_string())?;
            }
            // A filter may leave what shards would refuse, and what was within the bound may round to the
            // other side of it.
            for part in [&filtered, &rest] {
                if let Some(index) = store::first_beyond(spec, part) {
                    let largest = spec.push_max();
                    return Err(format!(
                        "number {index} of the filtered values is beyond {largest:e}: nothing was sent"
                    ));
                }
            }
            if let Some(residual) = &mut self.residual {
                residual.keep(range, keys, &rest);
            }
        }
        if let Some(skip) = &self.skip {
            match chosen.as_ref().map(Block::typed).or(keys) {
                Some(keys) => skip.zero_skipped(timestamp, keys.iter().copied(), spec.value_size(), &mut filtered),
                None => skip.zero_skipped(timestamp, range.begin..range.end, spec.value_size(), &mut filtered),
            }
        }
        let keys = chosen.map(|keys| Keys::chosen(keys.freeze()));
        Ok(Filtered { keys, values: filtered.freeze() })
    }

    /// Adds `rest` to `values`, if keys may be held back, and decides which are; gives whether some are.
    fn hold_back(
        &mut self,
        spec: &TableSpec,
        range: KeyRange,
        keys: Option<&[u64]>,
        values: &mut Block,
        rest: &mut Block,
    ) -> bool {
        if !spec.filters.hold_back() {
            return false;
        }
        filter::add_held(spec.dtype, values, rest);
        let keys = all_keys(&mut self.dense_keys, range, keys);
        self.held.clear();
        self.held.resize(keys.len(), false);
        match (&mut self.own, spec.dtype) {
            (Some(own), DType::F32) => own.push_f32(keys, values.typed_mut(), &mut self.held),
            (Some(own), DType::F64) => own.push_f64(keys, values.typed_mut(), &mut self.held),
            _ => {}
        }
        if let Some(threshold) = self.significant {
            filter::hold_small(spec.dtype, threshold, values, &mut self.held);
        }
        let holds = self.held.contains(&true);
        if !holds {
            rest.fill(0);
        }
        holds
    }

    /// Whether zeros for the keys that are held back are the same as leaving them out, and cost less: a bit
    /// each, where the list of all keys travels as a digest, beside a byte or two for each key that is named.
    fn zeros_pay(&self, spec: &TableSpec, keys: Option<&[u64]>) -> bool {
        let is_listed = keys.is_none_or(|keys| spec.filters.key_cache && keys.len() >= limit::KEY_LIST_KEYS_MIN);
        let sent = self.held.iter().filter(|held| !**held).count();
        spec.update.ignores_zeros() && spec.filters.nonzero && is_listed && 8 * sent > self.held.len()
    }

    /// Rounds the values where some keys are held back: `rest` is of all keys and zero at those that are
    /// sent, which are all that `values` has or, if not `is_parted`, zeros stand between them.
    fn round_sent(
        &self,
        pool: &Arc<Pool>,
        is_parted: bool,
        values: &mut Block,
        rest: &mut Block,
    ) -> Result<(), String> {
        let Some(rounding) = self.rounding else { return Ok(()) };
        let mut cut_off = pool.block(values.len());
        cut_off.fill(0);
        rounding.round(values.typed_mut(), cut_off.typed_mut()).map_err(|error| error.to_string())?;
        let size = rest.len() / self.held.len();
        let all = rest.chunks_exact_mut(size).zip(&self.held);
        let rests = all.filter(|(_, held)| !(is_parted && **held));
        let sent = rests.zip(cut_off.chunks_exact(size)).filter(|((_, held), _)| !**held);
        sent.for_each(|((rest, _), cut_off)| copy_counted(rest, cut_off));
        Ok(())
    }
}

/// The keys that are named, or all of the range.
fn all_keys<'a>(dense_keys: &'a mut Vec<u64>, range: KeyRange, keys: Option<&'a [u64]>) -> &'a [u64] {
    keys.unwrap_or_else(|| {
        dense_keys.clear();
        dense_keys.extend(range.begin..range.end);
        dense_keys
    })
}

impl Worker {
    /// A push as it is to be sent: the caller's keys and values, or a filtered copy. What filters have
    /// chosen before is not filtered again.
    pub(super) fn filtered(
        &mut self,
        request: &Request<'_>,
        timestamp: Timestamp,
        values: TxBuf,
    ) -> Result<Filtered, OperationError> {
        let index = usize::from(request.table.0);
        let is_chosen = request.keys.as_ref().is_some_and(Keys::is_chosen);
        let filter = self.value_filters.get_mut(index).and_then(Option::as_mut).filter(|_| !is_chosen);
        let (Some(filter), Some(job)) = (filter, &self.job) else { return Ok(Filtered { keys: None, values }) };
        let spec = &job.tables[index];
        let refuse = |reason| OperationError::Request { table: spec.name.clone(), reason };
        filter.apply(&self.pool, spec, request, timestamp, &values).map_err(refuse)
    }

    /// Remembers what a pull asks for, if a filter of the user's own will see the answer.
    pub(super) fn watch_pull(&mut self, request: &Request<'_>, timestamp: Timestamp) {
        let filter = self.value_filters.get(usize::from(request.table.0)).and_then(Option::as_ref);
        if filter.is_some_and(|filter| filter.own.is_some()) {
            let keys = request.keys.as_ref().map(|keys| keys.buffer().clone());
            self.watched.insert(timestamp, (request.table, request.range, keys));
        }
    }

    pub(super) fn show_pulled(&mut self, timestamp: Timestamp, values: &Block) {
        let Some((table, range, keys)) = self.watched.remove(&timestamp) else { return };
        let (index, keys) = (usize::from(table.0), keys.as_ref().map(TxBuf::typed));
        if let (Some(Some(filter)), Some(job)) = (self.value_filters.get_mut(index), &self.job) {
            filter.on_pulled(job.tables[index].dtype, range, keys, values);
        }
    }
}
