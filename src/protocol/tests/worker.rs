//! A worker: slicing, retries, the settled mark, marks and pulls.

use super::*;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::TxBuf;
use crate::protocol::worker::{Keys, OperationError, Request, Worker, WorkerEvent};
use crate::wire::{Assignment, Flags, GivenBack, Header, Kind, Status, TableResume, Unit};

fn worker(tables: Vec<TableSpec>) -> Worker {
    let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    worker.handle(Nanos(0), connected(NodeId::SCHEDULER));
    worker.handle(Nanos(0), welcome(tables, 1, &[FIRST, SECOND]));
    assert_eq!(drain(&mut worker).connects, [NodeId::SCHEDULER, FIRST, SECOND]);
    [FIRST, SECOND].into_iter().for_each(|shard| worker.handle(Nanos(0), connected(shard)));
    worker
}

fn eventual() -> Worker {
    worker(vec![table(0, Layout::Sparse, Consistency::Eventual)])
}

fn sequential() -> Worker {
    worker(vec![table(0, Layout::Dense, Consistency::Sequential)])
}

fn request(range: (u64, u64), keys: Option<&[u64]>) -> Request<'static> {
    let keys = keys.map(|keys| Keys::once(TxBuf::from_vec(keys.to_vec())));
    Request { table: TableId(0), range: KeyRange::new(range.0, range.1), keys, after: &[], ..Request::default() }
}

fn push(worker: &mut Worker, keys: &[u64]) -> Timestamp {
    let values = TxBuf::from_vec(keys.iter().map(|&key| key as i64 * 10).collect::<Vec<_>>());
    worker.push(Nanos(0), &request((0, KEY_END), Some(keys)), values).unwrap()
}

/// The headers of the requests in the order of sending.
fn sent(worker: &mut Worker) -> Vec<(NodeId, Header)> {
    let frames = drain(worker).frames.into_iter();
    frames.filter(|(to, _)| *to != NodeId::SCHEDULER).map(|(to, frame)| (to, frame.header)).collect()
}

/// A shard's answer to a request.
fn answer(from: NodeId, request: &Header, kind: Kind, status: Status, values: &[u8]) -> Input {
    let mut header = Identity { epoch: Epoch(1), ..identity(from) }.header(kind);
    (header.status, header.value_bytes) = (status, values.len() as u32);
    (header.writer, header.timestamp, header.range) = (request.writer, request.timestamp, request.range);
    let frame = TxFrame::with_values(header, TxBuf::from_vec(values.to_vec()));
    Input::Frame { from, frame: received(&frame) }
}

fn acknowledge(worker: &mut Worker, now: Nanos, (from, request): &(NodeId, Header)) {
    let kind = if request.kind == Kind::Push { Kind::PushReply } else { Kind::EndOfTimeReply };
    worker.handle(now, answer(*from, request, kind, Status::Ok, &[]));
}

fn answer_pull(worker: &mut Worker, (from, request): &(NodeId, Header), value: u8) {
    let values = vec![value; request.key_count as usize * 8];
    worker.handle(Nanos(0), answer(*from, request, Kind::PullReply, Status::Ok, &values));
}

#[test]
fn an_operation_is_cut_by_the_partition_and_every_shard_hears_of_its_range() {
    let mut worker = eventual();
    push(&mut worker, &[1, 7, 60]);
    let sent = sent(&mut worker);
    let slices: Vec<_> = sent.iter().map(|(to, header)| (*to, header.range, header.key_count)).collect();
    assert_eq!(slices, [(FIRST, KeyRange::new(0, 49), 2), (SECOND, KeyRange::new(49, 100), 1)]);
}

