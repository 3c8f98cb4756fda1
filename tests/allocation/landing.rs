//! What is copied where answers land: a shard and a worker as bare state machines, and a fabric by hand
//! that writes values where the request said, as a device does.

use crate::counter::take_turn;
use crate::job::table;
use parashard::id::{Epoch, Incarnation, JobId, Nanos, NodeId, TableId, Term, Timestamp};
use parashard::keyspace::{HashRing, KeyRange};
use parashard::memory::{Landing, Pool, RxBuf, TxBuf, take_copied_bytes, take_gathered_bytes};
use parashard::node::{JobConfig, Keys, Layout, Request, TableSpec, Worker};
use parashard::protocol::server::Server;
use parashard::protocol::{Identity, Input, Machine, Output};
use parashard::wire::{ControlMessage, Kind, NodeInfo, RxFrame, Target, TxFrame};

const JOB: JobId = JobId(3);
const SHARD: NodeId = NodeId::server(0, 0);
const WORKER: NodeId = NodeId::worker(0);
const NOW: Nanos = Nanos(1);
/// Bytes of a pull that needs two segments, and of one extent of a table.
const TWO_SEGMENTS: u64 = 400_000;
const EXTENT: u64 = 128 << 10;
const WHOLE: KeyRange = KeyRange { begin: 0, end: TWO_SEGMENTS / 4 };

struct Machines {
    shard: Server,
    worker: Worker,
    /// By the address that the shard is told.
    given_away: Vec<Option<Landing>>,
    /// Bytes that the two have copied.
    shard_copied: u64,
    worker_copied: u64,
}

/// The frame as its receiver has it; the copies are the network's.
fn received(frame: &TxFrame) -> RxFrame {
    let (raw, body) = (frame.encode_header(), frame.body_parts().concat());
    let mut block = Pool::unbounded().block(body.len());
    block.copy_from_slice(&body);
    RxFrame::new(&raw, raw.decode().expect("whole"), RxBuf::new(block)).expect("undamaged")
}

impl Machines {
    /// Both have joined the job of one table; answers land where `lands` says so.
    fn start(spec: TableSpec, lands: bool) -> Machines {
        let identity = |node| Identity::new(node, JOB, Incarnation(1));
        let host = || "here".to_owned();
        let mut shard = Server::new(NOW, identity(SHARD), host(), host(), "there", Pool::unbounded());
        let mut worker = Worker::new(NOW, identity(WORKER), host(), "there", Pool::unbounded());
        if lands {
            worker.land_in(&Pool::unbounded(), 1);
        }
        let welcome = ControlMessage::Welcome {
            config: JobConfig { tables: vec![spec], writers: 1, program: Vec::new() },
            partition: HashRing::even(&[SHARD]).partition(Epoch(1), 0),
            servers: vec![NodeInfo { node: SHARD, address: host(), host: host() }],
        };
        let mut frame = welcome.to_frame(NodeId::SCHEDULER);
        (frame.header.job, frame.header.term, frame.header.epoch) = (JOB, Term(1), Epoch(1));
        for machine in [&mut shard as &mut dyn Hears, &mut worker] {
            machine.hear(Input::Connected { peer: NodeId::SCHEDULER, incarnation: Incarnation(1) });
            machine.hear(Input::Frame { from: NodeId::SCHEDULER, frame: received(&frame) });
        }
        worker.hear(Input::Connected { peer: SHARD, incarnation: Incarnation(1) });
        let mut machines = Machines { shard, worker, given_away: Vec::new(), shard_copied: 0, worker_copied: 0 };
        machines.carry_requests();
        machines.carry_answers();
        machines
    }

