//! A shard: exactly once, dependencies, steps, limits.

use super::*;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::TxBuf;
use crate::protocol::server::{Server, ServerEvent};
use crate::wire::{Dependencies, Dependency, Flags, Header, Kind, Status, Task, WriterChange};

fn server(tables: Vec<TableSpec>, writers: u32) -> Server {
    let mut server = unwelcomed();
    server.handle(seconds(1), welcome(tables, writers, &[FIRST]));
    drain(&mut server);
    server
}

fn unwelcomed() -> Server {
    let (address, host) = ("here".to_owned(), "host".to_owned());
    let mut server = Server::new(Nanos(0), identity(FIRST), address, host, "there", Pool::unbounded());
    server.handle(seconds(1), connected(NodeId::SCHEDULER));
    drain(&mut server);
    server
}

fn eventual() -> Server {
    server(vec![table(0, Layout::Sparse, Consistency::Eventual)], 2)
}

fn sequential(writers: u32) -> Server {
    server(vec![table(0, Layout::Sparse, Consistency::Sequential)], writers)
}

/// A request of worker `rank` on one key range, with the keys and values of `pairs`.
#[derive(Clone)]
struct Asked {
    header: Header,
    pairs: Vec<(u64, i64)>,
    after: Vec<Dependency>,
}

fn asked(kind: Kind, rank: u32, timestamp: u64, range: (u64, u64)) -> Asked {
    let mut header = Identity { epoch: Epoch(1), ..identity(NodeId::worker(rank)) }.header(kind);
    (header.writer, header.timestamp, header.settled) = (WriterId(rank), Timestamp(timestamp), Timestamp(1));
    (header.dtype, header.range) = (DType::I64, KeyRange::new(range.0, range.1));
    Asked { header, pairs: Vec::new(), after: Vec::new() }
}

fn push(rank: u32, timestamp: u64, pairs: &[(u64, i64)]) -> Asked {
    Asked { pairs: pairs.to_vec(), ..asked(Kind::Push, rank, timestamp, (0, KEY_END)) }
}

fn pull(rank: u32, timestamp: u64, keys: &[u64]) -> Asked {
    let pairs = keys.iter().map(|&key| (key, 0)).collect();
    Asked { pairs, ..asked(Kind::Pull, rank, timestamp, (0, KEY_END)) }
}

fn mark(rank: u32, timestamp: u64, time: u32, slice_count: u32) -> Asked {
    let mut asked = asked(Kind::EndOfTime, rank, timestamp, (7, 8)).at(time);
    asked.header.slice_count = slice_count;
    asked
}

impl Asked {
    fn at(mut self, time: u32) -> Asked {
        self.header.time = Time(time);
        self
    }

    fn settled(mut self, settled: u64) -> Asked {
        self.header.settled = Timestamp(settled);
        self
    }

    fn after(mut self, timestamp: u64) -> Asked {
        self.after.push(Dependency::new(Timestamp(timestamp), self.header.range));
        self
    }

    fn finished(mut self) -> Asked {
        self.header.flags = Flags::FINISHED;
        self
    }

    fn frame(&self) -> TxFrame {
        let mut header = self.header;
        let keys: Vec<u64> = self.pairs.iter().map(|&(key, _)| key).collect();
        let values: Vec<i64> = self.pairs.iter().map(|&(_, value)| value).collect();
        header.dependency_count = self.after.len() as u16;
        let (keys, values) = match header.kind {
            Kind::Push => (Some(TxBuf::from_vec(keys)), Some(TxBuf::from_vec(values))),
            Kind::Pull => (Some(TxBuf::from_vec(keys)), None),
            _ => (None, None),
        };
        header.key_count = self.pairs.len() as u32;
        header.key_bytes = keys.as_ref().map_or(0, |keys| keys.len() as u32);
        header.value_bytes = values.as_ref().map_or(0, |values| values.len() as u32);
        let dependencies = Dependencies::from_slice(&self.after);
        TxFrame { dependencies, keys, ..TxFrame::with_values(header, values) }
    }
}

