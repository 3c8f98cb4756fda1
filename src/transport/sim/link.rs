//! What the network knows of one pair of nodes, and of a frame on its way.

use crate::id::{Incarnation, Nanos, NodeId};
use crate::memory::{Landing, Pool, RxBuf};
use crate::wire::{HEADER_BYTES, Header, Kind, RxFrame, Target, TxFrame, WireError};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A pair of nodes, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair(pub(super) NodeId, pub(super) NodeId);

impl Pair {
    pub(super) fn new(first: NodeId, second: NodeId) -> Pair {
        Pair(first.min(second), first.max(second))
    }

    pub(super) fn has(self, node: NodeId) -> bool {
        self.0 == node || self.1 == node
    }

    pub(super) fn nodes(self) -> [NodeId; 2] {
        [self.0, self.1]
    }

    pub(super) fn other(self, node: NodeId) -> NodeId {
        if self.0 == node { self.1 } else { self.0 }
    }

    fn side(self, node: NodeId) -> usize {
        usize::from(self.1 == node)
    }
}

/// A pair's connections, one after the other.
#[derive(Debug, Default)]
pub(super) struct Link {
    sides: [Side; 2],
    /// Number of the latest connection.
    pub(super) serial: u64,
    /// Whether it stands.
    pub(super) stands: bool,
    /// Whether an attempt to connect is on its way.
    pub(super) attempting: bool,
    /// Frames of broken connections that arrive after the next one.
    pub(super) late: Vec<Flight>,
}

/// One end of a link.
#[derive(Debug, Default, Clone)]
pub(super) struct Side {
    /// Whether this node asked to be connected.
    pub(super) dials: bool,
    /// Whether this start of the node was connected before.
    pub(super) known: bool,
    /// The connection that this node believes to stand.
    pub(super) view: Option<u64>,
    /// Moment of the last news of connections for this node: later ones, and frames, come after it.
    pub(super) news_until: Nanos,
    /// Latest moment at which a frame arrives here; for ordered networks.
    pub(super) arrival_max: Nanos,
    /// Latest frame that arrived here.
    pub(super) sequence_max: u64,
}

impl Link {
    pub(super) fn side(&mut self, pair: Pair, node: NodeId) -> &mut Side {
        &mut self.sides[pair.side(node)]
    }

    pub(super) fn is_dialled(&self) -> bool {
        self.sides.iter().any(|side| side.dials)
    }
}

/// What waits for its moment at one node.
#[derive(Debug)]
pub(super) enum Arrival {
    Connected { peer: NodeId, serial: u64, incarnation: Incarnation },
    Lost { peer: NodeId, serial: u64, reason: &'static str },
    Frame(Flight),
}

impl Arrival {
    pub(super) fn peer(&self) -> NodeId {
        match self {
            Arrival::Connected { peer, .. } | Arrival::Lost { peer, .. } => *peer,
            Arrival::Frame(flight) => flight.from,
        }
    }
}

/// A frame on its way, as bytes.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// The connection by which it travels.
    pub(super) serial: u64,
    /// Counts all frames of the network in the order of sending.
    pub(super) sequence: u64,
    pub(super) is_copy: bool,
    pub(super) is_late: bool,
    pub(super) is_damaged: bool,
    bytes: Vec<u8>,
    /// The place to land that the frame speaks of.
    pub(super) target: Option<Target>,
    /// Values that do not come with the frame, and where they will be written.
    pub(super) values: Option<(Landing, Vec<u8>)>,
    is_landed: bool,
    is_answer: bool,
}

impl Flight {
    pub(super) fn new(from: NodeId, to: NodeId, serial: u64, sequence: u64, frame: &TxFrame) -> Flight {
        let bytes = [frame.encode_header().as_bytes(), &frame.body_parts().concat()].concat();
        let is_answer = matches!(frame.header.kind, Kind::PushReply | Kind::PullReply | Kind::EndOfTimeReply);
        Flight {
            from,
            to,
            serial,
            sequence,
            is_copy: false,
            is_late: false,
            is_damaged: false,
            bytes,
            target: None,
            values: None,
            is_landed: false,
            is_answer,
        }
    }

    /// Lets the values, which are all of the body, travel apart from the frame.
    pub(super) fn land_in(&mut self, landing: Landing, header: &Header) {
        let values = self.bytes.split_off(HEADER_BYTES);
        self.bytes = header.encode(&[]).as_bytes().to_vec();
        (self.values, self.is_landed) = (Some((landing, values)), true);
    }

    pub(super) fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// The same frame once more.
    pub(super) fn second_copy(&self) -> Flight {
        Flight { is_copy: true, ..self.clone() }
    }

    pub(super) fn bits(&self) -> u64 {
        self.bytes.len() as u64 * 8
    }

    pub(super) fn damage(&mut self, bit: u64) {
        self.is_damaged = true;
        self.bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }

    pub(super) fn header_bytes(&self) -> &[u8] {
        &self.bytes[..HEADER_BYTES]
    }

    /// The frame as the receiver reads it, its body in the receiver's memory.
    pub(super) fn decode(&self, pool: &Arc<Pool>) -> Result<RxFrame, WireError> {
        let (raw, header) = RxFrame::decode_header(&self.bytes)?;
        if self.is_landed {
            raw.check(&[])?;
            return RxFrame::linked_landed(header, RxBuf::empty());
        }
        let body = &self.bytes[HEADER_BYTES..];
        let buf = if body.is_empty() {
            RxBuf::empty()
        } else {
            let mut block = pool.block(body.len());
            block.copy_from_slice(body);
            RxBuf::new(block)
        };
        let mut frame = RxFrame::new(&raw, header, buf)?;
        frame.target = self.target.filter(|_| !self.is_answer);
        Ok(frame)
    }
}
