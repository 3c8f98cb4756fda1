//! Answers from a table's own memory, and answers that land.

use super::*;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::{Landing, TxBuf};
use crate::protocol::server::Server;
use crate::protocol::worker::{Request, Worker};
use crate::wire::{Flags, Header, Kind, Pieces, Status, Target};

const KEYS: u64 = 4096;
const ALL: KeyRange = KeyRange { begin: 0, end: KEYS };

fn dense(consistency: Consistency) -> TableSpec {
    TableSpec { key_end: KEYS, ..table(0, Layout::Dense, consistency) }
}

fn header(kind: Kind, timestamp: u64, time: u32) -> Header {
    let mut header = Identity { epoch: Epoch(1), ..identity(WORKER) }.header(kind);
    (header.writer, header.timestamp, header.settled) = (WriterId(0), Timestamp(timestamp), Timestamp(1));
    (header.time, header.range, header.dtype, header.flags) = (Time(time), ALL, DType::I64, Flags::DENSE);
    header.key_count = KEYS as u32;
    header
}

fn handle(server: &mut Server, frame: &TxFrame, target: Option<Target>) -> Vec<TxFrame> {
    let mut frame = received(frame);
    frame.target = target;
    server.handle(seconds(1), Input::Frame { from: WORKER, frame });
    let outputs = std::iter::from_fn(|| server.poll_output());
    let frames = outputs.filter_map(|output| match output {
        Output::Send { frame, .. } => Some(frame),
        _ => None,
    });
    frames.collect()
}

/// Adds one to every key, at a time of its own where steps are committed.
fn add_one(server: &mut Server, timestamp: u64, time: u32) {
    let mut push = header(Kind::Push, timestamp, time);
    push.value_bytes = KEYS as u32 * 8;
    handle(server, &TxFrame::with_values(push, TxBuf::from_vec(vec![1i64; KEYS as usize])), None);
    let mut mark = header(Kind::EndOfTime, timestamp + 1, time);
    (mark.slice_count, mark.range, mark.flags) = (1, KeyRange::new(7, 8), Flags::default());
    handle(server, &TxFrame::bare(mark), None);
}

fn numbers(values: &Pieces) -> Vec<i64> {
    values.iter().flat_map(|piece| piece.typed::<i64>().to_vec()).collect()
}

#[test]
fn an_answer_that_waits_keeps_its_values_while_pushes_go_on() {
    for consistency in [Consistency::Eventual, Consistency::Sequential] {
        let mut server =
            Server::new(Nanos(0), identity(FIRST), "here".to_owned(), "host".to_owned(), "there", Pool::unbounded());
        server.handle(seconds(1), connected(NodeId::SCHEDULER));
        server.handle(seconds(1), welcome(vec![dense(consistency)], 1, &[FIRST]));
        drain(&mut server);
        add_one(&mut server, 1, 0);
        let target = Some(Target { address: 5, key: 6, bytes: KEYS as u32 * 8 });
        let queued = handle(&mut server, &TxFrame::bare(header(Kind::Pull, 3, 1)), target);
        assert_eq!((queued.len(), queued[0].target), (1, target));
        add_one(&mut server, 4, 1);
        add_one(&mut server, 6, 2);
        assert_eq!(numbers(&queued[0].values), [1; KEYS as usize]);
        let now = handle(&mut server, &TxFrame::bare(header(Kind::Pull, 8, 3)), None);
        assert_eq!((numbers(&now[0].values), now[0].target), (vec![3; KEYS as usize], None));
    }
}

#[test]
fn a_refusal_says_as_well_which_place_it_leaves_alone() {
    let mut server =
        Server::new(Nanos(0), identity(FIRST), "here".to_owned(), "host".to_owned(), "there", Pool::unbounded());
    let target = Some(Target { address: 5, key: 6, bytes: 8 });
    let answers = handle(&mut server, &TxFrame::bare(header(Kind::Pull, 3, 1)), target);
    assert_eq!((answers[0].header.status, answers[0].target), (Status::Busy, target));
}