/// Gives the request to the shard; the answers as (timestamp, status, values).
fn give(server: &mut Server, asked: &Asked) -> Vec<(u64, Status, Vec<i64>)> {
    let from = asked.header.source;
    server.handle(seconds(2), Input::Frame { from, frame: received(&asked.frame()) });
    let answer = |(_, frame): &(NodeId, RxFrame)| {
        let values = if frame.header.status == Status::Ok { frame.values::<i64>().unwrap().to_vec() } else { vec![] };
        (frame.header.timestamp.0, frame.header.status, values)
    };
    drain(server).frames.iter().map(answer).collect()
}

fn ok(timestamp: u64) -> (u64, Status, Vec<i64>) {
    (timestamp, Status::Ok, Vec::new())
}

fn values(timestamp: u64, values: &[i64]) -> (u64, Status, Vec<i64>) {
    (timestamp, Status::Ok, values.to_vec())
}

fn refusal(server: &mut Server, asked: &Asked) -> String {
    let from = asked.header.source;
    server.handle(seconds(2), Input::Frame { from, frame: received(&asked.frame()) });
    let drained = drain(server);
    let [(_, frame)] = &drained.frames[..] else { panic!("{} answers", drained.frames.len()) };
    assert_eq!(frame.header.status, Status::Error);
    String::from_utf8(frame.body().values.to_vec()).unwrap()
}

#[test]
fn a_repeated_push_is_acknowledged_and_not_applied_again() {
    let mut server = eventual();
    let first = push(0, 1, &[(3, 5)]);
    assert_eq!(give(&mut server, &first), [ok(1)]);
    assert_eq!(give(&mut server, &first), [ok(1)]);
    assert_eq!(give(&mut server, &push(0, 2, &[(3, 1)]).settled(2)), [ok(2)]);
    assert_eq!(give(&mut server, &first), [ok(1)], "it comes after it was settled");
    assert_eq!(give(&mut server, &pull(0, 3, &[3, 4])), [values(3, &[6, 0])]);
    assert_eq!((server.traffic().pushes, server.traffic().duplicates), (2, 2));
}

#[test]
fn a_push_waits_for_what_it_depends_on_and_so_does_a_pull() {
    let mut server = eventual();
    assert_eq!(give(&mut server, &pull(0, 3, &[3]).after(2)), []);
    assert_eq!(give(&mut server, &push(0, 2, &[(3, 10)]).after(1)), []);
    assert_eq!(give(&mut server, &push(0, 2, &[(3, 10)]).after(1)), [], "a repeated one waits once");
    assert_eq!(give(&mut server, &pull(1, 1, &[3])), [values(1, &[0])]);
    assert_eq!(give(&mut server, &push(0, 1, &[(3, 1)])), [ok(1), ok(2), values(3, &[11])]);
}

#[test]
fn a_step_is_committed_when_every_writer_has_ended_it_with_all_its_slices() {
    let mut server = sequential(2);
    assert_eq!(give(&mut server, &push(0, 1, &[(3, 5)]).at(0)), []);
    assert_eq!(give(&mut server, &mark(0, 2, 0, 1)), [ok(2)]);
    assert_eq!(give(&mut server, &pull(0, 3, &[3]).at(1)), []);
    assert_eq!(give(&mut server, &mark(1, 2, 0, 1)), [ok(2)], "its slice is still on its way");
    assert_eq!(give(&mut server, &pull(1, 3, &[3]).at(0)), [values(3, &[0])]);
    assert_eq!(server.committed_time(TableId(0)), Some(Time(0)));
    let answers = give(&mut server, &push(1, 1, &[(3, 2)]).at(0));
    assert_eq!(answers, [ok(1), ok(1), values(3, &[7])]);
    assert_eq!(server.committed_time(TableId(0)), Some(Time(1)));
    assert_eq!(give(&mut server, &push(1, 1, &[(3, 2)]).at(0)), [ok(1)], "its acknowledgement was lost");
    assert_eq!(give(&mut server, &mark(1, 2, 0, 1)), [ok(2)]);
    assert_eq!(give(&mut server, &pull(1, 4, &[3]).at(1)), [values(4, &[7])]);
}

