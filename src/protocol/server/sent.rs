//! The answers to pulls that a shard remembers, so that later ones tell only what has changed.
//!
//! Of each key list and worker it is the last one: the values as the worker got them. Every answer has a number of
//! its own, also where the same question comes twice, so a number that a worker names is the answer that it
//! took or it is none of these; then the answer is told whole. What was not used for longest goes when the
//! bound is reached.

use crate::id::NodeId;
use crate::memory::TxBuf;
use crate::protocol::lru::Lru;

/// Bytes of an answer besides its values.
const ANSWER_BYTES: usize = 192;

/// An answer that a worker may have.
#[derive(Debug, Clone)]
pub(super) struct SentAnswer {
    pub(super) number: u64,
    pub(super) values: TxBuf,
}

#[derive(Debug)]
struct Entry {
    to: NodeId,
    digest: u128,
    answer: SentAnswer,
}

/// Figures of the answers that a shard remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SentFigures {
    /// Answers remembered now.
    pub answers: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Answers that told only what had changed.
    pub changes: u64,
    /// Answers that had to go.
    pub evicted: u64,
}

/// The answers by worker and key list.
pub(super) struct SentAnswers {
    answers: Lru<Entry>,
    bytes_max: usize,
    /// The last number that was given.
    last: u64,
    changes: u64,
    evicted: u64,
}

impl SentAnswers {
    pub(super) fn new(bytes_max: usize) -> SentAnswers {
        SentAnswers { answers: Lru::default(), bytes_max, last: 0, changes: 0, evicted: 0 }
    }

    /// Changes the bound; answers over it go.
    pub(super) fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.evict();
    }

    /// The answer that a worker names by the lower half of its number. The worker compares the whole.
    pub(super) fn find(&mut self, to: NodeId, digest: u128, half: u32) -> Option<SentAnswer> {
        let entry = self.answers.touch(place(to, digest))?;
        let is_meant = half != 0 && entry.to == to && entry.digest == digest && entry.answer.number as u32 == half;
        let found = is_meant.then(|| entry.answer.clone());
        self.changes += u64::from(found.is_some());
        found
    }

    /// Remembers an answer that goes out, which holds so many bytes of memory, in place of the one before; gives
    /// its number, or zero where it is larger than the bound.
    pub(super) fn keep(&mut self, to: NodeId, digest: u128, values: &TxBuf, bytes: usize) -> u64 {
        let (place, bytes) = (place(to, digest), bytes + ANSWER_BYTES);
        if bytes > self.bytes_max {
            self.answers.remove(place);
            return 0;
        }
        self.last += 1;
        // No number has a half that names none.
        self.last += u64::from(self.last as u32 == 0);
        let entry = Entry { to, digest, answer: SentAnswer { number: self.last, values: values.clone() } };
        match self.answers.touch(place) {
            Some(known) => {
                *known = entry;
                self.answers.resize(place, bytes);
            }
            None => self.answers.insert(place, entry, bytes),
        }
        self.evict();
        self.last
    }

    pub(super) fn figures(&self) -> SentFigures {
        let (answers, bytes) = (self.answers.len(), self.answers.bytes());
        SentFigures { answers, bytes, changes: self.changes, evicted: self.evicted }
    }

    fn evict(&mut self) {
        self.evicted += self.answers.evict(self.bytes_max) as u64;
    }
}

/// Digests are spread over all bits, so adding a worker's number leaves them apart; an entry says whose it is.
fn place(to: NodeId, digest: u128) -> u128 {
    digest.wrapping_add(u128::from(to.0) << 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(number: u8) -> TxBuf {
        TxBuf::from_vec(vec![number; 100])
    }

    #[test]
    fn an_answer_is_found_by_its_number_and_worker_alone_until_another_comes() {
        let (mut sent, [one, other]) = (SentAnswers::new(10_000), [NodeId::worker(0), NodeId::worker(1)]);
        let first = sent.keep(one, 7, &values(1), 256);
        assert_eq!(sent.find(one, 7, first as u32).map(|answer| answer.values[0]), Some(1));
        assert!(sent.find(other, 7, first as u32).is_none() && sent.find(one, 8, first as u32).is_none());
        assert!(sent.find(one, 7, 0).is_none() && sent.find(one, 7, first as u32 + 1).is_none());
        let second = sent.keep(one, 7, &values(2), 256);
        assert!(second > first && sent.find(one, 7, first as u32).is_none());
        assert_eq!(sent.find(one, 7, second as u32).map(|answer| answer.values[0]), Some(2));
        assert_eq!((sent.figures().answers, sent.figures().changes), (1, 2));
    }

    #[test]
    fn answers_go_when_others_come_and_those_over_the_bound_are_not_remembered() {
        let (mut sent, worker) = (SentAnswers::new(1000), NodeId::worker(0));
        let numbers: Vec<u64> = (0..3).map(|digest| sent.keep(worker, digest, &values(0), 256)).collect();
        assert!(sent.find(worker, 0, numbers[0] as u32).is_none());
        assert!(sent.find(worker, 2, numbers[2] as u32).is_some());
        assert_eq!(sent.keep(worker, 2, &values(0), 1000), 0);
        assert!(sent.find(worker, 2, numbers[2] as u32).is_none(), "the worker has another one now");
        assert_eq!((sent.figures().answers, sent.figures().evicted), (1, 1));
        sent.limit(0);
        assert_eq!(sent.figures().bytes, 0);
    }

    #[test]
    fn no_number_has_a_half_of_zero() {
        let mut sent = SentAnswers::new(1000);
        sent.last = u64::from(u32::MAX);
        assert_eq!(sent.keep(NodeId::worker(0), 1, &values(0), 256), (1 << 32) + 1);
    }
}
