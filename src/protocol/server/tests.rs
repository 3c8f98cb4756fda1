//! The limit on what waits, with a limit small enough for a test.

use super::*;
use crate::id::{Epoch, Incarnation, JobId, Term, Time, Timestamp, WriterId};
use crate::keyspace::HashRing;
use crate::memory::{RxBuf, TxBuf};
use crate::wire::{
    ControlMessage, DType, Filters, Flags, Header, JobConfig, Layout, ResumePoint, Status, TxFrame, UpdateFunction,
};

const SHARD: NodeId = NodeId::server(0, 0);
const KEYS: u64 = 100;
/// Bytes of one push: the header and 100 numbers.
const PUSH_BYTES: usize = 128 + 800;

fn received(frame: &TxFrame) -> RxFrame {
    let raw = frame.encode_header();
    let body = frame.body_parts().concat();
    let mut block = Pool::unbounded().block(body.len());
    block.copy_from_slice(&body);
    RxFrame::new(&raw, raw.decode().unwrap(), RxBuf::new(block)).unwrap()
}

/// A shard with one dense sequential table that may hold `pushes` pushes.
fn shard(pushes: usize) -> Server {
    let table = TableSpec {
        id: TableId(0),
        name: "dense".to_owned(),
        dtype: DType::I64,
        width: 1,
        key_end: KEYS,
        layout: Layout::Dense,
        update: UpdateFunction::Sum,
        consistency: Consistency::Sequential,
        filters: Filters::default(),
    };
    let identity = Identity::new(SHARD, JobId(1), Incarnation(1));
    let mut server = Server::new(Nanos(0), identity, String::new(), String::new(), "", Pool::unbounded());
    server.waiting_bytes_max = pushes * PUSH_BYTES;
    let config = JobConfig { tables: vec![table], writers: 2, program: Vec::new(), survives_worker_loss: false };
    let partition = HashRing::even(&[SHARD]).partition(Epoch(1), 0);
    let mut frame = ControlMessage::Welcome { config, partition, servers: Vec::new(), resume: ResumePoint::default() }
        .to_frame(NodeId::SCHEDULER);
    let scheduler = Identity { term: Term(1), ..Identity::new(NodeId::SCHEDULER, JobId(1), Incarnation(1)) };
    frame.header = scheduler.stamp(frame.header);
    server.handle(Nanos(0), Input::Frame { from: NodeId::SCHEDULER, frame: received(&frame) });
    while server.poll_output().is_some() {}
    server
}

/// Gives a push or a mark of writer `rank` at `time`; what the shard answers to anybody.
fn give(server: &mut Server, kind: Kind, rank: u32, timestamp: u64, time: u32) -> Vec<Status> {
    let header = header(kind, rank, timestamp, time);
    send(server, Header { slice_count: 2, ..header })
}

/// Gives the first writer's push of a part of the keys at time 0.
fn give_range(server: &mut Server, range: KeyRange, timestamp: u64) -> Vec<Status> {
    send(server, Header { range, ..header(Kind::Push, 0, timestamp, 0) })
}

fn header(kind: Kind, rank: u32, timestamp: u64, time: u32) -> Header {
    let worker = NodeId::worker(rank);
    let identity = Identity { epoch: Epoch(1), ..Identity::new(worker, JobId(1), Incarnation(1)) };
    let mut header = identity.header(kind);
    (header.writer, header.timestamp, header.settled) = (WriterId(rank), Timestamp(timestamp), Timestamp(1));
    (header.time, header.range, header.dtype) = (Time(time), KeyRange::new(0, KEYS), DType::I64);
    header
}

/// Sends a mark, or a push of ones to every key of its range.
fn send(server: &mut Server, header: Header) -> Vec<Status> {
    let (worker, mut frame) = (header.source, TxFrame::bare(header));
    if header.kind == Kind::Push {
        let count = header.range.span() as u32;
        (frame.header.flags, frame.header.key_count, frame.header.value_bytes) = (Flags::DENSE, count, count * 8);
        frame.values = TxBuf::from_vec(vec![1i64; count as usize]).into();
    }
    server.handle(Nanos(0), Input::Frame { from: worker, frame: received(&frame) });
    let mut answers = Vec::new();
    while let Some(output) = server.poll_output() {
        if let Output::Send { frame, .. } = output {
            answers.push(frame.header.status);
        }
    }
    answers
}

#[test]
fn what_comes_early_leaves_half_of_the_room_to_the_open_step() {
    let mut server = shard(8);
    for timestamp in 1..=4 {
        assert_eq!(give(&mut server, Kind::Push, 0, timestamp, 1), []);
    }
    assert_eq!(give(&mut server, Kind::Push, 0, 5, 1), [Status::Busy]);
    assert_eq!(give(&mut server, Kind::Push, 0, 4, 1), [], "a duplicate needs no room");
    for (rank, timestamp) in [(0, 10), (0, 11), (1, 1), (1, 2)] {
        assert_eq!(give(&mut server, Kind::Push, rank, timestamp, 0), []);
    }
    give(&mut server, Kind::EndOfTime, 0, 12, 0);
    assert_eq!(give(&mut server, Kind::EndOfTime, 1, 3, 0), [Status::Ok; 5]);
    assert_eq!(server.waiting_bytes, 4 * PUSH_BYTES);
}

#[test]
fn a_step_that_exceeds_the_limit_is_refused_and_says_so() {
    let mut server = shard(2);
    give(&mut server, Kind::Push, 0, 1, 0);
    give(&mut server, Kind::Push, 0, 2, 0);
    assert_eq!(give(&mut server, Kind::Push, 1, 1, 0), [Status::Error]);
    assert_eq!(server.traffic().refused, 1);
}

#[test]
fn a_push_that_was_cut_again_keeps_what_its_earlier_part_claimed() {
    let mut server = shard(8);
    give_range(&mut server, KeyRange::new(0, 50), 1);
    // Under the same name, with what came before.
    give_range(&mut server, KeyRange::new(0, KEYS), 1);
    let (first, second) = (128 + 400, PUSH_BYTES);
    assert_eq!(server.waiting_bytes, first + second);
    give(&mut server, Kind::EndOfTime, 0, 2, 0);
    give(&mut server, Kind::Push, 1, 1, 0);
    give(&mut server, Kind::Push, 1, 2, 0);
    give(&mut server, Kind::EndOfTime, 1, 3, 0);
    assert_eq!((server.waiting_bytes, server.committed_time(TableId(0))), (0, Some(Time(1))));
    let mut sums = vec![0u8; KEYS as usize * 8];
    server.tables[0].table.gather(KeyRange::new(0, KEYS), None, &mut sums);
    assert!(sums.as_chunks::<8>().0.iter().all(|&sum| i64::from_le_bytes(sum) == 3), "a part was lost");
}
