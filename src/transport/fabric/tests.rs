//! Two fabrics in one thread, over real loopback sockets and real shared memory.

mod fault;
mod pressure;

use super::*;
use crate::id::{Generation, Incarnation, Nanos, Timestamp};
use crate::limit;
use crate::memory::TxBuf;
use crate::transport::Transport;
use crate::transport::handshake::Secret;
use crate::wire::{Header, Kind, RxFrame};
use std::time::{Duration, Instant};

const JOB: JobId = JobId(77);
const SERVER: NodeId = NodeId::server(0, 0);
const WORKER: NodeId = NodeId::worker(0);

fn open(node: NodeId, choice: TransportChoice) -> FabricTransport {
    let config = TcpConfig {
        node,
        incarnation: Incarnation(1),
        job: JOB,
        generation: Generation(0),
        secret: Secret::from_bytes(&[5; 32]).expect("long enough"),
        listen: (node != WORKER).then(|| "127.0.0.1:0".to_owned()),
        pool: Pool::unbounded(),
        random: Box::new(|| {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).expect("the system's");
            bytes
        }),
        spin: Duration::ZERO,
    };
    FabricTransport::open(config, &LinkSettings { choice, ..LinkSettings::default() }).expect("loopback")
}

/// A server and a worker that has dialled it, and what each was told.
struct Net {
    nodes: [FabricTransport; 2],
    told: [Vec<Incoming>; 2],
    begin: Instant,
    /// How much later it is than the clock says.
    skipped: Duration,
}

impl Net {
    fn pair(server: TransportChoice, worker: TransportChoice) -> Net {
        let nodes = [open(SERVER, server), open(WORKER, worker)];
        let mut net = Net { nodes, told: [Vec::new(), Vec::new()], begin: Instant::now(), skipped: Duration::ZERO };
        let address = net.nodes[0].local_address().expect("listens");
        net.nodes[1].connect(Nanos(0), SERVER, &address);
        net.run("the way to be known", |net| net.kinds().iter().all(Option::is_some));
        net
    }

    fn kinds(&self) -> [Option<LinkKind>; 2] {
        [self.nodes[0].link_kind(WORKER), self.nodes[1].link_kind(SERVER)]
    }

    fn now(&self) -> Nanos {
        Nanos(0).after(self.begin.elapsed() + self.skipped)
    }

    fn step(&mut self) {
        for i in 0..2 {
            let now = self.now();
            self.nodes[i].rx_burst(now, &mut self.told[i], 64);
            self.nodes[i].flush(now);
            // A forced choice that is not met says so here.
            let _ = self.nodes[i].wait(Some(Duration::from_micros(50)));
        }
    }

    fn run(&mut self, what: &str, mut done: impl FnMut(&mut Net) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain for {what}: {:?}", self.told);
            self.step();
        }
    }

    fn send(&mut self, from: usize, frames: impl IntoIterator<Item = (u64, usize)>) {
        let (source, peer) = [(SERVER, WORKER), (WORKER, SERVER)][from];
        let mut frames: Vec<TxFrame> = frames.into_iter().map(|(number, bytes)| frame(source, number, bytes)).collect();
        let now = self.now();
        self.nodes[from].tx_burst(now, peer, &mut frames);
        self.nodes[from].flush(now);
        assert!(frames.is_empty(), "{} frames found no room", frames.len());
    }

    fn frames(&self, node: usize) -> impl Iterator<Item = &RxFrame> {
        self.told[node].iter().filter_map(|incoming| match incoming {
            Incoming::Frame { frame, .. } => Some(frame),
            _ => None,
        })
    }

    /// Sends frames of all sizes both ways, and checks that each arrives once and whole.
    fn exchange(&mut self) {
        let sizes = [0, 8, 832, 833, 5000, 70_000, 256 << 10, 1 << 20];
        self.told.iter_mut().for_each(Vec::clear);
        for from in 0..2 {
            self.send(from, sizes.iter().enumerate().map(|(i, &bytes)| (i as u64, bytes)));
        }
        self.run("all frames", |net| (0..2).all(|node| net.frames(node).count() == sizes.len()));
        for node in 0..2 {
            let mut seen: Vec<usize> = self.frames(node).map(check).collect();
            seen.sort_unstable();
            assert_eq!(seen, sizes);
        }
    }
}

fn once(kind: LinkKind) -> LinkCounts {
    let mut counts = LinkCounts::default();
    counts.add(kind);
    counts
}

