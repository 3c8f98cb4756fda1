//! Units of work: the question for the next one, and the accounts of those that are done. Both are
//! said again until the scheduler has answered.

use super::{TableTime, Worker, WorkerEvent};
use crate::id::{Timestamp, WriterId};
use crate::limit;
use crate::protocol::machine::Output;
use crate::protocol::membership;
use crate::wire::{Assignment, ControlMessage, GivenBack, ResumePoint, TableResume};
use std::collections::VecDeque;

/// The worker's open question for work, kept until it is answered.
#[derive(Debug, Default)]
pub(super) struct Question {
    sequence: u64,
    pub(super) is_open: bool,
}

/// Accounts of finished units that the scheduler has not heard yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    sequence: u64,
    pub(super) unheard: VecDeque<(u64, ControlMessage)>,
}

impl Worker {
    /// Asks for a unit of work; the answer comes as an event. While a question is open this changes nothing.
    pub fn next_unit(&mut self) {
        if self.question.is_open {
            return;
        }
        self.question.sequence += 1;
        self.question.is_open = true;
        self.ask_again();
    }

    /// Says that a unit is done, with the learning program's account of it. Everything before is done and
    /// acknowledged too; nothing of a later unit is begun.
    pub fn unit_done(&mut self, unit: u64, report: Vec<u8>) {
        self.unit_done_before(unit, report, self.operations.next_timestamp(), Vec::new());
    }

    /// As [`unit_done`](Self::unit_done), where `next` is the first name of the unit behind it, of which pulls
    /// may have begun; `notes` are for who takes this writer's work over there.
    pub fn unit_done_before(&mut self, unit: u64, report: Vec<u8>, next: Timestamp, notes: Vec<u8>) {
        let of_table =
            |own: &TableTime| TableResume { time: own.time, slices: own.slices.clone(), finished: own.finished };
        let tables = self.times.iter().map(of_table).collect();
        self.account(unit, report, Some(ResumePoint { timestamp: next, tables, notes }));
    }

    /// Gives an account of a part of a unit; [`unit_done`](Self::unit_done) gives the last.
    pub fn unit_part(&mut self, unit: u64, report: Vec<u8>) {
        self.account(unit, report, None);
    }

    fn account(&mut self, unit: u64, report: Vec<u8>, resume: Option<ResumePoint>) {
        self.accounts.sequence += 1;
        let sequence = self.accounts.sequence;
        let message = ControlMessage::UnitDone { sequence, unit, report, resume };
        if self.membership.is_connected() {
            membership::send(&self.identity, &message, &mut self.outputs);
        }
        self.accounts.unheard.push_back((sequence, message));
    }

    /// Says again what the scheduler has not answered yet.
    pub(super) fn ask_again(&mut self) {
        if !self.membership.is_connected() {
            return;
        }
        for (_, account) in &self.accounts.unheard {
            membership::send(&self.identity, account, &mut self.outputs);
        }
        if self.question.is_open {
            let question = ControlMessage::NextUnit { sequence: self.question.sequence };
            membership::send(&self.identity, &question, &mut self.outputs);
        }
    }

    pub(super) fn on_assigned(&mut self, sequence: u64, assignment: Assignment) {
        if sequence != self.question.sequence || !std::mem::take(&mut self.question.is_open) {
            return;
        }
        let unit = match assignment {
            Assignment::Unit(unit) => Some(unit),
            Assignment::Finished => None,
        };
        self.outputs.push_back(Output::Event(WorkerEvent::Assigned(unit)));
    }

    /// An account was heard, and with it those before it.
    pub(super) fn on_account_heard(&mut self, sequence: u64) {
        self.accounts.unheard.retain(|(unheard, _)| *unheard > sequence);
    }

    /// Another worker's node is lost, and this process is to run it too; told once for each loss.
    pub(super) fn on_adopt(&mut self, writer: WriterId, turn: u32) {
        if self.adopted.get(&writer).is_none_or(|&last| last < turn) {
            self.adopted.insert(writer, turn);
            self.outputs.push_back(Output::Event(WorkerEvent::Adopt(writer)));
        }
    }

    /// A unit is asked back; a repeated question gets the same answer, also one that comes late, behind others.
    pub(super) fn on_release(&mut self, unit: u64) {
        match self.releases.iter().find(|(asked, _)| *asked == unit) {
            Some((_, Some(given))) => self.say_released(unit, given.clone()),
            Some((_, None)) => {}
            None => {
                if self.releases.len() >= limit::RELEASES_KEPT {
                    self.releases.pop_front();
                }
                self.releases.push_back((unit, None));
                self.outputs.push_back(Output::Event(WorkerEvent::Release(unit)));
            }
        }
    }

    /// Says what is given back of a unit that was asked back.
    pub fn answer_release(&mut self, unit: u64, given: GivenBack) {
        if let Some((_, answer)) = self.releases.iter_mut().find(|(asked, _)| *asked == unit) {
            *answer = Some(given.clone());
        }
        self.say_released(unit, given);
    }

    fn say_released(&mut self, unit: u64, given: GivenBack) {
        if self.membership.is_connected() {
            membership::send(&self.identity, &ControlMessage::Released { unit, given }, &mut self.outputs);
        }
    }

    /// Whether the scheduler has heard all accounts.
    #[must_use]
    pub fn are_accounts_heard(&self) -> bool {
        self.accounts.unheard.is_empty()
    }
}
