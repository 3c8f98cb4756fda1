//! Below the protocol: block, frame, connection, block.

use crate::counter::{count, take_turn, watch_this_thread};
use parashard::id::{Generation, Incarnation, JobId, Nanos, NodeId, Timestamp};
use parashard::memory::Pool;
use parashard::node::Secret;
use parashard::transport::fabric::{FabricTransport, LinkKind, LinkSettings, TransportChoice};
use parashard::transport::tcp::TcpConfig;
use parashard::transport::{Incoming, Transport};
use parashard::wire::{Header, Kind, TxFrame};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const JOB: JobId = JobId(7);
const SERVER: NodeId = NodeId::server(0, 0);
const WORKER: NodeId = NodeId::worker(0);
/// Bodies of one round: without, small, of a segment, and larger than what is read at once.
const BODIES: [usize; 6] = [0, 8, 4096, 256 << 10, 8, 600_000];
const WARM_UP_ROUNDS: usize = 200;
const ROUNDS: usize = 300;

/// One end: what it sends and what it is told.
struct End {
    transport: FabricTransport,
    pool: Arc<Pool>,
    node: NodeId,
    peer: NodeId,
    begin: Instant,
    incoming: Vec<Incoming>,
    frames: Vec<TxFrame>,
}

impl End {
    fn open(node: NodeId, peer: NodeId, spin: Duration, choice: TransportChoice) -> End {
        let pool = Pool::unbounded();
        let mut drawn = u64::from(node.0);
        let config = TcpConfig {
            node,
            incarnation: Incarnation(1),
            job: JOB,
            generation: Generation(0),
            secret: Secret::from_bytes(&[3; 32]).expect("long enough"),
            listen: (node == SERVER).then(|| "127.0.0.1:0".to_owned()),
            pool: Arc::clone(&pool),
            random: Box::new(move || {
                drawn += 1 << 32;
                std::array::from_fn(|i| (drawn >> (i % 8 * 8)) as u8)
            }),
            spin,
        };
        let transport =
            FabricTransport::open(config, &LinkSettings { choice, ..LinkSettings::default() }).expect("loopback");
        End { transport, pool, node, peer, begin: Instant::now(), incoming: Vec::new(), frames: Vec::new() }
    }

    /// Sends one frame of each size, from blocks of the pool.
    fn send(&mut self) {
        for (number, bytes) in BODIES.into_iter().enumerate() {
            let mut header = Header::new(Kind::Push, self.node);
            (header.job, header.value_bytes, header.timestamp) = (JOB, bytes as u32, Timestamp(number as u64));
            let values = (bytes > 0).then(|| {
                let mut block = self.pool.block(bytes);
                block.fill(number as u8);
                block.freeze()
            });
            self.frames.push(TxFrame::with_values(header, values));
        }
        let now = self.now();
        self.transport.tx_burst(now, self.peer, &mut self.frames);
        self.transport.flush(now);
    }

    /// Waits until the peer's round is there, and lets it go. False when the peer has left.
    fn receive(&mut self) -> bool {
        let is_frame = |incoming: &Incoming| matches!(incoming, Incoming::Frame { .. });
        while self.incoming.iter().filter(|incoming| is_frame(incoming)).count() < BODIES.len() {
            if self.incoming.iter().any(|incoming| matches!(incoming, Incoming::Lost { .. })) {
                return false;
            }
            self.round();
        }
        for incoming in self.incoming.drain(..) {
            if let Incoming::Frame { frame, .. } = incoming {
                let number = frame.header.timestamp.0 as u8;
                assert!(frame.body().values.iter().all(|&byte| byte == number));
            }
        }
        true
    }

    fn round(&mut self) {
        let (now, before) = (self.now(), self.incoming.len());
        if !self.transport.rx_burst(now, &mut self.incoming, 256) && self.incoming.len() == before {
            self.transport.wait(Some(Duration::from_millis(20))).expect("a poller");
        }
    }

    fn now(&self) -> Nanos {
        Nanos(0).after(self.begin.elapsed())
    }
}

fn counted(spin: Duration, choice: TransportChoice, kind: LinkKind) -> u64 {
    let mut server = End::open(SERVER, WORKER, spin, choice);
    let address = server.transport.local_address().expect("listens");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            watch_this_thread();
            while !over.load(Ordering::Relaxed) && server.receive() {
                server.send();
            }
        });
        watch_this_thread();
        let mut worker = End::open(WORKER, SERVER, spin, choice);
        worker.transport.connect(Nanos(0), SERVER, &address);
        while !worker.incoming.iter().any(|incoming| matches!(incoming, Incoming::Up { .. })) {
            worker.round();
        }
        let mut exchange = |rounds| {
            for _ in 0..rounds {
                worker.send();
                assert!(worker.receive(), "the connection is lost");
            }
        };
        exchange(WARM_UP_ROUNDS);
        let counted = count(|| exchange(ROUNDS));
        assert_eq!(worker.transport.link_kind(SERVER), Some(kind));
        over.store(true, Ordering::Relaxed);
        counted
    })
}

#[test]
fn frames_allocate_nothing_whichever_way_they_take() {
    let _turn = take_turn();
    assert_eq!(counted(Duration::ZERO, TransportChoice::Tcp, LinkKind::Tcp), 0);
    assert_eq!(counted(Duration::ZERO, TransportChoice::Shm, LinkKind::Shm), 0);
    assert_eq!(counted(Duration::ZERO, TransportChoice::Auto, LinkKind::Local), 0);
}

#[test]
fn frames_allocate_nothing_while_waits_poll() {
    let _turn = take_turn();
    assert_eq!(counted(Duration::from_micros(200), TransportChoice::Tcp, LinkKind::Tcp), 0);
    assert_eq!(counted(Duration::from_micros(200), TransportChoice::Shm, LinkKind::Shm), 0);
}