#[test]
fn a_large_slice_travels_in_segments_that_cover_its_range() {
    let spec = TableSpec { key_end: 1 << 40, ..table(0, Layout::Sparse, Consistency::Eventual) };
    let mut worker = worker(vec![spec]);
    let keys: Vec<u64> = (0..100_000).map(|key| key * 3).collect();
    let values = TxBuf::from_vec(vec![1i64; keys.len()]);
    worker.push(Nanos(0), &request((0, 1 << 40), Some(&keys)), values).unwrap();
    let sent: Vec<Header> = sent(&mut worker).into_iter().map(|(_, header)| header).collect();
    assert!(sent.len() > 6 && sent.iter().all(|header| header.body_bytes() <= limit::SEGMENT_BYTES));
    assert_eq!((sent[0].range.begin, sent[sent.len() - 1].range.end), (0, 1 << 40));
    assert!(sent.windows(2).all(|pair| pair[0].range.end == pair[1].range.begin && !pair[0].range.is_empty()));
    assert_eq!(sent.iter().map(|header| header.key_count).sum::<u32>(), 100_000);
}

#[test]
fn settled_is_the_lowest_push_that_is_not_acknowledged_everywhere() {
    let mut worker = eventual();
    push(&mut worker, &[1]);
    let first = sent(&mut worker);
    push(&mut worker, &[2]);
    let second = sent(&mut worker);
    assert_eq!(second[0].1.settled, Timestamp(1));
    second.iter().for_each(|request| acknowledge(&mut worker, Nanos(0), request));
    acknowledge(&mut worker, Nanos(0), &first[0]);
    push(&mut worker, &[3]);
    assert_eq!(sent(&mut worker)[0].1.settled, Timestamp(1), "one shard has not answered the first");
    acknowledge(&mut worker, Nanos(0), &first[1]);
    push(&mut worker, &[4]);
    assert_eq!(sent(&mut worker)[0].1.settled, Timestamp(3));
}

#[test]
fn what_is_overdue_is_sent_again_under_its_name() {
    let mut worker = eventual();
    push(&mut worker, &[1, 60]);
    let first = sent(&mut worker);
    acknowledge(&mut worker, Nanos(0), &first[1]);
    let retry = limit::RETRY_TIMEOUT.as_secs();
    worker.handle(Nanos(0), from_scheduler(&ControlMessage::Heartbeat));
    let frames = pass_time(&mut worker, Nanos(0), seconds(retry)).frames;
    let again: Vec<_> = frames.into_iter().filter(|(to, _)| *to != NodeId::SCHEDULER).collect();
    assert_eq!(again.len(), 1);
    let (to, frame) = &again[0];
    assert_eq!((*to, frame.header.timestamp, frame.header.range), (FIRST, first[0].1.timestamp, first[0].1.range));
    assert_eq!(worker.traffic().retries, 1);
}

#[test]
fn a_new_connection_gets_what_is_open_and_nothing_else() {
    let mut worker = eventual();
    push(&mut worker, &[1]);
    let first = sent(&mut worker);
    acknowledge(&mut worker, Nanos(0), &first[1]);
    worker.handle(seconds(1), lost(FIRST));
    worker.handle(seconds(1), lost(SECOND));
    push(&mut worker, &[2]);
    assert!(sent(&mut worker).is_empty());
    worker.handle(seconds(1), connected(FIRST));
    let again: Vec<_> = sent(&mut worker).iter().map(|(to, header)| (*to, header.timestamp.0)).collect();
    assert_eq!(again, [(FIRST, 1), (FIRST, 2)]);
}

#[test]
fn a_worker_whose_shard_is_away_does_not_spin() {
    let mut worker = eventual();
    push(&mut worker, &[1]);
    let first = sent(&mut worker);
    worker.handle(Nanos(0), answer(FIRST, &first[0].1, Kind::PushReply, Status::Busy, &[]));
    worker.handle(seconds(1), lost(FIRST));
    worker.handle(seconds(1), lost(SECOND));
    for second in 1..12 {
        worker.handle(seconds(second), from_scheduler(&ControlMessage::Heartbeat));
        pass_time(&mut worker, seconds(second), seconds(second + 1));
    }
}

#[test]
fn a_busy_shard_is_asked_again_after_a_pause() {
    let mut worker = eventual();
    push(&mut worker, &[1]);
    let first = sent(&mut worker);
    worker.handle(Nanos(0), answer(FIRST, &first[0].1, Kind::PushReply, Status::Busy, &[]));
    assert!(sent(&mut worker).is_empty());
    let frames = pass_time(&mut worker, Nanos(0), Nanos(0).after(limit::BUSY_BACKOFF)).frames;
    assert_eq!(frames.iter().filter(|(to, _)| *to == FIRST).count(), 1);
}

