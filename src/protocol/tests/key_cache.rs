//! Key caching, with a worker and its shards wired to each other: a list travels once.

use super::*;
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use crate::memory::TxBuf;
use crate::protocol::server::{PullFilters, Server};
use crate::protocol::worker::{Keys, Request, Worker};
use crate::wire::{FilterFlags, Kind, Status};

const LIST_END: u64 = 1 << 20;
/// Of 200 keys these many bytes belong to the first shard.
const FIRSTS_KEY_BYTES: u32 = 101 * 8;

/// A worker and two shards, and the requests that went from one to the others.
pub(super) struct Wired {
    pub(super) worker: Worker,
    pub(super) shards: Vec<(NodeId, Server)>,
    pub(super) requests: Vec<RxFrame>,
    answers: Vec<Status>,
    /// What shards have registered when they start.
    filters: PullFilters,
}

pub(super) fn spec(filters: &str, consistency: Consistency) -> TableSpec {
    TableSpec { key_end: LIST_END, filters: filters.parse().unwrap(), ..table(0, Layout::Sparse, consistency) }
}

pub(super) fn wired(spec: TableSpec) -> Wired {
    wired_with(spec, PullFilters::default())
}

pub(super) fn wired_with(spec: TableSpec, filters: PullFilters) -> Wired {
    let shards = [FIRST, SECOND];
    let worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    let mut wired = Wired { worker, shards: Vec::new(), requests: Vec::new(), answers: Vec::new(), filters };
    wired.worker.handle(Nanos(0), welcome(vec![spec.clone()], 1, &shards));
    for shard in shards {
        wired.start(shard, &spec);
        wired.worker.handle(Nanos(0), connected(shard));
    }
    wired
}

impl Wired {
    /// Starts a shard, for the first time or with everything forgotten.
    pub(super) fn start(&mut self, shard: NodeId, spec: &TableSpec) {
        let (address, host) = ("here".to_owned(), "host".to_owned());
        let mut server = Server::new(Nanos(0), identity(shard), address, host, "there", Pool::unbounded());
        server.filter_by(self.filters.clone());
        server.handle(Nanos(0), welcome(vec![spec.clone()], 1, &[FIRST, SECOND]));
        drain(&mut server);
        self.shards.retain(|(other, _)| *other != shard);
        self.shards.push((shard, server));
    }

    /// Carries frames to and fro until nobody has more to say.
    pub(super) fn settle(&mut self) {
        loop {
            let asked: Vec<_> = drain(&mut self.worker).frames;
            let asked: Vec<_> = asked.into_iter().filter(|(to, _)| *to != NodeId::SCHEDULER).collect();
            if asked.is_empty() {
                return;
            }
            for (to, frame) in asked {
                let (_, server) = self.shards.iter_mut().find(|(shard, _)| *shard == to).unwrap();
                let copy = received_again(&frame);
                self.requests.push(frame);
                server.handle(Nanos(0), Input::Frame { from: WORKER, frame: copy });
                for (_, answer) in drain(server).frames {
                    self.answers.push(answer.header.status);
                    self.worker.handle(Nanos(0), Input::Frame { from: to, frame: answer });
                }
            }
        }
    }

    pub(super) fn push(&mut self, keys: &Keys, value: i64) {
        let count = keys.buffer().len() / 8;
        let timestamp = self.worker.push(Nanos(0), &request(keys), TxBuf::from_vec(vec![value; count])).unwrap();
        self.settle();
        self.worker.take_pushed(timestamp).unwrap();
    }

    pub(super) fn pull(&mut self, keys: &Keys) -> Vec<i64> {
        let timestamp: Timestamp = self.worker.pull(Nanos(0), &request(keys)).unwrap();
        self.settle();
        self.worker.take_pulled(timestamp).unwrap().typed().to_vec()
    }

    /// Bytes of keys in the requests since it was asked last, and the answers to them.
    fn traffic(&mut self) -> (u32, Vec<Status>) {
        let key_bytes = self.requests.drain(..).map(|frame| frame.header.key_bytes).sum();
        (key_bytes, std::mem::take(&mut self.answers))
    }

