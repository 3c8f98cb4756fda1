//! The answers that a worker keeps, to which later answers may be the changes.
//!
//! Of each key list it is the last one taken, with its number and the start of the shard that gave it: together
//! they name one answer for good. A question names the answer that is known when it goes out first and keeps
//! hold of it, whatever comes meanwhile, so that each answer to it can be read: late, twice or overtaken. One
//! that is told by another answer, because it was asked before the question was cut anew, is asked for again.

use super::Worker;
use super::operation::Segment;
use crate::filter;
use crate::id::{Incarnation, NodeId};
use crate::limit;
use crate::memory::{Pool, TxBuf, copy_counted};
use crate::protocol::lru::Lru;
use crate::wire::Header;
use std::sync::Arc;

/// Bytes of an answer besides its values.
const ANSWER_BYTES: usize = 192;

/// An answer that this worker has taken.
#[derive(Debug, Clone)]
pub(super) struct PulledAnswer {
    from: NodeId,
    incarnation: Incarnation,
    number: u64,
    values: TxBuf,
}

/// The answers by key list.
#[derive(Debug)]
pub(super) struct PulledAnswers {
    answers: Lru<PulledAnswer>,
    bytes_max: usize,
}

impl Default for PulledAnswers {
    fn default() -> PulledAnswers {
        PulledAnswers { answers: Lru::default(), bytes_max: limit::WORKER_PULLED_BYTES }
    }
}

impl PulledAnswers {
    /// Keeps a copy of the values of an answer in place of the one before.
    fn keep(&mut self, pool: &Arc<Pool>, digest: u128, answer: &Header, values: &[u8]) {
        let number = answer.answer_numbers().own;
        let mut block = pool.close_block(values.len());
        let bytes = block.capacity() + ANSWER_BYTES;
        if number == 0 || bytes > self.bytes_max {
            self.answers.remove(digest);
            return;
        }
        copy_counted(&mut block, values);
        let (from, incarnation) = (answer.source, answer.incarnation);
        let answer = PulledAnswer { from, incarnation, number, values: block.freeze() };
        match self.answers.touch(digest) {
            Some(known) => {
                *known = answer;
                self.answers.resize(digest, bytes);
            }
            None => self.answers.insert(digest, answer, bytes),
        }
        self.answers.evict(self.bytes_max);
    }
}

impl Worker {
    /// Keeps at most so many bytes of answers to pulls; zero keeps none.
    pub fn limit_pulled(&mut self, bytes_max: usize) {
        self.pulled.bytes_max = bytes_max;
        self.pulled.answers.evict(bytes_max);
    }
}

impl Segment {
    /// The lower half of the number of the answer that the question goes out with; zero without one.
    pub(super) fn named_answer(&mut self, pulled: &mut PulledAnswers, incarnation: Option<Incarnation>) -> u32 {
        let (from, digest) = (self.to, self.header.digest);
        if digest == 0 {
            return 0;
        }
        let is_theirs = |answer: &PulledAnswer| answer.from == from && Some(answer.incarnation) == incarnation;
        if self.before.is_none() {
            self.before = pulled.answers.touch(digest).filter(|known| is_theirs(known)).map(|known| known.clone());
        }
        self.before.as_ref().filter(|known| is_theirs(known)).map_or(0, |known| known.number as u32)
    }

    /// Whether the answer can be read: it is whole, or told by the one that the question named.
    pub(super) fn can_read(&self, answer: &Header) -> bool {
        let base = answer.answer_numbers().base;
        let is_named = |known: &PulledAnswer| {
            (known.number, known.from, known.incarnation) == (base, answer.source, answer.incarnation)
        };
        base == 0 || self.before.as_ref().is_some_and(is_named)
    }

    /// Makes of a difference that was unpacked to `target` the values, and keeps them for the next question.
    pub(super) fn take_changes(
        &self,
        pulled: &mut PulledAnswers,
        pool: &Arc<Pool>,
        answer: &Header,
        target: &mut [u8],
    ) {
        if answer.answer_numbers().base != 0
            && let Some(before) = &self.before
        {
            filter::exclusive_or(target, &before.values);
        }
        if self.header.digest != 0 {
            pulled.keep(pool, self.header.digest, answer, target);
        }
    }
}
