//! The end of the job: told to every node until each has said goodbye, or for
//! [`limit::GOODBYE_TIMEOUT`]. A node whose connection is lost for a moment is waited for too.

use super::nodes::Node;
use super::{Scheduler, SchedulerEvent};
use crate::id::{Nanos, NodeId};
use crate::limit;
use crate::protocol::machine::Output;
use crate::wire::{ControlMessage, Shutdown};

/// An end that is under way.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) shutdown: Shutdown,
    deadline: Option<Nanos>,
    pub(super) is_over: bool,
}

impl Scheduler {
    /// Ends the job. The first reason counts; later ones are its consequences.
    pub fn end(&mut self, now: Nanos, shutdown: Shutdown) {
        if self.ending.is_some() {
            return;
        }
        let message = ControlMessage::Shutdown(shutdown.clone());
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.say(node, &message));
        self.ending = Some(Ending { shutdown, deadline: None, is_over: false });
        self.check_at = now;
        self.check_ending(now);
    }

    /// Whatever a node says now, it is told the end until it says goodbye.
    pub(super) fn on_message_at_end(&mut self, from: NodeId, message: &ControlMessage) {
        if *message == ControlMessage::Goodbye {
            if let Some(node) = self.nodes.get_mut(&from) {
                node.said_goodbye = true;
            }
            self.check_at = Nanos(0);
        } else if let Some(ending) = &self.ending {
            let message = ControlMessage::Shutdown(ending.shutdown.clone());
            self.say(from, &message);
        }
    }

    pub(super) fn check_ending(&mut self, now: Nanos) {
        let all_gone = self.nodes.values().all(Node::is_gone);
        let Some(ending) = self.ending.as_mut().filter(|ending| !ending.is_over) else { return };
        let deadline = *ending.deadline.get_or_insert(now.after(limit::GOODBYE_TIMEOUT));
        if all_gone || now >= deadline {
            ending.is_over = true;
            let shutdown = ending.shutdown.clone();
            self.outputs.push_back(Output::Event(SchedulerEvent::Ended(shutdown)));
            return;
        }
        let message = ControlMessage::Shutdown(ending.shutdown.clone());
        let waiting = self.nodes.iter().filter(|(_, node)| !node.said_goodbye).map(|(&node, _)| node);
        waiting.collect::<Vec<_>>().into_iter().for_each(|node| self.say(node, &message));
    }
}