    pub(super) fn first(&mut self) -> &mut Server {
        &mut self.shards.iter_mut().find(|(shard, _)| *shard == FIRST).unwrap().1
    }
}

pub(super) fn received_again(frame: &RxFrame) -> RxFrame {
    let body = frame.body();
    let keys = (!body.keys.is_empty()).then(|| TxBuf::from_vec(body.keys.to_vec()));
    let values = (!body.values.is_empty()).then(|| TxBuf::from_vec(body.values.to_vec()));
    let dependencies = body.dependencies.into();
    received(&TxFrame { dependencies, keys, ..TxFrame::with_values(frame.header, values) })
}

pub(super) fn request(keys: &Keys) -> Request<'static> {
    Request {
        table: TableId(0),
        range: KeyRange::new(0, LIST_END),
        keys: Some(keys.clone()),
        after: &[],
        ..Request::default()
    }
}

/// `count` keys from `first` on, spread over both shards.
pub(super) fn keys(first: u64, count: u64) -> Keys {
    let distance = LIST_END / (count + 1);
    Keys::once(TxBuf::from_vec((0..count).map(|index| first + index * distance).collect()))
}

#[test]
fn a_list_travels_once_for_pulls_and_pushes_alike() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    let list = keys(3, 200);
    assert_eq!(wired.pull(&list), vec![0; 200]);
    assert_eq!(wired.traffic(), (1600, vec![Status::Ok; 2]));
    wired.push(&list, 5);
    wired.push(&list, 2);
    assert_eq!(wired.pull(&list), vec![7; 200]);
    assert_eq!(wired.traffic(), (0, vec![Status::Ok; 6]));
    assert_eq!(wired.pull(&keys(3, 199)).len(), 199);
    assert_eq!(wired.traffic().0, 199 * 8, "another list");
    assert_eq!(wired.worker.traffic().keys_omitted, 6);
}

#[test]
fn an_immutable_list_is_cut_and_hashed_once_and_means_the_same() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    let once = keys(3, 200);
    let immutable = Keys::immutable(once.buffer().clone());
    wired.push(&immutable, 5);
    wired.push(&immutable, 5);
    wired.push(&once, 1);
    assert_eq!(wired.traffic().0, 1600);
    assert_eq!(wired.pull(&immutable), vec![11; 200]);
}

#[test]
fn a_list_is_cut_anew_for_another_job() {
    let list = Keys::immutable(keys(3, 200).buffer().clone());
    let mut asked = Vec::new();
    for (job, shards) in [(JOB, &[FIRST, SECOND][..]), (JobId(JOB.0 + 1), &[FIRST])] {
        let identity = Identity { job, ..identity(WORKER) };
        let mut worker = Worker::new(Nanos(0), identity, "host".to_owned(), "there", Pool::unbounded());
        let Input::Frame { from, mut frame } = welcome(vec![spec("key_cache", Consistency::Eventual)], 1, shards)
        else {
            panic!("a welcome is a frame")
        };
        frame.header.job = job;
        worker.handle(Nanos(0), Input::Frame { from, frame });
        shards.iter().for_each(|&shard| worker.handle(Nanos(0), connected(shard)));
        worker.pull(Nanos(0), &request(&list)).unwrap();
        let frames = drain(&mut worker).frames.into_iter();
        asked.push(frames.map(|(to, frame)| (to, frame.header.key_count)).collect::<Vec<_>>());
    }
    assert_eq!(asked, [vec![(FIRST, 101), (SECOND, 99)], vec![(FIRST, 200)]]);
}

#[test]
fn short_lists_and_tables_without_the_filter_always_send_keys() {
    for (filters, count) in [("none", 200), ("key_cache", 4)] {
        let mut wired = wired(spec(filters, Consistency::Eventual));
        let list = keys(0, count);
        wired.push(&list, 1);
        wired.push(&list, 1);
        assert_eq!(wired.traffic().0 as u64, 16 * count, "{filters}");
        assert_eq!(wired.first().key_cache().lists, 0);
    }
}

