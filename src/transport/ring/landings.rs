//! Memory that answers go to straight from their slots, instead of through a block of the pool.
//!
//! Only this end writes there: the peer never hears of it, and an answer is known by the name of its
//! question, which is a time of this writer and a range. Who owns what: a landing is kept from the moment
//! its question lies in the ring until the first answer to that name has come by any way, it is withdrawn, or
//! the link is gone. A question that is sent again offers none, so that of two answers the later one finds
//! nothing here and comes as any other frame.

use crate::id::Timestamp;
use crate::memory::Landing;
use crate::wire::{Header, Kind, Status};
use std::collections::VecDeque;

#[derive(Debug)]
struct Asked {
    question: Header,
    landing: Landing,
}

/// In the order of the questions, which as a rule is that of the answers.
#[derive(Debug, Default)]
pub(super) struct Landings {
    asked: VecDeque<Asked>,
}

impl Landings {
    /// Keeps the landing of a question that is sent.
    pub(super) fn ask(&mut self, question: &Header, landing: &Landing) {
        self.asked.push_back(Asked { question: *question, landing: landing.clone() });
    }

    /// The landing of the question that this frame answers. From now on it is nobody's here.
    #[inline]
    pub(super) fn answered(&mut self, answer: &Header) -> Option<Landing> {
        if answer.kind != Kind::PullReply {
            return None;
        }
        let name = |header: &Header| (header.timestamp, header.range);
        let place = self.asked.iter().position(|asked| name(&asked.question) == name(answer))?;
        self.asked.remove(place).map(|asked| asked.landing)
    }

    /// Lets go of all landings of questions of this time.
    pub(super) fn withdraw(&mut self, timestamp: Timestamp) {
        self.asked.retain(|asked| asked.question.timestamp != timestamp);
    }
}

/// Whether a frame is values and nothing else, which fit the landing; the words of a refusal are no values.
pub(super) fn may_land(answer: &Header, landing: &Landing) -> bool {
    let bytes = answer.value_bytes as usize;
    answer.status == Status::Ok && answer.body_bytes() == bytes && (1..=landing.bytes()).contains(&bytes)
}
