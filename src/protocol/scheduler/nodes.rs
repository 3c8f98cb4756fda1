//! Watching the nodes: registration, heartbeats, lost connections.

use super::{Scheduler, SchedulerEvent};
use crate::error::ExitCode;
use crate::id::{Incarnation, Nanos, NodeId, Role};
use crate::limit;
use crate::protocol::machine::Output;
use crate::wire::{ControlMessage, NodeInfo, Shutdown};

/// A node as the scheduler sees it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) info: Option<NodeInfo>,
    incarnation: Option<Incarnation>,
    connection: Connection,
    heard_at: Nanos,
    pub(super) said_goodbye: bool,
}

#[derive(Debug)]
enum Connection {
    /// Not there yet.
    Never,
    Stands,
    /// Lost since then, for this reason.
    Lost(Nanos, String),
}

impl Node {
    pub(super) fn expected() -> Node {
        Node { info: None, incarnation: None, connection: Connection::Never, heard_at: Nanos(0), said_goodbye: false }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.connection, Connection::Stands)
    }

    pub(super) fn on_heard(&mut self, now: Nanos) {
        self.heard_at = now;
    }

    /// Whether the end of the job need not wait for the node: it has heard, or it never came.
    pub(super) fn is_gone(&self) -> bool {
        self.said_goodbye || matches!(self.connection, Connection::Never)
    }

    /// Why the node counts as dead, if it does. A busy one carries out a task.
    fn death(&self, now: Nanos, is_busy: bool) -> Option<String> {
        let silence_max = if is_busy { limit::TASK_TIMEOUT } else { limit::HEARTBEAT_TIMEOUT };
        match &self.connection {
            Connection::Never => None,
            Connection::Stands if now.since(self.heard_at) > silence_max => {
                Some(format!("no sign of life for {} s", silence_max.as_secs()))
            }
            Connection::Lost(since, reason) if now.since(*since) > limit::RECONNECT_GRACE => Some(reason.clone()),
            Connection::Stands | Connection::Lost(..) => None,
        }
    }
}

impl Scheduler {
    pub(super) fn on_connected(&mut self, now: Nanos, peer: NodeId, incarnation: Incarnation) {
        let Some(node) = self.nodes.get_mut(&peer) else { return };
        node.heard_at = now;
        node.connection = Connection::Stands;
        let restarted = node.incarnation.replace(incarnation).is_some_and(|old| old != incarnation);
        if restarted && self.ending.is_none() {
            self.lose(now, peer, "it was restarted and has forgotten its state");
        } else if let Some(ending) = &self.ending {
            let message = ControlMessage::Shutdown(ending.shutdown.clone());
            self.say(peer, &message);
        }
    }

    pub(super) fn on_lost(&mut self, now: Nanos, peer: NodeId, reason: String) {
        if let Some(node) = self.nodes.get_mut(&peer) {
            node.connection = Connection::Lost(now, reason);
        }
    }

    /// Takes a node in and tells it the job as soon as every shard is there.
    pub(super) fn on_register(&mut self, from: NodeId, info: NodeInfo, incarnation: Incarnation) {
        let Some(node) = self.nodes.get_mut(&from) else { return };
        let first = node.info.replace(info).is_none();
        node.incarnation.get_or_insert(incarnation);
        let Some(servers) = self.shard_infos() else {
            // It waits for the others; this tells it that somebody is there.
            self.say(from, &ControlMessage::Heartbeat);
            return;
        };
        if first && from.role() == Some(Role::Server) {
            let registered: Vec<NodeId> =
                self.nodes.iter().filter(|(_, node)| node.info.is_some()).map(|(&node, _)| node).collect();
            registered.into_iter().for_each(|node| self.welcome(node, &servers));
        } else {
            self.welcome(from, &servers);
        }
        if !std::mem::replace(&mut self.servers_ready, true) {
            self.outputs.push_back(Output::Event(SchedulerEvent::ServersReady));
        }
    }

    fn welcome(&mut self, to: NodeId, servers: &[NodeInfo]) {
        let message = ControlMessage::Welcome {
            config: self.job.clone(),
            partition: self.partition.clone(),
            servers: servers.to_vec(),
        };
        self.say(to, &message);
    }

    /// The launcher saw a node's process end.
    pub fn node_died(&mut self, now: Nanos, node: NodeId, reason: &str) {
        let done = self.nodes.get(&node).is_none_or(|node| node.said_goodbye);
        if !done && self.ending.is_none() {
            self.lose(now, node, reason);
        } else if let Some(node) = self.nodes.get_mut(&node) {
            node.said_goodbye = true;
            self.check_ending(now);
        }
    }

    /// The launcher heard from a node's process why it ended. Of a job that ends this is no news.
    pub fn node_failed(&mut self, now: Nanos, node: NodeId, shutdown: Shutdown) {
        let is_awaited = self.nodes.get(&node).is_some_and(|node| !node.said_goodbye);
        if is_awaited && self.ending.is_none() {
            self.end(now, shutdown);
        }
        self.node_died(now, node, "its process has ended");
    }

    pub(super) fn check_nodes(&mut self, now: Nanos) {
        let dead = self.nodes.iter().filter(|(_, node)| !node.said_goodbye);
        let dead = dead
            .filter_map(|(&id, node)| node.death(now, self.tasks.contains_key(&id)).map(|reason| (id, reason)))
            .next();
        if let Some((node, reason)) = dead {
            self.lose(now, node, &reason);
            return;
        }
        let missing: Vec<String> =
            self.nodes.iter().filter(|(_, node)| node.info.is_none()).map(|(node, _)| node.to_string()).collect();
        if now >= self.start_deadline && !missing.is_empty() {
            let seconds = limit::START_TIMEOUT.as_secs();
            let message = format!("not registered after {seconds} s: {}; see their logs", missing.join(", "));
            self.end(now, Shutdown { exit_code: ExitCode::NodeLost as u8, message });
        }
    }
}