fn frame(source: NodeId, number: u64, bytes: usize) -> TxFrame {
    let mut header = Header::new(Kind::Push, source);
    (header.job, header.timestamp, header.value_bytes) = (JOB, Timestamp(number), bytes as u32);
    TxFrame::with_values(header, TxBuf::from_vec((0..bytes).map(|place| value_at(number, place)).collect::<Vec<u8>>()))
}

fn value_at(number: u64, place: usize) -> u8 {
    (number as usize * 31 + place * 7 + place / 251) as u8
}

/// Checks a frame's bytes; gives their number.
fn check(frame: &RxFrame) -> usize {
    let (number, values) = (frame.header.timestamp.0, frame.body().values);
    assert!(values.iter().enumerate().all(|(place, &byte)| byte == value_at(number, place)), "frame {number}");
    values.len()
}

#[test]
fn the_fastest_way_that_both_allow_is_taken_and_carries_all_sizes() {
    use TransportChoice as Choice;
    for (server, worker, kind) in [
        (Choice::Auto, Choice::Auto, LinkKind::Local),
        (Choice::Shm, Choice::Shm, LinkKind::Shm),
        (Choice::Auto, Choice::Shm, LinkKind::Shm),
        (Choice::Tcp, Choice::Auto, LinkKind::Tcp),
        (Choice::Tcp, Choice::Tcp, LinkKind::Tcp),
    ] {
        let mut net = Net::pair(server, worker);
        assert_eq!(net.kinds(), [Some(kind); 2]);
        assert_eq!(net.nodes[0].link_counts(), once(kind));
        net.exchange();
        let has_link = net.nodes[0].peers[&WORKER].link.is_some();
        assert_eq!(has_link, kind != LinkKind::Tcp);
    }
}

#[test]
fn frames_travel_by_the_link_and_not_by_the_connection() {
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    // What is written to a connection that nobody reads stays away; what is in the ring does not.
    net.nodes[0].tcp.pause(WORKER, true);
    net.send(1, (0..40).map(|number| (number, 3000)));
    net.run("the frames", |net| net.frames(0).count() == 40);
}

#[test]
fn a_forced_choice_that_the_other_side_does_not_allow_is_an_error_and_no_fallback() {
    let net = Net::pair(TransportChoice::Tcp, TransportChoice::Shm);
    let [server, mut worker] = net.nodes;
    drop(server);
    for _ in 0..2 {
        let error = worker.wait(Some(Duration::ZERO)).expect_err("forced");
        let text = error.to_string();
        assert!(
            text.starts_with("--transport shm cannot be met with server 0 shard 0: shm: it does not offer"),
            "{text}"
        );
    }
}

#[test]
fn nobody_has_a_link_with_the_scheduler() {
    let mut net = Net {
        nodes: [open(NodeId::SCHEDULER, TransportChoice::Shm), open(WORKER, TransportChoice::Shm)],
        told: [Vec::new(), Vec::new()],
        begin: Instant::now(),
        skipped: Duration::ZERO,
    };
    let address = net.nodes[0].local_address().expect("listens");
    net.nodes[1].connect(Nanos(0), NodeId::SCHEDULER, &address);
    net.run("both to be up", |net| net.told.iter().all(|told| !told.is_empty()));
    (0..50).for_each(|_| net.step());
    assert!(net.nodes.iter_mut().all(|node| node.peers.is_empty() && node.wait(Some(Duration::ZERO)).is_ok()));
}

#[test]
fn a_sleeper_is_woken_by_a_frame_in_the_ring() {
    for choice in [TransportChoice::Auto, TransportChoice::Shm] {
        let mut net = Net::pair(choice, choice);
        (0..20).for_each(|_| net.step());
        let [mut server, mut worker] = net.nodes;
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            worker.tx_burst(Nanos(0), SERVER, &mut vec![frame(WORKER, 4, 100)]);
            worker.flush(Nanos(0));
            worker
        });
        let (mut told, begin) = (Vec::new(), Instant::now());
        while told.is_empty() {
            server.wait(Some(Duration::from_secs(20))).expect("a poller");
            server.rx_burst(Nanos(0), &mut told, 64);
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "it slept through it");
        thread.join().expect("no panic");
    }
}

#[test]
fn an_idle_fabric_sleeps() {
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    (0..50).for_each(|_| net.step());
    let now = net.now();
    let begin = Instant::now();
    assert!(!net.nodes[0].rx_burst(now, &mut net.told[0], 64));
    net.nodes[0].wait(Some(Duration::from_millis(50))).expect("a poller");
    assert!(begin.elapsed() >= Duration::from_millis(45), "awake after {:?}", begin.elapsed());
}