#[test]
fn a_refusal_is_told_and_the_rest_goes_on() {
    let mut worker = eventual();
    let timestamp = push(&mut worker, &[1]);
    let first = sent(&mut worker);
    worker.handle(Nanos(0), answer(FIRST, &first[0].1, Kind::PushReply, Status::Error, b"no"));
    assert!(!worker.is_done(timestamp));
    acknowledge(&mut worker, Nanos(0), &first[1]);
    assert!(worker.is_done(timestamp) && worker.is_settled());
    let refused = OperationError::Refused { server: FIRST, reason: "no".to_owned() };
    assert_eq!(worker.take_pushed(timestamp), Err(refused));
}

#[test]
fn the_answer_to_another_kind_of_request_is_no_answer() {
    let mut worker = eventual();
    let timestamp = worker.pull(Nanos(0), &request((0, KEY_END), Some(&[1, 60]))).unwrap();
    let asked = sent(&mut worker);
    for request in &asked {
        worker.handle(Nanos(0), answer(request.0, &request.1, Kind::PushReply, Status::Ok, &[]));
    }
    assert!(!worker.is_done(timestamp));
    asked.iter().for_each(|request| answer_pull(&mut worker, request, 1));
    assert_eq!(worker.take_pulled(timestamp).unwrap().typed::<u8>(), [1; 16]);
}

#[test]
fn a_pull_is_put_together_from_its_slices_whatever_their_order() {
    let mut worker = eventual();
    let timestamp = worker.pull(Nanos(0), &request((0, KEY_END), Some(&[1, 60, 70]))).unwrap();
    let asked = sent(&mut worker);
    answer_pull(&mut worker, &asked[1], 2);
    answer_pull(&mut worker, &asked[1], 3);
    answer_pull(&mut worker, &asked[0], 1);
    let pulled = worker.take_pulled(timestamp).unwrap();
    assert_eq!(pulled.typed::<u8>(), [[1; 8], [2; 8], [2; 8]].concat());
}

#[test]
fn a_mark_counts_the_slices_of_its_time_for_each_shard() {
    let mut worker = sequential();
    for range in [(0, 10), (40, 60), (0, 20)] {
        let values = TxBuf::from_vec(vec![1i64; range.1 - range.0]);
        worker.push(Nanos(0), &request((range.0 as u64, range.1 as u64), None), values).unwrap();
    }
    sent(&mut worker);
    worker.tick(Nanos(0), TableId(0)).unwrap();
    let counts = |worker: &mut Worker| -> Vec<_> {
        sent(worker).iter().map(|(to, header)| (*to, header.time, header.slice_count)).collect()
    };
    assert_eq!(counts(&mut worker), [(FIRST, Time(0), 3), (SECOND, Time(0), 1)]);
    worker.finish(Nanos(0), TableId(0)).unwrap();
    assert_eq!(counts(&mut worker), [(FIRST, Time(1), 0), (SECOND, Time(1), 0)]);
}

#[test]
fn a_mark_waits_for_the_answers_to_the_pulls_of_its_time() {
    let mut worker = sequential();
    let pulled = worker.pull(Nanos(0), &request((0, 10), None)).unwrap();
    let asked = sent(&mut worker);
    worker.tick(Nanos(0), TableId(0)).unwrap();
    assert!(sent(&mut worker).is_empty(), "the step could be committed under the pull");
    worker.pull(Nanos(0), &request((0, 10), None)).unwrap();
    assert_eq!(sent(&mut worker)[0].1.time, Time(1));
    worker.handle(Nanos(0), lost(FIRST));
    worker.handle(Nanos(0), connected(FIRST));
    assert!(sent(&mut worker).iter().all(|(_, header)| header.kind == Kind::Pull));
    answer_pull(&mut worker, &asked[0], 0);
    let marks: Vec<_> = sent(&mut worker).iter().map(|(to, header)| (*to, header.kind, header.time)).collect();
    assert_eq!(marks, [(FIRST, Kind::EndOfTime, Time(0)), (SECOND, Kind::EndOfTime, Time(0))]);
    assert!(worker.take_pulled(pulled).is_ok());
}

