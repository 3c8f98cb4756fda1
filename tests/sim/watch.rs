//! A transport that watches what its node sends.

use parashard::id::{Nanos, NodeId, Timestamp};
use parashard::transport::{Incoming, Transport, TransportError, Waker};
use parashard::wire::{Kind, TxFrame};
use std::collections::BTreeMap;
use std::time::Duration;

/// Passes everything on and checks that every frame is the node's own and that its settled mark never falls.
pub(crate) struct Watch<T> {
    inner: T,
    node: NodeId,
    /// The mark as each peer heard it last.
    settled: BTreeMap<NodeId, Timestamp>,
    /// A planted fault: the node sees pulls that demand one time less.
    pub(crate) answers_early: bool,
}

impl<T> Watch<T> {
    pub(crate) fn new(inner: T, node: NodeId) -> Watch<T> {
        Watch { inner, node, settled: BTreeMap::new(), answers_early: false }
    }
}

impl<T: Transport> Transport for Watch<T> {
    fn connect(&mut self, now: Nanos, peer: NodeId, address: &str) {
        self.inner.connect(now, peer, address);
    }

    fn disconnect(&mut self, now: Nanos, peer: NodeId) {
        self.inner.disconnect(now, peer);
    }

    fn tx_burst(&mut self, now: Nanos, peer: NodeId, frames: &mut Vec<TxFrame>) {
        for frame in frames.iter() {
            let header = &frame.header;
            assert_eq!(header.source, self.node, "a frame in another node's name");
            if matches!(header.kind, Kind::Push | Kind::Pull | Kind::Call | Kind::EndOfTime) {
                let last = self.settled.insert(peer, header.settled);
                assert!(last <= Some(header.settled), "{}: the settled mark falls", self.node);
                assert!(header.kind == Kind::Pull || header.settled <= header.timestamp, "settled before it was sent");
            }
        }
        self.inner.tx_burst(now, peer, frames);
    }

    fn queued_bytes(&self, peer: NodeId) -> usize {
        self.inner.queued_bytes(peer)
    }

    fn rx_burst(&mut self, now: Nanos, incoming: &mut Vec<Incoming>, frames_max: usize) -> bool {
        let first = incoming.len();
        let more = self.inner.rx_burst(now, incoming, frames_max);
        for incoming in incoming.iter_mut().skip(first).filter(|_| self.answers_early) {
            if let Incoming::Frame { frame, .. } = incoming
                && frame.header.kind == Kind::Pull
            {
                frame.header.time.0 = frame.header.time.0.saturating_sub(1);
            }
        }
        more
    }

    fn flush(&mut self, now: Nanos) {
        self.inner.flush(now);
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        self.inner.poll_timeout()
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), TransportError> {
        self.inner.wait(timeout)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}
