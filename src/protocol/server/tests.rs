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
    let mut server = unwelcomed();
    server.waiting_bytes_max = pushes * PUSH_BYTES;
    welcome(&mut server);
    while server.poll_output().is_some() {}
    server
}

fn unwelcomed() -> Server {
    let identity = Identity::new(SHARD, JobId(1), Incarnation(1));
    Server::new(Nanos(0), identity, String::new(), String::new(), "", Pool::unbounded())
}

fn welcome(server: &mut Server) {
    welcome_to(server, false);
}

fn welcome_to(server: &mut Server, survives_worker_loss: bool) {
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
    let config = JobConfig { tables: vec![table], writers: 2, program: Vec::new(), survives_worker_loss };
    let partition = HashRing::even(&[SHARD]).partition(Epoch(1), 0);
    let mut frame = ControlMessage::Welcome { config, partition, servers: Vec::new(), resume: ResumePoint::default() }
        .to_frame(NodeId::SCHEDULER);
    let scheduler = Identity { term: Term(1), ..Identity::new(NodeId::SCHEDULER, JobId(1), Incarnation(1)) };
    frame.header = scheduler.stamp(frame.header);
    server.handle(Nanos(0), Input::Frame { from: NodeId::SCHEDULER, frame: received(&frame) });
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

#[test]
fn a_job_whose_clocks_alone_take_too_much_is_refused_in_one_line() {
    let mut server = unwelcomed();
    server.clock_bytes_max = RangeClock::bytes_at_rest(&[KeyRange::ALL], 2);
    welcome(&mut server);
    assert_eq!(server.tables().count(), 1, "it just fits");
    let mut server = unwelcomed();
    server.clock_bytes_max = RangeClock::bytes_at_rest(&[KeyRange::ALL], 2) - 1;
    server.handle(Nanos(0), Input::Connected { peer: NodeId::SCHEDULER, incarnation: Incarnation(1) });
    welcome(&mut server);
    assert_eq!(server.tables().count(), 0);
    let frames = std::iter::from_fn(|| server.poll_output()).filter_map(|output| match output {
        Output::Send { frame, .. } => ControlMessage::from_frame(&received(&frame)).ok(),
        _ => None,
    });
    let failed = frames.filter_map(|message| if let ControlMessage::Failed(why) = message { Some(why) } else { None });
    let lines: Vec<_> = failed.map(|why| (why.exit_code, why.message)).collect();
    let [(2, line)] = &lines[..] else { panic!("{lines:?}") };
    let words = "server 0 shard 0: table `dense`: the clock of 2 workers and 1 key ranges takes ";
    assert!(line.starts_with(words) && line.contains(" bytes in one shard, limit "), "{line}");
}

#[test]
fn a_push_past_the_bytes_of_the_clock_is_refused_for_now() {
    let mut server = unwelcomed();
    server.clock_bytes_max = RangeClock::bytes_at_rest(&[KeyRange::ALL], 2) + 1000;
    welcome(&mut server);
    while server.poll_output().is_some() {}
    let range = |place: u64| KeyRange::new(place * 2, place * 2 + 1);
    let answers: Vec<_> = (0..20).map(|place| give_range(&mut server, range(place), 2)).collect();
    assert!(answers[0].is_empty() && answers[19] == [Status::Busy], "{answers:?}");
    assert!(server.clock_bytes() <= server.clock_bytes_max && server.traffic().busy > 0);
    assert_eq!(give_range(&mut server, range(40), 1), [], "the lowest open one goes on");
}

#[test]
fn a_writer_that_has_finished_sees_the_last_step_of_the_others() {
    let mut server = unwelcomed();
    welcome_to(&mut server, true);
    while server.poll_output().is_some() {}
    give_range(&mut server, KeyRange::new(0, KEYS), 1);
    send(&mut server, Header { slice_count: 1, flags: Flags::FINISHED, ..header(Kind::EndOfTime, 0, 2, 0) });
    for time in 0..2u32 {
        let timestamp = 1 + 2 * u64::from(time);
        give(&mut server, Kind::Push, 1, timestamp, time);
        send(&mut server, Header { slice_count: 1, ..header(Kind::EndOfTime, 1, timestamp + 1, time) });
    }
    assert_eq!(server.committed_time(TableId(0)), Some(Time(2)));
    // The other one, done again where it was lost, sees what it saw then.
    assert_eq!(pulled(&mut server, 1, 1), 2);
    assert_eq!(pulled(&mut server, 0, 1), 3, "no step of its own has this time");
}

/// The first number that a pull of writer `rank` at `time` is answered with.
fn pulled(server: &mut Server, rank: u32, time: u32) -> i64 {
    let header = Header { key_count: KEYS as u32, flags: Flags::DENSE, ..header(Kind::Pull, rank, 90, time) };
    server.handle(Nanos(0), Input::Frame { from: header.source, frame: received(&TxFrame::bare(header)) });
    let Some(Output::Send { frame, .. }) = server.poll_output() else { panic!("it waits") };
    let body = frame.body_parts().concat();
    i64::from_le_bytes(body[..8].try_into().expect("eight bytes"))
}
