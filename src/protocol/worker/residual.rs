//! What value-changing filters keep of pushes, to be sent later: the keys that they hold back, and what
//! rounding cuts off. By key, in an ordered table as the servers have them.
//!
//! At its limit, [`limit::WORKER_RESIDUAL_BYTES`] if nothing else is said, the larger half of what is kept
//! is given out to be sent, so that nothing is lost.

use crate::filter;
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::{Block, Pool, copy_counted};
use crate::store::{ArrayKind, Table};
use crate::wire::{Consistency, Filters, Layout, TableSpec, UpdateFunction};
use std::sync::Arc;

/// The remainders of one table's keys.
pub(super) struct Residual {
    spec: TableSpec,
    pool: Arc<Pool>,
    table: Table,
    bytes_max: u64,
    /// How far sending everything has come, while it is under way.
    sending: Option<Stretches>,
}

/// Keys of one table with their values.
pub(super) struct Kept {
    pub(super) range: KeyRange,
    pub(super) keys: Block,
    pub(super) values: Block,
}

/// A walk over all rows in stretches of keys with few enough of them.
#[derive(Debug, Clone, Copy)]
struct Stretches {
    begin: u64,
    /// Keys that the last one spanned.
    span: u64,
}

impl Residual {
    /// Nothing is kept.
    ///
    /// # Errors
    /// One line when all rows, where the table has them from the start, are beyond the limit.
    pub(super) fn new(spec: &TableSpec, pool: &Arc<Pool>) -> Result<Residual, String> {
        let bytes = spec.key_end.saturating_mul(spec.value_size() as u64);
        let limit = limit::WORKER_RESIDUAL_BYTES;
        if spec.layout == Layout::Dense && bytes > limit as u64 {
            return Err(format!(
                "what {} keeps back would take {bytes} bytes on each worker, limit {limit}: leave the filter out",
                spec.filters
            ));
        }
        let (update, consistency, filters) = (UpdateFunction::Assign, Consistency::Eventual, Filters::default());
        let spec = TableSpec { update, consistency, filters, ..spec.clone() };
        let table = empty(&spec, pool)?;
        Ok(Residual { spec, pool: Arc::clone(pool), table, bytes_max: limit as u64, sending: None })
    }

    /// Another limit.
    pub(super) fn limit(&mut self, bytes: u64) {
        self.bytes_max = bytes;
    }

    /// What is kept of these keys.
    pub(super) fn gather(&self, range: KeyRange, keys: Option<&[u64]>, out: &mut [u8]) {
        self.table.gather(range, keys, out);
    }

    /// Keeps this of these keys, in place of what was kept before.
    pub(super) fn keep(&mut self, range: KeyRange, keys: Option<&[u64]>, rest: &[u8]) {
        self.table.apply(range, range, keys, rest);
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.table.memory().total_bytes()
    }

    /// Whether the limit is passed. A table with all rows from the start does not grow.
    pub(super) fn is_over(&self) -> bool {
        self.spec.layout == Layout::Sparse && self.bytes() > self.bytes_max
    }

    /// Keys of which something is kept.
    pub(super) fn key_count(&self) -> u64 {
        self.table.section_info(self.all(), false).key_count
    }

    /// Begins to take everything out, from the first key on.
    pub(super) fn rewind(&mut self) {
        self.sending = None;
    }

    /// Takes the next keys out; nothing when all have been gone through, and the next time begins anew.
    pub(super) fn take(&mut self) -> Option<Kept> {
        let mut stretches = self.sending.unwrap_or(Stretches::ALL);
        let Some(mut kept) = stretches.next(&self.table, &self.pool) else {
            self.sending = None;
            self.forget_rows();
            return None;
        };
        self.sending = Some(stretches);
        let mut zeros = self.pool.block(kept.values.len());
        zeros.fill(0);
        self.table.apply(kept.range, kept.range, Some(kept.keys.typed_mut()), &zeros);
        Some(kept)
    }