#[test]
fn early_pushes_wait_for_their_step_and_finished_writers_hold_nobody_back() {
    let mut server = sequential(2);
    give(&mut server, &push(0, 1, &[(1, 1)]).at(1));
    give(&mut server, &mark(0, 2, 1, 1));
    assert_eq!(give(&mut server, &mark(1, 1, 0, 0).finished()), [ok(1)]);
    assert_eq!(server.committed_time(TableId(0)), Some(Time(0)));
    assert_eq!(give(&mut server, &mark(0, 3, 0, 0)), [ok(3), ok(1)]);
    assert_eq!(server.committed_time(TableId(0)), Some(Time(2)));
    give(&mut server, &mark(0, 4, 2, 0).finished());
    assert_eq!(server.committed_time(TableId(0)), Some(Time::FINISHED));
    assert_eq!(give(&mut server, &pull(1, 9, &[1]).at(400)), [values(9, &[1])]);
}

#[test]
fn a_push_to_a_step_that_has_ended_is_refused() {
    let mut server = sequential(1);
    give(&mut server, &mark(0, 1, 0, 0));
    let reason = refusal(&mut server, &push(0, 2, &[(1, 1)]).at(0));
    assert!(reason.contains("writer 0 pushed at time 0, which ended: now is time 1"), "{reason}");
}

#[test]
fn sums_of_a_step_are_added_in_the_order_of_writers_and_not_of_arrival() {
    let spec = TableSpec { dtype: DType::F32, ..table(0, Layout::Sparse, Consistency::Sequential) };
    let push = |rank: u32, value: f32| {
        let mut asked = asked(Kind::Push, rank, 1, (0, KEY_END));
        asked.header.dtype = DType::F32;
        (asked.header.key_count, asked.header.key_bytes, asked.header.value_bytes) = (1, 8, 4);
        let (keys, values) = (Some(TxBuf::from_vec(vec![5u64])), TxBuf::from_vec(vec![value]));
        TxFrame { keys, ..TxFrame::with_values(asked.header, values) }
    };
    let pushes = [push(0, 1e8), push(1, 3.0), push(2, -1e8), push(3, 0.25)];
    let sum_of = |order: [usize; 4]| {
        let mut server = server(vec![spec.clone()], 4);
        for index in order {
            let (from, frame) = (NodeId::worker(index as u32), received(&pushes[index]));
            server.handle(seconds(2), Input::Frame { from, frame });
            give(&mut server, &mark(index as u32, 2, 0, 1));
        }
        let mut sum = [0; 4];
        server.tables().next().unwrap().gather(KeyRange::new(0, KEY_END), Some(&[5]), &mut sum);
        f32::from_le_bytes(sum)
    };
    let expected = ((1e8f32 + 3.0) - 1e8) + 0.25;
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        assert_eq!(sum_of(order).to_bits(), expected.to_bits(), "{order:?}");
    }
}

#[test]
fn who_is_no_writer_of_the_job_is_refused() {
    let mut server = eventual();
    let reason = refusal(&mut server, &push(2, 1, &[(3, 5)]));
    assert!(reason.contains("writer 2 is none of this job's 2"), "{reason}");
}

#[test]
fn a_mark_far_ahead_of_the_open_step_is_put_off() {
    let mut server = sequential(2);
    let far = limit::WINDOW_TIMESTAMPS as u32;
    assert_eq!(give(&mut server, &mark(0, 1, far - 1, 0)), [ok(1)]);
    assert_eq!(give(&mut server, &mark(0, 2, far, 0)), [(2, Status::Busy, Vec::new())]);
}

