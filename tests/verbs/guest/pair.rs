//! Two ends of a link in one process, on one device: a worker with memory for answers, and a shard.

use parashard::id::{JobId, NodeId};
use parashard::memory::{Pool, TxBuf};
use parashard::transport::Incoming;
use parashard::transport::verbs::{Verbs, VerbsConfig, VerbsError};
use parashard::wire::{Header, Kind, RxFrame, TxFrame};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const JOB: JobId = JobId(7);
pub(crate) const WORKER: NodeId = NodeId::worker(0);
pub(crate) const SHARD: NodeId = NodeId::server(0, 0);
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct End {
    pub(crate) verbs: Verbs,
    pub(crate) node: NodeId,
    pub(crate) peer: NodeId,
    pub(crate) pool: Arc<Pool>,
    pub(crate) landing: Arc<Pool>,
    pub(crate) incoming: Vec<Incoming>,
}

pub(crate) struct Pair {
    pub(crate) worker: End,
    pub(crate) shard: End,
    generation: u16,
}

impl End {
    /// A node that offers memory for answers, as workers do.
    pub(crate) fn open_worker(node: NodeId, peer: NodeId) -> End {
        End::open(&environment(), node, peer, true)
    }

    /// A node that offers none.
    pub(crate) fn open_shard(node: NodeId, peer: NodeId) -> End {
        End::open(&environment(), node, peer, false)
    }

    fn open(config: &VerbsConfig, node: NodeId, peer: NodeId, lands: bool) -> End {
        let (pool, landing) = (Pool::unbounded(), Pool::unbounded());
        let given = lands.then_some(&landing);
        let verbs = Verbs::open(config, None, JOB, &pool, given).expect("a usable device");
        End { verbs, node, peer, pool, landing, incoming: Vec::new() }
    }

    pub(crate) fn header(&self, kind: Kind) -> Header {
        Header { job: JOB, ..Header::new(kind, self.node) }
    }

    /// A frame of this kind with these values.
    pub(crate) fn frame(&self, kind: Kind, values: TxBuf) -> TxFrame {
        let header = Header { value_bytes: values.len() as u32, ..self.header(kind) };
        TxFrame::with_values(header, values)
    }

    /// Values in memory of the node's own pool.
    pub(crate) fn values(&self, bytes: usize, seed: u8) -> TxBuf {
        let mut block = self.pool.block(bytes);
        block.iter_mut().enumerate().for_each(|(place, byte)| *byte = pattern(place, seed));
        block.freeze()
    }

    pub(crate) fn send(&mut self, frame: TxFrame) {
        let mut frames = vec![frame];
        self.verbs.tx_burst(self.peer, &mut frames);
        assert!(frames.is_empty(), "the link carries the frame");
        self.verbs.flush();
    }

    /// Polls until the link fails.
    pub(crate) fn failure(&mut self) -> VerbsError {
        let begin = Instant::now();
        loop {
            self.poll();
            if let Some((_, error)) = self.verbs.failed() {
                return error;
            }
            assert!(begin.elapsed() < PATIENCE, "the link does not fail");
        }
    }

    pub(crate) fn poll(&mut self) {
        self.verbs.rx_burst(&mut self.incoming, 64, &|_| false);
        self.verbs.flush();
    }
}

fn environment() -> VerbsConfig {
    VerbsConfig::from_environment().expect("sound settings")
}

pub(crate) fn pattern(place: usize, seed: u8) -> u8 {
    (place.wrapping_mul(0x9e37_79b1) >> 13) as u8 ^ seed
}

pub(crate) fn assert_pattern(bytes: &[u8], seed: u8) {
    let wrong = bytes.iter().enumerate().position(|(place, &byte)| byte != pattern(place, seed));
    assert_eq!(wrong, None, "the first wrong byte of {}", bytes.len());
}

impl Pair {
    pub(crate) fn connected() -> Pair {
        Pair::of(&environment())
    }

    /// Both with these settings.
    pub(crate) fn of(config: &VerbsConfig) -> Pair {
        let (worker, shard) = (End::open(config, WORKER, SHARD, true), End::open(config, SHARD, WORKER, false));
        let mut pair = Pair { worker, shard, generation: 0 };
        pair.connect();
        pair
    }

    /// Makes the link, or makes it anew.
    pub(crate) fn connect(&mut self) {
        self.generation += 1;
        let ours = self.worker.verbs.begin(SHARD, self.generation).expect("the worker's end");
        let theirs = self.shard.verbs.begin(WORKER, self.generation + 100).expect("the shard's end");
        self.worker.verbs.connect(SHARD, &theirs).expect("the worker connects");
        self.shard.verbs.connect(WORKER, &ours).expect("the shard connects");
    }

    /// Polls both ends until `done` says so.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Pair) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            self.worker.poll();
            self.shard.poll();
            for end in [&mut self.worker, &mut self.shard] {
                if let Some((_, error)) = end.verbs.failed() {
                    panic!("while waiting for {what}: {error}");
                }
            }
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        }
    }

    /// The next frame at the shard.
    pub(crate) fn at_shard(&mut self) -> RxFrame {
        self.until("a frame at the shard", |pair| !pair.shard.incoming.is_empty());
        frame(self.shard.incoming.remove(0))
    }

    /// The next frame at the worker.
    pub(crate) fn at_worker(&mut self) -> RxFrame {
        self.until("a frame at the worker", |pair| !pair.worker.incoming.is_empty());
        frame(self.worker.incoming.remove(0))
    }

    /// Polls until nothing is under way.
    pub(crate) fn quiet(&mut self) {
        self.until("quiet", |pair| pair.worker.verbs.queued_bytes(SHARD) + pair.shard.verbs.queued_bytes(WORKER) == 0);
    }

    /// Polls until an end says that its link failed.
    pub(crate) fn failure_of(&mut self, of_worker: bool) -> VerbsError {
        let begin = Instant::now();
        loop {
            self.worker.poll();
            self.shard.poll();
            let end = if of_worker { &mut self.worker } else { &mut self.shard };
            if let Some((peer, error)) = end.verbs.failed() {
                assert_eq!(peer, end.peer);
                return error;
            }
            assert!(begin.elapsed() < PATIENCE, "the link does not fail");
        }
    }
}

fn frame(incoming: Incoming) -> RxFrame {
    match incoming {
        Incoming::Frame { frame, .. } => frame,
        other => panic!("{other:?}"),
    }
}
