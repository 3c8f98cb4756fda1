//! What goes wrong, how often, and what went wrong.

use crate::id::{Nanos, NodeId};
use std::time::Duration;

/// The faults of a network. Probabilities are in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SimFaults {
    /// Shortest time that a frame takes.
    pub delay_min: Duration,
    /// Longest time that a frame takes.
    pub delay_max: Duration,
    /// Whether the frames of one connection arrive in the order of sending.
    pub ordered: bool,
    /// Probability, per frame, that its connection breaks while the frame is on its way.
    pub loss: f64,
    /// Probability that a frame on a breaking connection arrives late, after the next connection,
    /// instead of never.
    pub late: f64,
    /// Probability that a frame arrives twice.
    pub duplicate: f64,
    /// Probability that the values of an answer are written where its request said, if it said so,
    /// instead of coming with the answer.
    pub landing: f64,
    /// Probability that one bit of a frame is flipped.
    pub corrupt: f64,
    /// Shortest pause before a lost connection is dialled again.
    pub reconnect_min: Duration,
    /// Longest pause before a lost connection is dialled again.
    pub reconnect_max: Duration,
    /// Times during which some nodes cannot reach the others.
    pub cuts: Vec<Cut>,
    /// Times during which a node stands still.
    pub pauses: Vec<Pause>,
}

impl SimFaults {
    /// A network in which nothing goes wrong: frames take 20 to 200 microseconds and overtake each other.
    #[must_use]
    pub fn none() -> SimFaults {
        SimFaults {
            delay_min: Duration::from_micros(20),
            delay_max: Duration::from_micros(200),
            ordered: false,
            loss: 0.0,
            late: 0.0,
            duplicate: 0.0,
            landing: 0.0,
            corrupt: 0.0,
            reconnect_min: Duration::from_millis(1),
            reconnect_max: Duration::from_millis(20),
            cuts: Vec::new(),
            pauses: Vec::new(),
        }
    }

    /// A network that breaks a connection about every hundred frames, delivers a third of what was
    /// on the way late, doubles one frame in fifty and damages one in five hundred.
    #[must_use]
    pub fn rough() -> SimFaults {
        SimFaults {
            delay_max: Duration::from_millis(2),
            loss: 0.01,
            late: 0.33,
            duplicate: 0.02,
            corrupt: 0.002,
            ..SimFaults::none()
        }
    }

    /// Whether a frame between these two nodes cannot get through at this moment.
    pub(super) fn separates(&self, at: Nanos, first: NodeId, second: NodeId) -> bool {
        self.cuts
            .iter()
            .any(|cut| (cut.begin..cut.end).contains(&at) && cut.nodes.contains(&first) != cut.nodes.contains(&second))
    }

    pub(super) fn paused_until(&self, at: Nanos, node: NodeId) -> Option<Nanos> {
        let pauses = self.pauses.iter().filter(|pause| pause.node == node && (pause.begin..pause.end).contains(&at));
        pauses.map(|pause| pause.end).max()
    }
}

/// During `[begin, end)` the nodes of one side and all others cannot reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// One side.
    pub nodes: Vec<NodeId>,
    /// First moment of the cut.
    pub begin: Nanos,
    /// First moment after the cut.
    pub end: Nanos,
}

/// During `[begin, end)` a node does nothing; what arrives for it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The node.
    pub node: NodeId,
    /// First moment of the pause.
    pub begin: Nanos,
    /// First moment after the pause.
    pub end: Nanos,
}

/// What has happened in a network so far, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimCounters {
    /// Frames taken from senders that saw a connection.
    pub sent: u64,
    /// Frames given to receivers, second copies included.
    pub delivered: u64,
    /// Second copies given to receivers.
    pub duplicated: u64,
    /// Frames given to a receiver after one that its peer had sent later.
    pub reordered: u64,
    /// Frames given to a receiver after the connection that followed theirs.
    pub late: u64,
    /// Answers whose values were written where their requests said, second copies included.
    pub landed: u64,
    /// Of these, how many were written when nobody waited for them any more.
    pub landed_in_quarantine: u64,
    /// Frames and copies that never arrived.
    pub lost: u64,
    /// Frames that arrived damaged and were refused; counted in `lost` too.
    pub corrupted: u64,
    /// Connections that broke.
    pub breaks: u64,
    /// `Reconnected` events given to nodes.
    pub reconnects: u64,
    /// Nodes that crashed.
    pub crashes: u64,
}