#[test]
fn a_shard_that_has_forgotten_a_list_asks_for_the_keys_and_applies_the_push_once() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    let list = keys(3, 200);
    wired.push(&list, 5);
    wired.traffic();
    wired.first().limit_key_cache(0);
    wired.push(&list, 2);
    let (key_bytes, answers) = wired.traffic();
    assert_eq!((key_bytes, answers), (FIRSTS_KEY_BYTES, vec![Status::NeedKeys, Status::Ok, Status::Ok]));
    assert_eq!(wired.pull(&list), vec![7; 200]);
    assert_eq!(wired.worker.traffic().keys_needed, 1);
    assert_eq!(wired.first().traffic().duplicates, 0);
}

#[test]
fn a_request_for_keys_that_are_on_their_way_is_not_answered() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    wired.worker.pull(Nanos(0), &request(&keys(3, 200))).unwrap();
    let (from, asked) = drain(&mut wired.worker).frames.remove(0);
    let mut header = Identity { epoch: Epoch(1), ..identity(from) }.header(Kind::PullReply);
    (header.status, header.timestamp, header.range) = (Status::NeedKeys, asked.header.timestamp, asked.header.range);
    for _ in 0..3 {
        wired.worker.handle(Nanos(0), Input::Frame { from, frame: received(&TxFrame::bare(header)) });
    }
    assert!(drain(&mut wired.worker).frames.is_empty());
    assert_eq!(wired.worker.traffic().keys_needed, 0);
}

#[test]
fn a_shard_that_keeps_no_list_is_not_asked_twice() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    wired.first().limit_key_cache(0);
    let list = keys(3, 200);
    (0..4).for_each(|_| wired.push(&list, 1));
    assert!(wired.traffic().1.iter().all(|&status| status == Status::Ok), "it said that it keeps nothing");
}

#[test]
fn lists_that_come_round_too_late_are_soon_sent_unasked() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    // Room for two of the lists, of which four come in turn.
    wired.shards.iter_mut().for_each(|(_, shard)| shard.limit_key_cache(4000));
    let lists: Vec<Keys> = (0..4).map(|first| keys(first, 200)).collect();
    let rounds = 40;
    for _ in 0..rounds {
        lists.iter().for_each(|list| wired.push(list, 1));
    }
    let misses = wired.traffic().1.iter().filter(|&&status| status == Status::NeedKeys).count();
    assert!((1..2 * rounds).contains(&misses), "{misses} misses of {} requests", 8 * rounds);
    assert_eq!(wired.pull(&lists[2]), vec![rounds as i64; 200]);
    assert!(wired.first().key_cache().bytes <= 4000);
}

#[test]
fn either_side_may_start_anew() {
    let spec = spec("key_cache", Consistency::Eventual);
    let mut wired = wired(spec.clone());
    let list = keys(3, 200);
    wired.push(&list, 1);
    wired.start(FIRST, &spec);
    wired.push(&list, 1);
    assert_eq!(wired.traffic().1, [Status::Ok, Status::Ok, Status::NeedKeys, Status::Ok, Status::Ok]);

    // A shard that is known to have started anew is not even asked.
    wired.start(FIRST, &spec);
    wired.worker.handle(Nanos(0), lost(FIRST));
    wired.worker.handle(Nanos(0), Input::Connected { peer: FIRST, incarnation: Incarnation(99) });
    wired.push(&list, 1);
    assert_eq!(wired.traffic(), (FIRSTS_KEY_BYTES, vec![Status::Ok; 2]));

    // Another worker begins without knowing what the shards hold, and loses nothing by it.
    let worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    wired.worker = worker;
    wired.worker.handle(Nanos(0), welcome(vec![spec], 1, &[FIRST, SECOND]));
    [FIRST, SECOND].into_iter().for_each(|shard| wired.worker.handle(Nanos(0), connected(shard)));
    wired.pull(&list);
    wired.pull(&list);
    assert_eq!(wired.traffic().0, 1600);
}

