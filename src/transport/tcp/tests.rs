//! Two and more transports in one thread, over real loopback sockets. Time is the machine's, plus
//! what a test adds to it, so that no test sits out a time-out.

mod data;
mod fault;
mod figure;
mod stranger;

use super::{TcpConfig, TcpTransport};
use crate::id::{Generation, Incarnation, JobId, Nanos, NodeId, Timestamp};
use crate::memory::{Pool, TxBuf};
use crate::transport::handshake::Secret;
use crate::transport::{Incoming, Transport};
use crate::wire::{Header, Kind, Pieces, RxFrame, TxFrame};
use std::sync::Arc;
use std::time::{Duration, Instant};

const JOB: JobId = JobId(77);
const SERVER: NodeId = NodeId::server(0, 0);
const WORKER: NodeId = NodeId::worker(0);

fn config(node: NodeId, incarnation: u64) -> TcpConfig {
    let mut counter = u64::from(node.0) << 32 | incarnation << 16;
    let random = move || {
        counter += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&counter.to_le_bytes());
        bytes
    };
    TcpConfig {
        node,
        incarnation: Incarnation(incarnation),
        job: JOB,
        generation: Generation(0),
        secret: Secret::from_bytes(&[5; 32]).expect("long enough"),
        listen: (node != WORKER).then(|| "127.0.0.1:0".to_owned()),
        pool: Pool::unbounded(),
        random: Box::new(random),
        spin: Duration::ZERO,
    }
}

fn open(config: TcpConfig) -> TcpTransport {
    TcpTransport::open(config).expect("loopback")
}

fn address(transport: &TcpTransport) -> String {
    transport.local_address().expect("listens")
}

/// Transports and what each was told.
struct Net {
    nodes: Vec<TcpTransport>,
    told: Vec<Vec<Incoming>>,
    begin: Instant,
    ahead: Duration,
}

impl Net {
    fn new(nodes: Vec<TcpTransport>) -> Net {
        let told = nodes.iter().map(|_| Vec::new()).collect();
        Net { nodes, told, begin: Instant::now(), ahead: Duration::ZERO }
    }

    /// A server and a worker that dials it, connected.
    fn pair() -> Net {
        Net::connect(vec![open(config(SERVER, 1)), open(config(WORKER, 1))])
    }

    /// The second dials the first, which is the server.
    fn connect(nodes: Vec<TcpTransport>) -> Net {
        let mut net = Net::new(nodes);
        net.dial(1, SERVER, 0);
        net.run("both to be up", |net| net.told.iter().all(|told| told.iter().any(is_up)));
        net
    }

    fn now(&self) -> Nanos {
        Nanos(0).after(self.begin.elapsed() + self.ahead)
    }

    fn dial(&mut self, from: usize, peer: NodeId, to: usize) {
        let (now, address) = (self.now(), address(&self.nodes[to]));
        self.nodes[from].connect(now, peer, &address);
    }

    fn send(&mut self, from: usize, peer: NodeId, mut frames: Vec<TxFrame>) {
        let now = self.now();
        self.nodes[from].tx_burst(now, peer, &mut frames);
        assert!(frames.is_empty(), "{} frames found no room", frames.len());
    }

    fn step(&mut self) {
        for i in 0..self.nodes.len() {
            let now = self.now();
            self.nodes[i].rx_burst(now, &mut self.told[i], 64);
            self.nodes[i].flush(now);
        }
        self.nodes[0].wait(Some(Duration::from_micros(100))).expect("a poller");
    }

    fn run(&mut self, what: &str, mut done: impl FnMut(&mut Net) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain for {what}: {:?}", self.told);
            self.step();
        }
    }

    /// Waits until a node is told something of this kind, and forgets all that it was told.
    fn run_until(&mut self, node: usize, what: &str, wanted: impl Fn(&Incoming) -> bool) {
        self.run(what, |net| net.told[node].iter().any(&wanted));
        self.told[node].clear();
    }

    fn frames(&self, node: usize) -> impl Iterator<Item = &RxFrame> {
        self.told[node].iter().filter_map(|incoming| match incoming {
            Incoming::Frame { frame, .. } => Some(frame),
            _ => None,
        })
    }
}

fn is_up(incoming: &Incoming) -> bool {
    matches!(incoming, Incoming::Up { .. })
}

fn is_lost(incoming: &Incoming) -> bool {
    matches!(incoming, Incoming::Lost { .. })
}

fn is_reconnected(incoming: &Incoming) -> bool {
    matches!(incoming, Incoming::Reconnected { .. })
}

/// A push whose keys and values follow from its number.
fn frame(source: NodeId, number: u64, key_count: usize, value_bytes: usize) -> TxFrame {
    let mut header = Header::new(Kind::Push, source);
    (header.job, header.timestamp) = (JOB, Timestamp(number));
    (header.key_count, header.key_bytes) = (key_count as u32, key_count as u32 * 8);
    header.value_bytes = value_bytes as u32;
    let keys: Vec<u64> = (0..key_count as u64).map(|i| number ^ i).collect();
    let values: Vec<u8> = (0..value_bytes).map(|i| value_at(number, i)).collect();
    // In several pieces, as a table gives them.
    let (whole, third) = (TxBuf::from_vec(values), value_bytes / 3);
    let pieces: Pieces = [0..third, third..value_bytes].into_iter().map(|range| whole.slice(range)).collect();
    TxFrame { keys: (key_count > 0).then(|| TxBuf::from_vec(keys)), ..TxFrame::with_values(header, pieces) }
}

fn value_at(number: u64, place: usize) -> u8 {
    (number as usize * 31 + place * 7 + place / 251) as u8
}

fn check(frame: &RxFrame) {
    let number = frame.header.timestamp.0;
    let body = frame.body();
    assert!(body.keys.iter().copied().eq((0..body.keys.len() as u64).map(|i| number ^ i)));
    assert!(body.values.iter().enumerate().all(|(i, &byte)| byte == value_at(number, i)), "frame {number}");
}

fn pool_of(config: &TcpConfig) -> Arc<Pool> {
    Arc::clone(&config.pool)
}
