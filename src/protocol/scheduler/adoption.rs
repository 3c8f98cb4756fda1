//! The loss of a worker that the job survives.
//!
//! A worker is a writer's slot: its work is done under the writer's names, whoever does it. When its node is
//! lost, another worker's process is asked to run a second node in its name, again and again until that node
//! registers. It is welcomed with the writer's resume point, is given the units that were open, in their
//! order, and then what the workload gives it. Where delays are bounded nobody waits for it any more.
//!
//! Invariants: what a lost node says later is not heard; a node is run by one living process at most; when no
//! process of a worker is left, the job ends.

use super::Scheduler;
use super::nodes::Node;
use crate::error::ExitCode;
use crate::id::{Incarnation, Nanos, NodeId, Role, Time, WriterId};
use crate::limit;
use crate::protocol::membership;
use crate::wire::{Consistency, ControlMessage, Shutdown};
use std::collections::BTreeMap;

/// Which process runs which worker, where it is not its own.
#[derive(Debug, Default)]
pub(super) struct Adoptions {
    /// The worker whose process runs this one.
    hosts: BTreeMap<NodeId, NodeId>,
    /// How often each worker was lost or its adoption failed.
    turns: BTreeMap<NodeId, u32>,
    /// Lost workers that nobody runs yet: who was asked, and until when it may take.
    pending: BTreeMap<NodeId, (Option<NodeId>, Nanos)>,
}

impl Adoptions {
    /// The worker whose process runs `node`.
    fn host(&self, node: NodeId) -> NodeId {
        self.hosts.get(&node).copied().unwrap_or(node)
    }

    /// Whether nobody runs the node at this moment.
    pub(super) fn is_pending(&self, node: NodeId) -> bool {
        self.pending.contains_key(&node)
    }
}

impl Scheduler {
    /// The nodes that the process of `node` runs: none where its work is done elsewhere by now.
    pub(super) fn run_by(&self, node: NodeId) -> Vec<NodeId> {
        if node.role() != Some(Role::Worker) {
            return vec![node];
        }
        let workers = self.nodes.keys().copied().filter(|node| node.role() == Some(Role::Worker));
        workers.filter(|&worker| self.adoptions.host(worker) == node && !self.adoptions.is_pending(worker)).collect()
    }

    /// Goes on without a worker's node; [`check_adoptions`](Self::check_adoptions) finds another. False where the
    /// job cannot: then it must end.
    pub(super) fn survive(&mut self, now: Nanos, lost: NodeId, reason: &str) -> bool {
        if !self.job.survives_worker_loss || lost.role() != Some(Role::Worker) {
            return false;
        }
        let writer = WriterId(lost.rank());
        if let Some(node) = self.nodes.get_mut(&lost) {
            node.lose();
        }
        self.delays.forget(lost);
        let is_through = self.is_through(lost);
        if is_through {
            // Nothing is left for it to do but to say goodbye.
            self.nodes.entry(lost).and_modify(|node| node.said_goodbye = true);
        } else {
            self.questions.remove(&lost);
            self.accounts.entry(lost).or_default().begin_again();
            self.leave_out(lost);
            *self.adoptions.turns.entry(lost).or_default() += 1;
            self.adoptions.pending.insert(lost, (None, now));
        }
        self.workload.lost(writer, reason, !is_through);
        self.answer_questions();
        is_through || self.workers_left().next().is_some()
    }

    /// Nobody waits any more for what a lost writer does behind its resume point, where delays are bounded.
    fn leave_out(&mut self, lost: NodeId) {
        let is_bounded = |consistency| matches!(consistency, Consistency::BoundedDelay { .. });
        if self.job.tables.iter().any(|spec| is_bounded(spec.consistency)) {
            let resume = self.accounts.get(&lost).map(|account| &account.resume);
            let times = resume.into_iter().flat_map(|resume| &resume.tables).map(|table| table.time);
            self.writer_left(WriterId(lost.rank()), times.min().unwrap_or(Time(0)));
        }
    }

    /// Workers whose own process may still live.
    fn workers_left(&self) -> impl Iterator<Item = NodeId> {
        let workers = self.nodes.iter().filter(|(id, node)| id.role() == Some(Role::Worker) && !node.said_goodbye);
        let is_own = |id: &NodeId| self.adoptions.host(*id) == *id && !self.adoptions.is_pending(*id);
        workers.map(|(&id, _)| id).filter(is_own)
    }

    /// Asks for every lost worker that nobody runs yet: the process that runs the fewest workers and has the
    /// fewest units, again and again.
    pub(super) fn check_adoptions(&mut self, now: Nanos) {
        for lost in self.adoptions.pending.keys().copied().collect::<Vec<_>>() {
            let Some(&(asked, until)) = self.adoptions.pending.get(&lost) else { continue };
            // Somebody is there in its name and is about to register.
            if self.nodes.get(&lost).is_some_and(Node::is_connected) {
                continue;
            }
            let is_able = |adopter: NodeId| self.workers_left().any(|worker| worker == adopter);
            let adopter = match asked.filter(|&adopter| now < until && is_able(adopter)) {
                Some(adopter) => adopter,
                None => {
                    let Some(adopter) = self.least_busy() else { continue };
                    // One that was asked and did not come may come yet: it is told by its turn that it is late.
                    if asked.is_some() {
                        *self.adoptions.turns.entry(lost).or_default() += 1;
                    }
                    self.adoptions.pending.insert(lost, (Some(adopter), now.after(limit::ADOPTION_TIMEOUT)));
                    adopter
                }
            };
            let turn = self.adoptions.turns.get(&lost).copied().unwrap_or(0);
            self.say(adopter, &ControlMessage::Adopt { writer: WriterId(lost.rank()), turn });
        }
    }

    fn least_busy(&self) -> Option<NodeId> {
        let is_there = |worker: &NodeId| self.nodes.get(worker).is_some_and(Node::is_connected);
        let owed = |node: NodeId| self.accounts.get(&node).map_or(0, |account| account.open.len());
        self.workers_left().filter(is_there).min_by_key(|&worker| {
            let mut runs: Vec<NodeId> = self.run_by(worker);
            let asked = self.adoptions.pending.iter().filter(|(_, (adopter, _))| *adopter == Some(worker));
            runs.extend(asked.map(|(&lost, _)| lost));
            (runs.len(), runs.iter().map(|&node| owed(node)).sum::<usize>(), worker)
        })
    }

    /// A lost worker is there again, run by the process that was asked last, or by its own that was restarted.
    pub(super) fn on_adopted(&mut self, node: NodeId) {
        if let Some((adopter, _)) = self.adoptions.pending.remove(&node) {
            let host = adopter.unwrap_or_else(|| self.adoptions.host(node));
            self.adoptions.hosts.insert(node, host);
            self.workload.adopted(WriterId(node.rank()), WriterId(host.rank()));
        }
    }

    /// Whether this start of a node was given up; it is told that the job goes on without it.
    pub(super) fn is_given_up(&mut self, node: NodeId, incarnation: Incarnation) -> bool {
        let is_lost = self.nodes.get(&node).is_some_and(|node| node.is_lost(incarnation));
        if is_lost {
            let message = format!("{node} was silent for so long that its work was given to others");
            let end = ControlMessage::Shutdown(Shutdown { exit_code: ExitCode::NodeLost as u8, message });
            membership::send_to(&self.identity, node, &end, &mut self.outputs);
        }
        is_lost
    }
}
