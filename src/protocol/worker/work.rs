//! Units of work: the question for the next one, and the accounts of those that are done. Both are
//! said again until the scheduler has answered.

use super::{Worker, WorkerEvent};
use crate::protocol::machine::Output;
use crate::protocol::membership;
use crate::wire::{Assignment, ControlMessage};
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

    /// Says that a unit is done, with the learning program's account of it.
    pub fn unit_done(&mut self, unit: u64, report: Vec<u8>) {
        self.accounts.sequence += 1;
        let sequence = self.accounts.sequence;
        let message = ControlMessage::UnitDone { sequence, unit, report };
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
}
