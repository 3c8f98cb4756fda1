//! Answers that tell only what has changed, for tables that declare `changed` or a filter of the server program's.
//!
//! What the asking worker has of the key list is the answer that it names, if the shard remembers it; filters
//! then say which keys may stay as they are there, and the difference travels. An answer counts as the worker's from
//! then on as it was told, so what filters leave out adds up to nothing: each is held against what the
//! worker really has.

use super::Server;
use super::arrived::Arrived;
use crate::filter::{self, PullFilter, PullFilters};
use crate::memory::{Block, TxBuf, copy_counted};
use crate::wire::{AnswerNumbers, DType, TableSpec};

/// What filters one table's answers.
pub(super) struct AnswerFilter {
    own: Option<Box<dyn PullFilter>>,
    threshold: f64,
    kept: Vec<bool>,
}

impl AnswerFilter {
    /// The filters that a table declares; nothing where answers are told whole.
    pub(super) fn new(spec: &TableSpec, own: &PullFilters) -> Result<Option<AnswerFilter>, String> {
        if !spec.filters.remember_answers() {
            return Ok(None);
        }
        let own = own.make(spec).map_err(|reason| format!("table `{}`: {reason}", spec.name))?;
        Ok(Some(AnswerFilter { own, threshold: spec.filters.changed.unwrap_or_default(), kept: Vec::new() }))
    }

    /// Makes of what the shard holds what the worker shall have, which has `before` now.
    fn apply(&mut self, dtype: DType, keys: &[u64], before: Option<&TxBuf>, values: &mut Block) {
        self.kept.clear();
        self.kept.resize(keys.len(), false);
        match (&mut self.own, dtype) {
            (Some(own), DType::F32) => {
                own.answer_f32(keys, before.map(TxBuf::typed), values.typed_mut(), &mut self.kept);
            }
            (Some(own), DType::F64) => {
                own.answer_f64(keys, before.map(TxBuf::typed), values.typed_mut(), &mut self.kept);
            }
            // Tables of other types declare no filter of the user's own.
            _ => {}
        }
        let Some(before) = before else { return };
        // Without a threshold what is unchanged is told by its bits.
        if self.threshold > 0.0 {
            filter::keep_unchanged(dtype, self.threshold, before, values, &mut self.kept);
        }
        if self.kept.contains(&true) {
            filter::put_back(before, values, &self.kept);
        }
    }
}

impl Server {
    /// Answers a pull of a table that declares such filters.
    pub(super) fn answer_filtered(&mut self, index: usize, pull: &Arrived, mut values: Block) {
        let (to, request, bytes) = (pull.from, *pull.header(), values.capacity());
        let digest = pull.list().map(|list| list.digest);
        let base = digest.and_then(|digest| self.sent.find(to, digest, request.slice_count));
        let state = &mut self.tables[index];
        if let Some(filter) = &mut state.answer_filter {
            let before = base.as_ref().map(|base| &base.values);
            filter.apply(state.spec.dtype, pull.keys().unwrap_or_default(), before, &mut values);
        }
        let values = values.freeze();
        let own = digest.map_or(0, |digest| self.sent.keep(to, digest, &values, bytes));
        let numbers = AnswerNumbers { own, base: base.as_ref().map_or(0, |base| base.number) };
        let Some(base) = base else { return self.reply_values(index, pull, values.into(), numbers) };
        let mut difference = self.pool.block(values.len());
        copy_counted(&mut difference, &values);
        filter::exclusive_or(&mut difference, &base.values);
        self.reply_difference(index, pull, difference, numbers);
    }
}
