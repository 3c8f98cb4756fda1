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
    /// Its starts that were given up.
    lost: Vec<Incarnation>,
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
        let (connection, lost) = (Connection::Never, Vec::new());
        Node { info: None, incarnation: None, lost, connection, heard_at: Nanos(0), said_goodbye: false }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.connection, Connection::Stands)
    }

    /// Gives this start of the node up; another may come.
    pub(super) fn lose(&mut self) {
        self.lost.extend(self.incarnation.take());
        (self.info, self.connection) = (None, Connection::Never);
    }

    /// Whether this start was given up.
    pub(super) fn is_lost(&self, incarnation: Incarnation) -> bool {
        self.lost.contains(&incarnation)
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
        if self.is_given_up(peer, incarnation) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&peer) else { return };
        let restarted = node.incarnation.is_some_and(|old| old != incarnation);
        if restarted && self.ending.is_none() {
            self.lose(now, peer, "it was restarted and has forgotten its state");
        }
        let Some(node) = self.nodes.get_mut(&peer) else { return };
        node.heard_at = now;
        node.connection = Connection::Stands;
        node.incarnation = Some(incarnation);
        if let Some(ending) = &self.ending {
            let message = ControlMessage::Shutdown(ending.shutdown.clone());
            self.say(peer, &message);
        }
    }

    pub(super) fn on_lost(&mut self, now: Nanos, peer: NodeId, reason: String) {
        // Of a start that was given up this is no news.
        if let Some(node) = self.nodes.get_mut(&peer).filter(|node| node.is_connected()) {
            node.connection = Connection::Lost(now, reason);
        }
    }

    /// Takes a node in and tells it the job as soon as every shard is there.
    pub(super) fn on_register(&mut self, from: NodeId, info: NodeInfo, incarnation: Incarnation) {
        let Some(node) = self.nodes.get_mut(&from) else { return };
        let first = node.info.replace(info).is_none();
        node.incarnation.get_or_insert(incarnation);
        if first {
            self.on_adopted(from);
        }
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
        let mut config = self.job.clone();
        if to.role() == Some(Role::Worker) {
            self.delays.put_into(&mut config.tables);
        }
        let message = ControlMessage::Welcome {
            config,
            partition: self.partition.clone(),
            servers: servers.to_vec(),
            resume: self.accounts.get(&to).map(|account| account.resume.clone()).unwrap_or_default(),
        };
        self.say(to, &message);
    }

    /// The launcher saw a node's process end.
    pub fn node_died(&mut self, now: Nanos, node: NodeId, reason: &str) {
        for node in self.run_by(node) {
            let done = self.nodes.get(&node).is_none_or(|node| node.said_goodbye);
            if !done && self.ending.is_none() {
                self.lose(now, node, reason);
            } else if let Some(node) = self.nodes.get_mut(&node) {
                node.said_goodbye = true;
                self.check_ending(now);
            }
        }
        if self.ending.is_none() {
            self.check_adoptions(now);
        }
    }

    /// The launcher heard from a node's process why it ended. Of a job that ends this is no news.
    pub fn node_failed(&mut self, now: Nanos, node: NodeId, shutdown: Shutdown) {
        let is_awaited =
            self.run_by(node).iter().any(|node| self.nodes.get(node).is_some_and(|node| !node.said_goodbye));
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
        let missing = self.nodes.iter().filter(|(id, node)| node.info.is_none() && !self.adoptions.is_pending(**id));
        let missing: Vec<String> =
            missing.filter(|(_, node)| !node.said_goodbye).map(|(node, _)| node.to_string()).collect();
        if now >= self.start_deadline && !missing.is_empty() {
            let seconds = limit::START_TIMEOUT.as_secs();
            let message = format!("not registered after {seconds} s: {}; see their logs", missing.join(", "));
            self.end(now, Shutdown { exit_code: ExitCode::NodeLost as u8, message });
        }
    }
}