/// A worker whose answers may land, with the pull of a dense table: its first request and its place.
fn pulling(pool: &std::sync::Arc<Pool>) -> (Worker, Timestamp, Header, Landing) {
    let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    worker.land_in(pool, 1);
    worker.handle(Nanos(0), connected(NodeId::SCHEDULER));
    worker.handle(Nanos(0), welcome(vec![dense(Consistency::Eventual)], 1, &[FIRST]));
    worker.handle(Nanos(0), connected(FIRST));
    drain(&mut worker);
    let pull = worker.pull(Nanos(0), &Request { table: TableId(0), range: ALL, keys: None, after: &[] }).unwrap();
    let (request, landing) = sent(&mut worker);
    (worker, pull, request, landing.expect("a place"))
}

fn sent(worker: &mut Worker) -> (Header, Option<Landing>) {
    let outputs = std::iter::from_fn(|| worker.poll_output());
    let mut frames = outputs.filter_map(|output| match output {
        Output::Send { to: FIRST, frame } => Some((frame.header, frame.landing)),
        _ => None,
    });
    frames.next().expect("a request")
}

fn reply(request: &Header, value: Option<i64>) -> Input {
    let mut header = Identity { epoch: Epoch(1), ..identity(FIRST) }.header(Kind::PullReply);
    (header.timestamp, header.range, header.value_bytes) = (request.timestamp, request.range, KEYS as u32 * 8);
    let frame = match value {
        Some(value) => received(&TxFrame::with_values(header, TxBuf::from_vec(vec![value; KEYS as usize]))),
        None => RxFrame::linked_landed(header, RxBuf::empty()).unwrap(),
    };
    Input::Frame { from: FIRST, frame }
}

fn land(landing: &Landing, value: i64) {
    (0..KEYS as usize).for_each(|key| landing.as_shared().write(key * 8, &value));
}

#[test]
fn values_that_landed_are_the_answer() {
    let pool = Pool::unbounded();
    let (mut worker, pull, request, landing) = pulling(&pool);
    land(&landing, 4);
    drop(landing);
    worker.handle(Nanos(0), reply(&request, None));
    assert_eq!(worker.take_pulled(pull).unwrap().typed::<i64>(), [4; KEYS as usize]);
    assert_eq!(pool.usage().used_bytes, 0);
}

#[test]
fn what_is_sent_again_lands_nowhere_and_what_lands_late_changes_nothing() {
    let pool = Pool::unbounded();
    let (mut worker, pull, request, landing) = pulling(&pool);
    worker.handle_timeout(Nanos(1).after(limit::RETRY_TIMEOUT));
    assert!(sent(&mut worker).1.is_none());
    worker.handle(Nanos(0), reply(&request, Some(5)));
    land(&landing, 6);
    worker.handle(Nanos(0), reply(&request, None));
    let values = worker.take_pulled(pull).unwrap();
    land(&landing, 7);
    assert_eq!(values.typed::<i64>(), [5; KEYS as usize]);
    assert!(pool.usage().used_bytes >= KEYS as usize * 8, "the place is in quarantine");
    drop(landing);
    assert_eq!(pool.usage().used_bytes, 0);
}

#[test]
fn memory_of_the_program_is_not_given_back_before_nobody_can_write_it() {
    let pool = Pool::unbounded();
    let (mut worker, _, _, _landing) = pulling(&pool);
    let request = Request { table: TableId(0), range: ALL, keys: None, after: &[] };
    assert!(worker.pull_into(Nanos(0), &request, pool.block(7)).is_err());
    let memory = pool.adopt(vec![0i64; KEYS as usize]);
    let place = memory.as_ptr();
    let pull = worker.pull_into(Nanos(0), &request, memory).unwrap();
    let (request, landing) = sent(&mut worker);
    let landing = landing.expect("a place");
    worker.handle(Nanos(0), reply(&request, Some(5)));
    land(&landing, 6);
    assert!(!worker.is_done(pull));
    drop(landing);
    assert!(worker.is_done(pull));
    let memory = worker.take_pulled(pull).unwrap();
    assert_eq!((memory.as_ptr(), memory.typed::<i64>()), (place, &[5; KEYS as usize][..]));
}

#[test]
fn a_pull_that_is_given_up_leaves_its_memory_in_quarantine() {
    let pool = Pool::unbounded();
    let (mut worker, pull, request, landing) = pulling(&pool);
    worker.cancel(Nanos(0), pull);
    assert!(worker.is_done(pull) && pool.usage().used_bytes > 0);
    drop(landing);
    assert_eq!(pool.usage().used_bytes, 0);
    worker.handle(Nanos(0), reply(&request, None));
}