#[test]
fn a_digest_of_other_keys_is_refused_and_poisons_nothing() {
    let mut wired = wired(spec("key_cache", Consistency::Eventual));
    let list = keys(3, 200);
    let timestamp = wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(vec![1i64; 200])).unwrap();
    let (to, frame) = drain(&mut wired.worker).frames.remove(0);
    let mut forged = received_again(&frame);
    forged.header.digest ^= 1;
    assert_eq!(to, FIRST);
    wired.first().handle(Nanos(0), Input::Frame { from: WORKER, frame: forged });
    let (_, answer) = drain(wired.first()).frames.remove(0);
    assert_eq!(answer.header.status, Status::Error);
    assert_eq!(String::from_utf8_lossy(answer.body().values), "the digest is not that of the keys");
    assert_eq!(wired.first().key_cache().lists, 0);
    assert!(!wired.worker.is_done(timestamp));
}

#[test]
fn a_step_is_summed_by_lists_that_were_forgotten_meanwhile() {
    let mut wired = wired(spec("key_cache", Consistency::Sequential));
    let list = keys(3, 200);
    for round in 1i64..4 {
        let values = TxBuf::from_vec(vec![round; 200]);
        let timestamp = wired.worker.push(Nanos(0), &request(&list), values).unwrap();
        wired.settle();
        wired.first().limit_key_cache(if round == 2 { 0 } else { 1 << 20 });
        wired.worker.tick(Nanos(0), TableId(0)).unwrap();
        wired.settle();
        wired.worker.take_pushed(timestamp).unwrap();
    }
    assert_eq!(wired.pull(&list), vec![6; 200]);
}

#[test]
fn every_lossless_filter_gives_the_same_answers_in_fewer_bytes() {
    let run = |filters: &str| {
        let mut wired = wired(spec(filters, Consistency::Eventual));
        let list = keys(3, 5000);
        let answers: Vec<Vec<i64>> = (0..3)
            .map(|round| {
                wired.push(&list, round);
                wired.pull(&list)
            })
            .collect();
        let flags = wired.requests.iter().fold(FilterFlags::NONE, |flags, frame| flags | frame.header.filter_flags);
        let bytes: usize = wired.requests.iter().map(RxFrame::bytes).sum();
        assert!(wired.requests.iter().any(|frame| frame.header.kind == Kind::Pull));
        (answers, flags, bytes)
    };
    let (plain, _, plain_bytes) = run("none");
    assert_eq!(plain, [vec![0; 5000], vec![1; 5000], vec![3; 5000]]);
    for filters in ["pack_keys", "nonzero", "snappy", "key_cache", "key_cache,pack_keys,nonzero,snappy"] {
        let (answers, flags, bytes) = run(filters);
        assert_eq!(answers, plain, "{filters}");
        assert!(!flags.is_none() && bytes < plain_bytes, "{filters}: {flags:?}, {bytes} of {plain_bytes} bytes");
    }
}

#[test]
fn a_filter_that_the_table_does_not_declare_is_refused() {
    let mut wired = wired(spec("nonzero", Consistency::Eventual));
    wired.worker.push(Nanos(0), &request(&keys(3, 200)), TxBuf::from_vec(vec![0i64; 200])).unwrap();
    let (_, frame) = drain(&mut wired.worker).frames.remove(0);
    let mut forged = received_again(&frame);
    forged.header.filter_flags = forged.header.filter_flags | FilterFlags::PACKED_KEYS;
    wired.first().handle(Nanos(0), Input::Frame { from: WORKER, frame: forged });
    let (_, answer) = drain(wired.first()).frames.remove(0);
    let reason = String::from_utf8_lossy(answer.body().values).into_owned();
    assert_eq!((answer.header.status, &*reason), (Status::Error, "filter bits 0xa of which the table declares 0x8"));
}