    /// Brings the worker's requests to the shard.
    fn carry_requests(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            let Output::Send { to: SHARD, frame } = output else { continue };
            let mut request = received(&frame);
            if let Some(landing) = frame.landing {
                let bytes = landing.bytes() as u32;
                request.target = Some(Target { address: self.given_away.len() as u64, key: 7, bytes });
                self.given_away.push(Some(landing));
            }
            let _ = take_copied_bytes();
            self.shard.handle(NOW, Input::Frame { from: WORKER, frame: request });
            self.shard_copied += take_copied_bytes();
        }
    }

    /// The shard's answers, as they wait in a queue.
    fn answers(&mut self) -> Vec<TxFrame> {
        let outputs = std::iter::from_fn(|| self.shard.poll_output());
        let sent = outputs.filter_map(|output| match output {
            Output::Send { to: WORKER, frame } => Some(frame),
            _ => None,
        });
        sent.collect()
    }

    /// Brings an answer to the worker: its values to the place that the request gave away, if it did.
    fn deliver(&mut self, frame: &TxFrame) {
        let place = frame.target.and_then(|target| self.given_away[target.address as usize].take());
        let answer = match place.filter(|_| frame.header.kind == Kind::PullReply) {
            Some(landing) => {
                let mut done = 0;
                for piece in &frame.values {
                    landing.as_shared().copy_in_counted(done, piece);
                    done += piece.len();
                }
                RxFrame::linked_landed(frame.header, RxBuf::empty()).expect("a header")
            }
            None => received(frame),
        };
        let _ = take_copied_bytes();
        self.worker.handle(NOW, Input::Frame { from: SHARD, frame: answer });
        self.worker_copied += take_copied_bytes();
    }

    fn carry_answers(&mut self) {
        self.answers().iter().for_each(|answer| self.deliver(answer));
    }

    fn request<'a>(keys: Option<&Keys>, range: KeyRange) -> Request<'a> {
        Request { table: TableId(0), range, keys: keys.cloned(), after: &[] }
    }

    /// Pushes this number to every key.
    fn push(&mut self, keys: Option<&Keys>, range: KeyRange, count: u64, number: f32) {
        let values = TxBuf::from_vec(vec![number; count as usize]);
        let push = self.worker.push(NOW, &Machines::request(keys, range), values).expect("fits");
        self.carry_requests();
        let acknowledgements: Vec<TxFrame> =
            self.answers().into_iter().filter(|answer| answer.header.kind == Kind::PushReply).collect();
        acknowledgements.iter().for_each(|answer| self.deliver(answer));
        self.worker.take_pushed(push).expect("applied");
    }

    fn begin_pull(&mut self, keys: Option<&Keys>, range: KeyRange) -> Timestamp {
        let pull = self.worker.pull(NOW, &Machines::request(keys, range)).expect("fits");
        self.carry_requests();
        pull
    }

    fn pulled(&mut self, pull: Timestamp) -> Vec<f32> {
        let _ = take_copied_bytes();
        let values = self.worker.take_pulled(pull).expect("answered");
        self.worker_copied += take_copied_bytes();
        values.typed().to_vec()
    }

    /// What shard and worker have copied, and what the shard has gathered, since it was asked last.
    fn take_counts(&mut self) -> (u64, u64, u64) {
        let copied = (self.shard_copied, self.worker_copied, take_gathered_bytes());
        (self.shard_copied, self.worker_copied) = (0, 0);
        copied
    }
}

trait Hears {
    fn hear(&mut self, input: Input);
}

impl<M: Machine> Hears for M {
    fn hear(&mut self, input: Input) {
        self.handle(NOW, input);
    }
}

#[test]
fn a_dense_pull_that_lands_is_copied_nowhere() {
    let _turn = take_turn();
    let mut machines = Machines::start(table(0, "dense", Layout::Dense, "none"), true);
    machines.push(None, WHOLE, WHOLE.end, 1.5);
    let _ = machines.take_counts();
    let pull = machines.begin_pull(None, WHOLE);
    machines.carry_answers();
    assert!(machines.pulled(pull) == vec![1.5; WHOLE.end as usize]);
    assert_eq!(machines.take_counts(), (0, 0, 0));
}

#[test]
fn a_dense_pull_that_comes_with_its_reply_is_copied_by_the_worker_alone() {
    let _turn = take_turn();
    let mut machines = Machines::start(table(0, "dense", Layout::Dense, "none"), false);
    for (range, copied) in [(KeyRange::new(0, 50_000), 0), (WHOLE, TWO_SEGMENTS)] {
        let pull = machines.begin_pull(None, range);
        machines.carry_answers();
        assert_eq!(machines.pulled(pull).len() as u64, range.end);
        assert_eq!(machines.take_counts(), (0, copied, 0));
    }
}

#[test]
fn a_push_that_meets_an_answer_copies_each_extent_once() {
    let _turn = take_turn();
    let mut machines = Machines::start(table(0, "dense", Layout::Dense, "none"), true);
    machines.push(None, WHOLE, WHOLE.end, 1.0);
    let pull = machines.begin_pull(None, WHOLE);
    let waiting = machines.answers();
    let _ = machines.take_counts();
    machines.push(None, WHOLE, WHOLE.end, 1.0);
    let (copied, _, gathered) = machines.take_counts();
    let extents = TWO_SEGMENTS.div_ceil(EXTENT);
    assert!((TWO_SEGMENTS..=extents * EXTENT).contains(&copied), "{copied} bytes of {extents} extents");
    machines.push(None, WHOLE, WHOLE.end, 1.0);
    assert_eq!((machines.take_counts(), gathered), ((0, 0, 0), 0));
    waiting.iter().for_each(|answer| machines.deliver(answer));
    assert!(machines.pulled(pull) == vec![1.0; WHOLE.end as usize], "the values of the moment of the answer");
    drop(waiting);
    let pull = machines.begin_pull(None, WHOLE);
    machines.carry_answers();
    assert!(machines.pulled(pull) == vec![3.0; WHOLE.end as usize]);
    assert_eq!(machines.take_counts(), (0, 0, 0));
}

#[test]
fn a_sparse_pull_is_gathered_once_and_copied_nowhere() {
    let _turn = take_turn();
    let mut machines = Machines::start(table(0, "sparse", Layout::Sparse, "none"), true);
    let count = TWO_SEGMENTS / 4;
    let keys = Keys::immutable(TxBuf::from_vec((0..count).map(|key| key * 3).collect::<Vec<u64>>()));
    let range = KeyRange::new(0, 3 * count);
    machines.push(Some(&keys), range, count, 2.0);
    let _ = machines.take_counts();
    let pull = machines.begin_pull(Some(&keys), range);
    machines.carry_answers();
    assert!(machines.pulled(pull) == vec![2.0; count as usize]);
    assert_eq!(machines.take_counts(), (0, 0, TWO_SEGMENTS));
}