#[test]
fn wrong_requests_are_refused_by_name_and_change_nothing() {
    let mut server = eventual();
    let mut elsewhere = push(0, 1, &[(3, 5)]);
    elsewhere.header.table = TableId(9);
    assert!(refusal(&mut server, &elsewhere).contains("table 9"));
    let mut shape = push(0, 1, &[(3, 5)]);
    shape.header.width = 2;
    assert!(refusal(&mut server, &shape).contains("1 x i64 per key, the request 2 x i64"));
    assert!(refusal(&mut server, &push(0, 1, &[(3, 5), (3, 6)])).contains("not greater"));
    let mut outside = push(0, 1, &[(50, 5)]);
    outside.header.range = KeyRange::new(0, 50);
    assert!(refusal(&mut server, &outside).contains("outside"));
    let mut foreign = push(0, 1, &[(3, 5)]);
    foreign.header.job = JobId(1);
    assert_eq!(give(&mut server, &foreign), []);
    let mut borrowed = push(0, 1, &[(3, 5)]);
    borrowed.header.source = NodeId::worker(1);
    server.handle(seconds(2), Input::Frame { from: WORKER, frame: received(&borrowed.frame()) });
    assert!(drain(&mut server).frames.is_empty(), "a frame in somebody else's name");
    assert_eq!(give(&mut server, &pull(0, 2, &[3])), [values(2, &[0])]);
}

#[test]
fn a_request_without_keys_is_answered() {
    let mut server = eventual();
    assert_eq!(give(&mut server, &push(0, 1, &[])), [ok(1)]);
    assert_eq!(give(&mut server, &pull(0, 2, &[])), [ok(2)]);
}

#[test]
fn requests_before_the_welcome_and_of_a_later_epoch_are_put_off() {
    let mut server = unwelcomed();
    assert_eq!(give(&mut server, &push(0, 1, &[(3, 5)])), [(1, Status::Busy, Vec::new())]);
    let mut server = eventual();
    let mut later = push(0, 1, &[(3, 5)]);
    later.header.epoch = Epoch(2);
    assert_eq!(give(&mut server, &later), [(1, Status::Busy, Vec::new())]);
}

#[test]
fn a_range_of_another_shard_is_answered_moved() {
    let mut server = unwelcomed();
    server.handle(seconds(1), welcome(vec![table(0, Layout::Sparse, Consistency::Eventual)], 2, &[FIRST, SECOND]));
    drain(&mut server);
    assert_eq!(give(&mut server, &push(0, 1, &[(3, 5)])), [(1, Status::Moved, Vec::new())]);
}

#[test]
fn a_task_that_overtakes_the_welcome_waits_to_be_repeated() {
    let mut server = unwelcomed();
    let task = ControlMessage::Task { sequence: 1, task: Task::Count { with_state: false } };
    server.handle(seconds(1), from_scheduler(&task));
    assert!(drain(&mut server).events.is_empty());
    server.handle(seconds(1), welcome(vec![table(0, Layout::Sparse, Consistency::Eventual)], 2, &[FIRST]));
    server.handle(seconds(1), from_scheduler(&task));
    server.handle(seconds(1), from_scheduler(&task));
    assert!(matches!(drain(&mut server).events[..], [ServerEvent::Welcome, ServerEvent::Task { sequence: 1, .. }]));
}

#[test]
fn records_merge_again_when_they_are_settled() {
    let mut server = eventual();
    for timestamp in 1..40 {
        let mut part = push(0, timestamp, &[(timestamp, 1)]);
        part.header.range = KeyRange::new(timestamp, timestamp + 1);
        assert_eq!(give(&mut server, &part), [ok(timestamp)]);
    }
    assert!(server.clock_range_count() > 30);
    give(&mut server, &pull(0, 41, &[3]).settled(41));
    assert_eq!(server.clock_range_count(), 1);
}

fn bounded(writers: u32) -> Server {
    server(vec![table(0, Layout::Sparse, Consistency::BoundedDelay { delay_max: 1 })], writers)
}

/// Tells the shard a decision about a writer; the sequence number that it acknowledges.
fn decide(server: &mut Server, sequence: u64, writer: u32, change: WriterChange) -> u64 {
    let decision = ControlMessage::Writer { sequence, writer: WriterId(writer), change };
    server.handle(seconds(3), from_scheduler(&decision));
    let heard = drain(server).said(NodeId::SCHEDULER);
    let [ControlMessage::WriterHeard { sequence }] = heard[..] else { panic!("it said {heard:?}") };
    sequence
}

