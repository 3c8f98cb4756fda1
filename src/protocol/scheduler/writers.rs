//! Decisions about writers: who is not waited for any more, and who is again. Every shard is told all of
//! them in order, each one until it has heard.

use super::Scheduler;
use crate::id::{NodeId, Role, Time, WriterId};
use crate::wire::{ControlMessage, WriterChange};
use std::collections::{BTreeMap, VecDeque};

/// The decisions that some shard may not have heard.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    /// Number of the decision before the first that is kept; they count from 1.
    before: u64,
    kept: VecDeque<(WriterId, WriterChange)>,
    /// The last decision that each shard has heard.
    heard: BTreeMap<NodeId, u64>,
}

impl Decisions {
    /// What the shard is to be told next.
    fn next_for(&self, shard: NodeId) -> Option<ControlMessage> {
        let sequence = self.heard.get(&shard).copied().unwrap_or(0) + 1;
        let place = usize::try_from(sequence.checked_sub(self.before + 1)?).ok()?;
        let &(writer, change) = self.kept.get(place)?;
        Some(ControlMessage::Writer { sequence, writer, change })
    }
}

impl Scheduler {
    /// Nobody waits any more for what the writer does at `from_time` and after, except on `Sequential` tables.
    pub fn writer_left(&mut self, writer: WriterId, from_time: Time) {
        self.decide(writer, WriterChange::Left { from_time });
    }

    /// A writer that had left is waited for again, from `from_time` on.
    pub fn writer_joined(&mut self, writer: WriterId, from_time: Time) {
        self.decide(writer, WriterChange::Joined { from_time });
    }

    fn decide(&mut self, writer: WriterId, change: WriterChange) {
        self.decisions.kept.push_back((writer, change));
        self.repeat_decisions();
    }

    /// A shard has done everything up to this decision.
    pub(super) fn on_writer_heard(&mut self, from: NodeId, sequence: u64) {
        let own = &mut self.decisions;
        let last = own.before + own.kept.len() as u64;
        let heard = own.heard.entry(from).or_default();
        *heard = (*heard).max(sequence.min(last));
        let shards: Vec<NodeId> = self.shards().collect();
        let own = &mut self.decisions;
        let lowest = shards.iter().map(|shard| own.heard.get(shard).copied().unwrap_or(0)).min().unwrap_or(0);
        while own.before < lowest {
            own.before += 1;
            own.kept.pop_front();
        }
        self.tell_decision(from);
    }

    /// Tells every shard what it has not heard.
    pub(super) fn repeat_decisions(&mut self) {
        let shards: Vec<NodeId> = self.shards().collect();
        shards.into_iter().for_each(|shard| self.tell_decision(shard));
    }

    fn tell_decision(&mut self, shard: NodeId) {
        if let Some(message) = self.decisions.next_for(shard) {
            self.say(shard, &message);
        }
    }

    fn shards(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied().filter(|node| node.role() == Some(Role::Server))
    }
}
