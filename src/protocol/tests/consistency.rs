//! What pulls demand, and delays that change: the worker's and the scheduler's sides.

use super::*;
use crate::id::{Time, WriterId};
use crate::keyspace::KeyRange;
use crate::memory::TxBuf;
use crate::protocol::scheduler::{Cast, Offer, Scheduler, SchedulerEvent, Workload};
use crate::protocol::worker::{OperationError, Request, Worker};
use crate::wire::{Header, Kind, Shutdown, Status, TableResume, WriterChange};

const BOUNDED: Consistency = Consistency::BoundedDelay { delay_max: 2 };
const TABLE: TableId = TableId(0);

fn worker(consistency: Consistency) -> Worker {
    let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    worker.handle(Nanos(0), connected(NodeId::SCHEDULER));
    worker.handle(Nanos(0), welcome(vec![table(0, Layout::Dense, consistency)], 1, &[FIRST]));
    worker.handle(Nanos(0), connected(FIRST));
    drain(&mut worker);
    worker
}

/// A worker that has ended so many times; what it told its shard.
fn at_time(consistency: Consistency, time: u32) -> (Worker, Vec<Header>) {
    let mut worker = worker(consistency);
    (0..time).for_each(|_| worker.tick(Nanos(0), TABLE).unwrap());
    let frames = drain(&mut worker).frames;
    (worker, frames.iter().map(|(_, frame)| frame.header).collect())
}

fn request() -> Request<'static> {
    Request { table: TABLE, range: KeyRange::new(0, KEY_END), ..Request::default() }
}

/// What a pull demands.
fn demand(worker: &mut Worker, request: &Request<'_>) -> Result<Time, OperationError> {
    worker.pull(Nanos(0), request)?;
    let frames = drain(worker).frames;
    Ok(frames[0].1.header.time)
}

/// Answers an operation.
fn answer(worker: &mut Worker, kind: Kind, timestamp: u64, range: KeyRange) {
    let mut header = Identity { epoch: Epoch(1), ..identity(FIRST) }.header(kind);
    let bytes = if kind == Kind::PullReply { KEY_END as usize * 8 } else { 0 };
    (header.status, header.value_bytes) = (Status::Ok, bytes as u32);
    (header.writer, header.timestamp.0, header.range) = (WriterId(0), timestamp, range);
    let frame = received(&TxFrame::with_values(header, TxBuf::from_vec(vec![0u8; bytes])));
    worker.handle(Nanos(0), Input::Frame { from: FIRST, frame });
}

fn delay(worker: &mut Worker, sequence: u64, delay_max: u32) -> Vec<ControlMessage> {
    worker.handle(Nanos(0), from_scheduler(&ControlMessage::Delay { sequence, table: TABLE, delay_max }));
    drain(worker).said(NodeId::SCHEDULER)
}

#[test]
fn the_worker_computes_what_a_pull_demands() {
    let rules = [(Consistency::Sequential, 5), (BOUNDED, 3), (Consistency::Eventual, 0)];
    for (rule, time) in rules {
        assert_eq!(demand(&mut at_time(rule, 5).0, &request()), Ok(Time(time)), "{rule}");
    }
    let (mut worker, marks) = at_time(BOUNDED, 5);
    assert_eq!(marks.len(), 5, "every time is told");
    for (rule, time) in rules {
        let own = Request { consistency: Some(rule), ..request() };
        assert_eq!(demand(&mut worker, &own), Ok(Time(time)), "{rule} on a bounded table");
    }
    let ahead = |ahead| Request { ahead, ..request() };
    assert_eq!(demand(&mut worker, &ahead(2)), Ok(Time(5)));
    assert!(worker.may_pull_ahead(TABLE, 2) && !worker.may_pull_ahead(TABLE, 3));
    let refusal = demand(&mut worker, &ahead(3)).expect_err("it would wait for itself").to_string();
    assert!(refusal.contains("3 times ahead would wait for its own writer under bounded:2"), "{refusal}");
}