#[test]
fn a_bounded_pull_is_answered_the_moment_every_writer_has_ended_what_it_demands() {
    let mut server = bounded(2);
    assert_eq!(give(&mut server, &pull(0, 5, &[3]).at(2)), []);
    assert_eq!(give(&mut server, &pull(0, 4, &[3]).at(1)), []);
    assert_eq!(give(&mut server, &push(0, 1, &[(3, 1)]).at(0)), [ok(1)], "it is applied as it comes");
    assert_eq!(give(&mut server, &pull(1, 1, &[3]).at(0)), [values(1, &[1])]);
    assert_eq!(give(&mut server, &mark(0, 2, 0, 1)), [ok(2)]);
    assert_eq!(give(&mut server, &mark(1, 3, 0, 1)), [ok(3)], "a slice is on its way");
    assert_eq!(give(&mut server, &push(1, 2, &[(3, 10)]).at(0)), [ok(2), values(4, &[11])]);
    assert_eq!(give(&mut server, &mark(0, 3, 1, 0)), [ok(3)]);
    assert_eq!(give(&mut server, &mark(1, 4, 1, 0).finished()), [ok(4), values(5, &[11])]);
    assert_eq!((server.traffic().waited, server.waited(TableId(0))), (2, 2));
    assert_eq!(give(&mut server, &push(1, 2, &[(3, 10)]).at(0)), [ok(2)], "a copy, when the writer is retired");
    assert_eq!(give(&mut server, &pull(0, 6, &[3]).at(2)), [values(6, &[11])]);
}

#[test]
fn nobody_waits_for_a_writer_that_has_left_until_it_joins() {
    let mut server = bounded(2);
    give(&mut server, &mark(0, 1, 0, 0));
    assert_eq!(give(&mut server, &pull(0, 2, &[3]).at(1)), []);
    let left =
        ControlMessage::Writer { sequence: 1, writer: WriterId(1), change: WriterChange::Left { from_time: Time(0) } };
    server.handle(seconds(3), from_scheduler(&left));
    let drained = drain(&mut server);
    assert!(drained.frames.iter().any(|(_, frame)| frame.header.kind == Kind::PullReply), "the pull still waits");
    assert_eq!(server.traffic().waited_ns, 1_000_000_000);
    assert_eq!(decide(&mut server, 1, 1, WriterChange::Joined { from_time: Time(0) }), 1, "an old number");
    assert_eq!(server.committed_time(TableId(0)), Some(Time(1)));
    assert_eq!(decide(&mut server, 2, 1, WriterChange::Joined { from_time: Time(1) }), 2);
    give(&mut server, &mark(0, 3, 1, 0));
    assert_eq!(server.committed_time(TableId(0)), Some(Time(1)));
    assert_eq!(give(&mut server, &mark(1, 1, 1, 0)), [ok(1)]);
    assert_eq!(server.committed_time(TableId(0)), Some(Time(2)));
}

#[test]
fn an_eventual_table_forgets_a_writer_that_has_finished() {
    let mut server = eventual();
    for timestamp in 1..6 {
        let mut part = push(0, timestamp, &[(timestamp * 9, 1)]).at(timestamp as u32);
        part.header.range = KeyRange::new(timestamp * 9, timestamp * 9 + 1);
        give(&mut server, &part);
    }
    let bytes = server.clock_bytes();
    assert_eq!(give(&mut server, &mark(0, 7, 5, 6).finished()), [ok(7)]);
    assert_eq!(server.clock_bytes(), bytes, "a slice is on its way");
    assert_eq!(give(&mut server, &push(0, 6, &[(3, 1)]).at(5)), [ok(6)]);
    assert!(server.clock_bytes() < bytes / 2, "{} bytes of {bytes}", server.clock_bytes());
    assert_eq!(give(&mut server, &push(0, 6, &[(3, 1)]).at(5)), [ok(6)]);
    assert_eq!(give(&mut server, &pull(1, 1, &[3])), [values(1, &[1])]);
    assert_eq!(server.traffic().waited, 0);
}