#[test]
fn a_finished_writer_pushes_no_more() {
    let mut worker = sequential();
    worker.finish(Nanos(0), TableId(0)).unwrap();
    let refused = worker.push(Nanos(0), &request((0, 1), None), TxBuf::from_vec(vec![1i64]));
    assert!(refused.unwrap_err().to_string().contains("table 'table 0': this writer has finished it"));
    assert!(worker.tick(Nanos(0), TableId(0)).is_err());
    sent(&mut worker);
    worker.finish(Nanos(0), TableId(0)).unwrap();
    assert!(sent(&mut worker).is_empty(), "it is said once");
}

#[test]
fn open_dependencies_travel_with_the_parts_that_they_concern() {
    let mut worker = eventual();
    let first = push(&mut worker, &[1]);
    sent(&mut worker);
    let later = Request { after: &[first], ..request((40, 60), Some(&[41, 55])) };
    worker.push(Nanos(0), &later, TxBuf::from_vec(vec![1i64, 2])).unwrap();
    let frames = drain(&mut worker).frames;
    let dependencies: Vec<_> = frames.iter().map(|(_, frame)| frame.body().dependencies[0].range()).collect();
    assert_eq!(dependencies, [KeyRange::new(40, 49), KeyRange::new(49, 60)]);
}

#[test]
fn what_follows_an_operation_on_another_table_is_held_until_that_is_acknowledged() {
    let spec = |id| table(id, Layout::Sparse, Consistency::Eventual);
    let mut worker = worker(vec![spec(0), spec(1)]);
    let first = push(&mut worker, &[1]);
    let pushed = sent(&mut worker);
    let other = Request { table: TableId(1), after: &[first], ..request((0, 10), Some(&[1])) };
    worker.pull(Nanos(0), &other).unwrap();
    worker.handle(Nanos(0), connected(FIRST));
    assert!(sent(&mut worker).iter().all(|(_, header)| header.kind == Kind::Push), "sent again, but held");
    pushed.iter().for_each(|request| acknowledge(&mut worker, Nanos(0), request));
    assert_eq!(sent(&mut worker).iter().map(|(_, header)| header.kind).collect::<Vec<_>>(), [Kind::Pull]);
}

#[test]
fn what_follows_a_pull_is_held_until_its_values_are_there() {
    let mut worker = eventual();
    let read = worker.pull(Nanos(0), &request((0, 10), Some(&[1]))).unwrap();
    let asked = sent(&mut worker);
    let later = Request { after: &[read], ..request((0, 10), Some(&[1])) };
    let written = worker.push(Nanos(0), &later, TxBuf::from_vec(vec![1i64])).unwrap();
    worker.pull(Nanos(0), &Request { after: &[written], ..later }).unwrap();
    assert_eq!(sent(&mut worker).len(), 1, "the second pull alone: its shard knows whether the push was applied");
    answer_pull(&mut worker, &asked[0], 5);
    assert_eq!(sent(&mut worker).iter().map(|(_, header)| header.kind).collect::<Vec<_>>(), [Kind::Push]);
    assert!(worker.take_pulled(read).is_ok());
    let cancelled = |worker: &mut Worker| {
        let read = worker.pull(Nanos(0), &request((0, 10), Some(&[1]))).unwrap();
        worker
            .push(Nanos(0), &Request { after: &[read], ..request((0, 10), Some(&[1])) }, TxBuf::from_vec(vec![1i64]))
            .unwrap();
        worker.cancel(Nanos(0), read);
        sent(worker).len()
    };
    assert_eq!(cancelled(&mut worker), 2, "what is given up holds nobody");
}

#[test]
fn a_sparse_table_is_not_asked_for_a_range_without_keys() {
    let spec = TableSpec { key_end: u64::MAX, ..table(0, Layout::Sparse, Consistency::Eventual) };
    let mut worker = worker(vec![spec]);
    let error = worker.pull(Nanos(0), &request((0, u64::MAX), None)).unwrap_err().to_string();
    assert!(error.contains("is sparse: name the keys"), "{error}");
}