    /// Takes out the larger half of what is kept, of each stretch of keys.
    pub(super) fn take_larger_half(&mut self) -> Result<Vec<Kept>, String> {
        let old = std::mem::replace(&mut self.table, empty(&self.spec, &self.pool)?);
        self.sending = None;
        let (mut stretches, mut taken) = (Stretches::ALL, Vec::new());
        while let Some(kept) = stretches.next(&old, &self.pool) {
            let keys = kept.keys.typed::<u64>();
            let mut held = vec![false; keys.len()];
            filter::hold_smaller_half(self.spec.dtype, &kept.values, &mut held);
            let mut rest = self.pool.block(kept.values.len());
            let larger = kept.without_held(&self.pool, &held, &mut rest);
            let smaller: Vec<bool> = held.iter().map(|held| !held).collect();
            let smaller = kept.without_held(&self.pool, &smaller, &mut rest);
            self.table.apply(kept.range, kept.range, Some(smaller.keys.typed()), &smaller.values);
            taken.push(larger);
        }
        Ok(taken)
    }

    /// Gives the memory back where nothing is kept.
    fn forget_rows(&mut self) {
        if self.spec.layout == Layout::Sparse
            && self.key_count() == 0
            && let Ok(empty) = empty(&self.spec, &self.pool)
        {
            self.table = empty;
        }
    }

    fn all(&self) -> KeyRange {
        KeyRange::new(0, self.spec.key_end)
    }
}

fn empty(spec: &TableSpec, pool: &Arc<Pool>) -> Result<Table, String> {
    Table::new(spec, &[KeyRange::new(0, spec.key_end)], pool).map_err(|error| error.to_string())
}

impl Kept {
    /// The keys that are not marked; what the marked ones hold goes to `rest`.
    pub(super) fn without_held(&self, pool: &Arc<Pool>, held: &[bool], rest: &mut [u8]) -> Kept {
        part(pool, self.range, self.keys.typed(), &self.values, held, rest)
    }
}

/// The keys and values that are not held back, in blocks of their own; the others go to their places in `rest`.
pub(super) fn part(
    pool: &Arc<Pool>,
    range: KeyRange,
    keys: &[u64],
    values: &[u8],
    held: &[bool],
    rest: &mut [u8],
) -> Kept {
    let count = held.iter().filter(|held| !**held).count();
    let size = values.len() / keys.len().max(1);
    let (mut sent_keys, mut sent_values) = (pool.block(count * 8), pool.block(count * size));
    filter::part(keys, values, held, rest, sent_keys.typed_mut(), &mut sent_values);
    Kept { range, keys: sent_keys, values: sent_values }
}

impl Stretches {
    const ALL: Stretches = Stretches { begin: 0, span: u64::MAX };

    /// The next stretch with rows that are not zero, of at most [`limit::RESIDUAL_PUSH_BYTES`].
    fn next(&mut self, table: &Table, pool: &Arc<Pool>) -> Option<Kept> {
        let end = table.spec().key_end;
        while self.begin < end {
            let mut span = self.span.saturating_mul(2).min(end - self.begin);
            let (range, info) = loop {
                let range = KeyRange::new(self.begin, self.begin + span);
                let info = table.section_info(range, false);
                if info.bytes <= limit::RESIDUAL_PUSH_BYTES || span == 1 {
                    break (range, info);
                }
                span /= 2;
            };
            *self = Stretches { begin: range.end, span };
            if info.key_count > 0 {
                return Some(read(table, range, info.key_count as usize, pool));
            }
        }
        None
    }
}

/// The rows of a range that are not zero.
fn read(table: &Table, range: KeyRange, count: usize, pool: &Arc<Pool>) -> Kept {
    let (mut keys, mut values) = (pool.block(count * 8), pool.block(count * table.spec().value_size()));
    let mut write = |kind: ArrayKind, offset: u64, bytes: &[u8]| {
        let target = if kind == ArrayKind::Keys { &mut keys } else { &mut values };
        copy_counted(&mut target[offset as usize..][..bytes.len()], bytes);
        Ok(())
    };
    // Memory takes everything.
    let _ = table.write_part(range, false, &mut write);
    Kept { range, keys, values }
}
