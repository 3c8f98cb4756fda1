//! Memory that answers go to straight from their slots, instead of through a block of the pool.
//!
//! Only this end writes there: the peer never hears of it, and an answer is known by the name of its
//! question, which is a time of this writer and a range. Who owns what: a landing is kept from the moment
//! its question lies in the ring until the first answer to that name has come by any way, or the link is
//! gone. A question that is sent again offers none, so that of two answers the later one finds nothing
//! here and comes as any other frame.

use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use crate::memory::Landing;
use crate::wire::{Header, Kind, Status};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Landings {
    asked: BTreeMap<(Timestamp, KeyRange), Landing>,
}

impl Landings {
    /// Keeps the landing of a question that is sent.
    pub(super) fn ask(&mut self, question: &Header, landing: &Landing) {
        self.asked.insert((question.timestamp, question.range), landing.clone());
    }

    /// The landing of the question that this frame answers. From now on it is nobody's here.
    #[inline]
    pub(super) fn answered(&mut self, answer: &Header) -> Option<Landing> {
        let may_answer = answer.kind == Kind::PullReply && !self.asked.is_empty();
        if may_answer { self.asked.remove(&(answer.timestamp, answer.range)) } else { None }
    }
}

/// Whether a frame is values and nothing else, which fit the landing; the words of a refusal are no values.
pub(super) fn may_land(answer: &Header, landing: &Landing) -> bool {
    let bytes = answer.value_bytes as usize;
    answer.status == Status::Ok && answer.body_bytes() == bytes && (1..=landing.bytes()).contains(&bytes)
}