#[test]
#[should_panic(expected = "timestamp 1 is still open")]
fn the_outcome_of_an_open_push_cannot_be_taken() {
    let mut worker = eventual();
    let timestamp = push(&mut worker, &[1]);
    let _ = worker.take_pushed(timestamp);
}

#[test]
fn the_window_closes_and_opens_with_the_settled_mark() {
    let mut worker = eventual();
    push(&mut worker, &[1]);
    let first = sent(&mut worker);
    while worker.has_room() {
        push(&mut worker, &[2]);
    }
    let last = sent(&mut worker).last().unwrap().1;
    assert!(last.timestamp.0 < last.settled.0 + limit::WINDOW_TIMESTAMPS as u64);
    first.iter().for_each(|request| acknowledge(&mut worker, Nanos(0), request));
    assert!(worker.has_room());
}

#[test]
fn questions_and_accounts_are_said_again_until_they_are_answered() {
    let mut worker = eventual();
    drain(&mut worker);
    worker.next_unit();
    worker.next_unit();
    worker.unit_done(8, vec![1]);
    let question = ControlMessage::NextUnit { sequence: 1 };
    let resume = ResumePoint { tables: vec![TableResume::default()], ..ResumePoint::default() };
    let account = ControlMessage::UnitDone { sequence: 1, unit: 8, report: vec![1], resume: Some(resume) };
    assert_eq!(drain(&mut worker).said(NodeId::SCHEDULER), [question.clone(), account.clone()]);
    worker.handle(seconds(1), lost(NodeId::SCHEDULER));
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    assert_eq!(drain(&mut worker).said(NodeId::SCHEDULER)[1..], [account, question]);
    worker.handle(seconds(1), from_scheduler(&ControlMessage::UnitDoneHeard { sequence: 1 }));
    let unit = Unit { id: 9, payload: Vec::new() };
    let assigned = ControlMessage::Assigned { sequence: 1, assignment: Assignment::Unit(unit) };
    worker.handle(seconds(1), from_scheduler(&assigned));
    worker.handle(seconds(1), from_scheduler(&assigned));
    let drained = drain(&mut worker);
    assert!(matches!(&drained.events[..], [WorkerEvent::Assigned(Some(unit))] if unit.id == 9));
    assert!(drained.frames.is_empty());
}

#[test]
fn an_abandoned_refusal_is_told_once() {
    let mut worker = eventual();
    let timestamp = push(&mut worker, &[1]);
    worker.abandon(timestamp);
    let first = sent(&mut worker);
    worker.handle(Nanos(0), answer(FIRST, &first[0].1, Kind::PushReply, Status::Error, b"no"));
    acknowledge(&mut worker, Nanos(0), &first[1]);
    assert!(worker.take_refusal().is_some() && worker.take_refusal().is_none());
    assert_eq!(worker.writer(), WriterId(0));
    assert!(!first[0].1.flags.has(Flags::DENSE));
}

#[test]
fn a_unit_that_is_asked_back_again_gets_the_same_answer_however_late() {
    let mut worker = eventual();
    drain(&mut worker);
    let ask = |worker: &mut Worker, unit: u64| {
        worker.handle(seconds(1), from_scheduler(&ControlMessage::Release { unit }));
        let drained = drain(worker);
        (drained.events.len(), drained.said(NodeId::SCHEDULER))
    };
    assert_eq!(ask(&mut worker, 8), (1, Vec::new()));
    assert_eq!(ask(&mut worker, 8), (0, Vec::new()), "the program is asked once");
    worker.answer_release(8, GivenBack::Whole);
    let whole = ControlMessage::Released { unit: 8, given: GivenBack::Whole };
    assert_eq!(drain(&mut worker).said(NodeId::SCHEDULER), std::slice::from_ref(&whole));
    assert_eq!(ask(&mut worker, 7), (1, Vec::new()));
    worker.answer_release(7, GivenBack::Rest(vec![1]));
    drain(&mut worker);
    assert_eq!(ask(&mut worker, 8), (0, vec![whole]), "behind the question for another");
    let rest = ControlMessage::Released { unit: 7, given: GivenBack::Rest(vec![1]) };
    assert_eq!(ask(&mut worker, 7), (0, vec![rest]));
}