#[test]
fn an_eventual_table_has_no_stronger_pulls_and_tells_only_its_last_time() {
    let (mut worker, marks) = at_time(Consistency::Eventual, 5);
    assert_eq!(marks, []);
    let refusal = demand(&mut worker, &Request { consistency: Some(BOUNDED), ..request() }).expect_err("refused");
    assert!(refusal.to_string().contains("do not tell their times, so a pull cannot be bounded:2"), "{refusal}");
    for _ in 0..3 {
        let values = TxBuf::from_vec(vec![1i64; KEY_END as usize]);
        worker.push(Nanos(0), &request(), values).unwrap();
        worker.tick(Nanos(0), TABLE).unwrap();
    }
    worker.finish(Nanos(0), TABLE).unwrap();
    let frames = drain(&mut worker).frames;
    let marks: Vec<_> = frames.iter().filter(|(_, frame)| frame.header.kind == Kind::EndOfTime).collect();
    assert_eq!(marks.iter().map(|(_, frame)| frame.header.slice_count).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_weaker_pull_of_a_sequential_table_holds_no_mark_back() {
    let mut worker = worker(Consistency::Sequential);
    worker.pull(Nanos(0), &Request { consistency: Some(Consistency::Eventual), ..request() }).unwrap();
    worker.tick(Nanos(0), TABLE).unwrap();
    let kinds: Vec<_> = drain(&mut worker).frames.iter().map(|(_, frame)| frame.header.kind).collect();
    assert_eq!(kinds, [Kind::Pull, Kind::EndOfTime]);
}

#[test]
fn a_delay_is_acknowledged_when_the_pulls_from_before_are_answered() {
    let (mut worker, _) = at_time(BOUNDED, 5);
    let before = worker.pull(Nanos(0), &request()).unwrap();
    drain(&mut worker);
    assert_eq!(delay(&mut worker, 4, 0), []);
    assert_eq!(demand(&mut worker, &request()), Ok(Time(5)), "it holds at once");
    assert_eq!(delay(&mut worker, 3, 9), [], "an older one comes late");
    assert_eq!(worker.consistency(TABLE), Some(Consistency::BoundedDelay { delay_max: 0 }));
    answer(&mut worker, Kind::PullReply, before.0, KeyRange::new(0, KEY_END));
    let heard = [ControlMessage::DelayHeard { sequence: 4, table: TABLE }];
    assert_eq!(drain(&mut worker).said(NodeId::SCHEDULER), heard);
    assert_eq!(delay(&mut worker, 4, 0), heard, "the acknowledgement was lost");
}

/// Wants a longer delay after each report.
struct Wanting {
    delay: u32,
}

impl Workload for Wanting {
    fn next(&mut self, _worker: WriterId) -> Offer {
        Offer::Wait
    }

    fn finished(&mut self, _worker: WriterId, _unit: u64, _report: &[u8]) -> Result<(), Shutdown> {
        Ok(())
    }

    fn progress(&mut self, _worker: WriterId, report: &[u8]) {
        self.delay = u32::from(report[0]);
    }

    fn stop(&mut self) {}

    fn delay(&mut self, _table: TableId) -> Option<u32> {
        Some(self.delay)
    }
}

fn scheduler(workers: u32) -> Scheduler {
    let cast = Cast { shards: vec![FIRST, SECOND], workers, replicas: 0 };
    let job = job(vec![table(0, Layout::Sparse, BOUNDED)], workers);
    let mut scheduler =
        Scheduler::new(Nanos(0), identity(NodeId::SCHEDULER), &cast, job, Box::new(Wanting { delay: 2 }));
    for node in [FIRST, SECOND].into_iter().chain((0..workers).map(NodeId::worker)) {
        scheduler.handle(seconds(1), connected(node));
        scheduler.handle(seconds(1), to_scheduler(node, &ControlMessage::Register(info(node))));
    }
    scheduler.begin_work();
    drain(&mut scheduler);
    scheduler
}

fn say(scheduler: &mut Scheduler, from: NodeId, message: &ControlMessage) -> Drained<SchedulerEvent> {
    scheduler.handle(seconds(2), to_scheduler(from, message));
    drain(scheduler)
}

#[test]
fn a_delay_is_said_until_every_worker_has_heard_and_the_larger_bound_holds_till_then() {
    let mut scheduler = scheduler(2);
    let (first, second) = (NodeId::worker(0), NodeId::worker(1));
    assert_eq!(scheduler.delay_in_force(TABLE), Some(2));
    let change = ControlMessage::Delay { sequence: 1, table: TABLE, delay_max: 1 };
    let said = say(&mut scheduler, first, &ControlMessage::Progress { report: vec![1] });
    assert!([first, second].into_iter().all(|worker| said.said(worker) == [change.clone()]));
    say(&mut scheduler, first, &ControlMessage::DelayHeard { sequence: 1, table: TABLE });
    assert_eq!(scheduler.delay_in_force(TABLE), Some(2));
    let later = pass_time(&mut scheduler, seconds(2), seconds(3));
    let again = |worker| later.said(worker).contains(&change);
    assert!(!again(first) && again(second));
    say(&mut scheduler, second, &ControlMessage::DelayHeard { sequence: 1, table: TABLE });
    assert_eq!(scheduler.delay_in_force(TABLE), Some(1));
}

#[test]
fn decisions_about_writers_are_said_one_after_the_other_until_they_are_heard() {
    let mut scheduler = scheduler(2);
    let left = WriterChange::Left { from_time: Time(3) };
    let joined = WriterChange::Joined { from_time: Time(7) };
    let decision = |sequence, change| ControlMessage::Writer { sequence, writer: WriterId(1), change };
    scheduler.writer_left(WriterId(1), Time(3));
    let said = drain(&mut scheduler);
    assert!([FIRST, SECOND].into_iter().all(|shard| said.said(shard) == [decision(1, left)]));
    scheduler.writer_joined(WriterId(1), Time(7));
    drain(&mut scheduler);
    let said = say(&mut scheduler, FIRST, &ControlMessage::WriterHeard { sequence: 1 });
    assert_eq!((said.said(FIRST), said.said(SECOND)), (vec![decision(2, joined)], vec![]));
    let later = pass_time(&mut scheduler, seconds(2), seconds(3));
    assert!(later.said(SECOND).contains(&decision(1, left)) && later.said(FIRST).contains(&decision(2, joined)));
    for sequence in [1, 2] {
        say(&mut scheduler, SECOND, &ControlMessage::WriterHeard { sequence });
    }
    say(&mut scheduler, FIRST, &ControlMessage::WriterHeard { sequence: 2 });
    let later = pass_time(&mut scheduler, seconds(3), seconds(4));
    assert!(!later.said(SECOND).iter().any(|said| matches!(said, ControlMessage::Writer { .. })));
}

#[test]
fn the_last_time_there_is_can_only_be_finished() {
    for consistency in [Consistency::Sequential, Consistency::BoundedDelay { delay_max: 3 }] {
        let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
        worker.handle(Nanos(0), connected(NodeId::SCHEDULER));
        let place = TableResume { time: Time(u32::MAX - 2), ..TableResume::default() };
        let welcome = ControlMessage::Welcome {
            config: job(vec![table(0, Layout::Dense, consistency)], 1),
            partition: partition(&[FIRST]),
            servers: vec![info(FIRST)],
            resume: ResumePoint { tables: vec![place], ..ResumePoint::default() },
        };
        worker.handle(Nanos(0), from_scheduler(&welcome));
        worker.handle(Nanos(0), connected(FIRST));
        assert_eq!(worker.tick(Nanos(0), TABLE), Ok(()), "the last but one");
        let names = worker.next_name();
        let refused = worker.tick(Nanos(0), TABLE).expect_err("FINISHED would not be told from a time");
        assert!(refused.to_string().contains("4294967295 times are all"), "{refused}");
        assert_eq!(worker.next_name(), names, "no name is lost");
        assert_eq!(worker.finish(Nanos(0), TABLE), Ok(()));
        let marks: Vec<Time> = drain(&mut worker)
            .frames
            .iter()
            .filter(|(to, _)| *to == FIRST)
            .map(|(_, frame)| frame.header.time)
            .collect();
        assert_eq!(marks, [Time(u32::MAX - 2), Time(u32::MAX - 1)]);
    }
}
