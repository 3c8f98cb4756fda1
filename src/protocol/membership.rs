//! A node's side of the control channel: it registers with the scheduler, says that it lives, and
//! hears what the job is and when it ends. Used by worker and server alike.
//!
//! Everything that may be lost with a connection is said again when the connection stands again:
//! the registration until a welcome came, a failure until the end came.

use super::identity::Identity;
use super::machine::Output;
use crate::id::{Incarnation, Nanos, NodeId};
use crate::limit;
use crate::wire::{ControlMessage, NodeInfo, Shutdown};
use std::collections::VecDeque;

/// Registration, heartbeats and the end of the job, as one node sees them.
#[derive(Debug)]
pub(super) struct Membership {
    info: NodeInfo,
    connected: bool,
    welcomed: bool,
    /// The scheduler as first met; another one knows nothing of this job's work.
    scheduler: Option<Incarnation>,
    heartbeat_at: Nanos,
    /// When the scheduler counts as dead unless it is heard.
    deadline: Nanos,
    failed: Option<Shutdown>,
    ended: bool,
}

impl Membership {
    pub(super) fn new(now: Nanos, info: NodeInfo) -> Membership {
        Membership {
            info,
            connected: false,
            welcomed: false,
            scheduler: None,
            heartbeat_at: now,
            deadline: now.after(limit::START_TIMEOUT),
            failed: None,
            ended: false,
        }
    }

    /// Asks for the connection to the scheduler; once, at the start.
    pub(super) fn begin<E>(scheduler_address: &str, outputs: &mut VecDeque<Output<E>>) {
        outputs.push_back(Output::Connect { peer: NodeId::SCHEDULER, address: scheduler_address.to_owned() });
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// The connection to the scheduler stands. Returns the end of the job when it is another
    /// scheduler than the one that gave the welcome.
    pub(super) fn on_connected<E>(
        &mut self,
        now: Nanos,
        incarnation: Incarnation,
        identity: &Identity,
        outputs: &mut VecDeque<Output<E>>,
    ) -> Option<Shutdown> {
        self.connected = true;
        self.on_heard(now);
        let restarted = self.scheduler.replace(incarnation).is_some_and(|old| old != incarnation);
        if restarted && self.welcomed && !self.ended {
            return Some(self.end("the scheduler was restarted and has forgotten the job; start the job again"));
        }
        // A scheduler that came back may have missed the registration; it answers again in any case.
        send(identity, &ControlMessage::Register(self.info.clone()), outputs);
        if let Some(failed) = &self.failed {
            send(identity, &ControlMessage::Failed(failed.clone()), outputs);
        }
        None
    }

    pub(super) fn on_lost(&mut self, now: Nanos) {
        self.connected = false;
        self.deadline = self.deadline.min(now.after(limit::SCHEDULER_GRACE));
    }

    /// The scheduler was heard: it lives.
    pub(super) fn on_heard(&mut self, now: Nanos) {
        self.deadline = now.after(limit::HEARTBEAT_TIMEOUT);
    }

    pub(super) fn on_welcome(&mut self) {
        self.welcomed = true;
    }

    /// Registers again, to hear of the newest partition.
    pub(super) fn ask_partition<E>(&self, identity: &Identity, outputs: &mut VecDeque<Output<E>>) {
        if self.connected {
            send(identity, &ControlMessage::Register(self.info.clone()), outputs);
        }
    }

    /// Tells the scheduler that this node cannot go on.
    pub(super) fn fail<E>(&mut self, identity: &Identity, why: Shutdown, outputs: &mut VecDeque<Output<E>>) {
        if self.connected {
            send(identity, &ControlMessage::Failed(why.clone()), outputs);
        }
        self.failed.get_or_insert(why);
    }

    /// Hears the end: says goodbye and lets the scheduler go. True the first time.
    pub(super) fn on_shutdown<E>(&mut self, identity: &Identity, outputs: &mut VecDeque<Output<E>>) -> bool {
        send(identity, &ControlMessage::Goodbye, outputs);
        outputs.push_back(Output::Disconnect { peer: NodeId::SCHEDULER });
        !std::mem::replace(&mut self.ended, true)
    }

    /// Sends what is due. Returns the end of the job when the scheduler counts as dead.
    pub(super) fn on_timeout<E>(
        &mut self,
        now: Nanos,
        identity: &Identity,
        outputs: &mut VecDeque<Output<E>>,
    ) -> Option<Shutdown> {
        if self.ended {
            return None;
        }
        if self.connected && now >= self.heartbeat_at {
            self.heartbeat_at = now.after(limit::HEARTBEAT_INTERVAL);
            let message =
                if self.welcomed { ControlMessage::Heartbeat } else { ControlMessage::Register(self.info.clone()) };
            send(identity, &message, outputs);
        }
        if now < self.deadline {
            return None;
        }
        Some(self.end(if self.welcomed {
            "the scheduler is gone; see its log, then start the job again"
        } else {
            "no scheduler was found; check its address and that it runs"
        }))
    }

    fn end(&mut self, reason: &str) -> Shutdown {
        self.ended = true;
        let message = format!("{}: {reason}", self.info.node);
        Shutdown { exit_code: crate::error::ExitCode::NodeLost as u8, message }
    }

    pub(super) fn poll_timeout(&self) -> Option<Nanos> {
        match (self.ended, self.connected) {
            (true, _) => None,
            (false, true) => Some(self.heartbeat_at.min(self.deadline)),
            (false, false) => Some(self.deadline),
        }
    }
}

/// Queues a control message for the scheduler.
pub(super) fn send<E>(identity: &Identity, message: &ControlMessage, outputs: &mut VecDeque<Output<E>>) {
    send_to(identity, NodeId::SCHEDULER, message, outputs);
}

/// Queues a control message for any peer.
pub(super) fn send_to<E>(identity: &Identity, to: NodeId, message: &ControlMessage, outputs: &mut VecDeque<Output<E>>) {
    let mut frame = message.to_frame(identity.node);
    frame.header = identity.stamp(frame.header);
    outputs.push_back(Output::Send { to, frame });
}
