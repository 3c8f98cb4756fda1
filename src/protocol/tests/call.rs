//! Functions on servers: exactly once, waiting, refusals, and the worker's side of a call.

use super::*;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::limit;
use crate::memory::TxBuf;
use crate::protocol::server::Server;
use crate::protocol::worker::{Keys, OperationError, Request, Worker};
use crate::store::{CallFunction, CallRun, Functions, Norms, Numbers, RowBlock};
use crate::wire::{CallBody, Dependencies, Dependency, Flags, FunctionName, Kind, Status, UserUpdate};

/// Multiplies every number by its argument; answers with the number of keys.
struct Scale;

struct Scaling(i64, u64);

impl CallFunction for Scale {
    fn modifies(&self) -> bool {
        true
    }

    fn begin(&self, _: &TableSpec, arguments: &[u8]) -> Result<Box<dyn CallRun>, String> {
        let factor = arguments.try_into().map_err(|_| "scale takes eight bytes".to_owned())?;
        Ok(Box::new(Scaling(i64::from_le_bytes(factor), 0)))
    }
}

impl CallRun for Scaling {
    fn rows(&mut self, rows: RowBlock<'_>) {
        self.1 += rows.keys.len() as u64;
        let Numbers::I64(values) = rows.values else { return };
        values.iter_mut().for_each(|value| *value *= self.0);
    }

    fn answer(self: Box<Self>) -> Result<Vec<u8>, String> {
        Ok(self.1.to_le_bytes().to_vec())
    }
}

/// Answers with as many bytes as fit.
struct Long;

impl CallFunction for Long {
    fn begin(&self, _: &TableSpec, _: &[u8]) -> Result<Box<dyn CallRun>, String> {
        Ok(Box::new(Long))
    }
}

impl CallRun for Long {
    fn rows(&mut self, _: RowBlock<'_>) {}

    fn answer(self: Box<Self>) -> Result<Vec<u8>, String> {
        Ok(vec![7; limit::CALL_ANSWER_BYTES])
    }
}

fn functions() -> Functions {
    let mut functions = Functions::default();
    functions.register_call("scale", Box::new(Scale)).expect("a new name");
    functions.register_call("long", Box::new(Long)).expect("a new name");
    functions
}

fn server(consistency: Consistency, writers: u32) -> Server {
    let (address, host) = ("here".to_owned(), "host".to_owned());
    let mut server = Server::new(Nanos(0), identity(FIRST), address, host, "there", Pool::unbounded());
    server.serve_functions(functions());
    server.handle(seconds(1), connected(NodeId::SCHEDULER));
    server.handle(seconds(1), welcome(vec![table(0, Layout::Dense, consistency)], writers, &[FIRST]));
    drain(&mut server);
    server
}

/// A request on all keys, to be changed.
fn frame(kind: Kind, timestamp: u64, after: &[u64], values: Vec<u8>) -> TxFrame {
    let mut header = Identity { epoch: Epoch(1), ..identity(WORKER) }.header(kind);
    (header.writer, header.timestamp, header.settled) = (WriterId(0), Timestamp(timestamp), Timestamp(1));
    (header.dtype, header.range, header.flags) = (DType::I64, KeyRange::new(0, KEY_END), Flags::DENSE);
    (header.key_count, header.value_bytes) = (KEY_END as u32, values.len() as u32);
    header.dependency_count = after.len() as u16;
    let dependencies: Dependencies =
        after.iter().map(|&timestamp| Dependency::new(Timestamp(timestamp), header.range)).collect();
    TxFrame { dependencies, ..TxFrame::with_values(header, TxBuf::from_vec(values)) }
}

fn call(timestamp: u64, function: &str, arguments: &[u8]) -> TxFrame {
    frame(Kind::Call, timestamp, &[], CallBody { function, arguments }.encode().expect("a call"))
}

fn push_ones(timestamp: u64) -> TxFrame {
    frame(Kind::Push, timestamp, &[], [1i64; KEY_END as usize].into_iter().flat_map(i64::to_le_bytes).collect())
}

/// Gives a request to the shard; the answers as (timestamp, status, bytes).
fn give(server: &mut Server, frame: &TxFrame) -> Vec<(u64, Status, Vec<u8>)> {
    server.handle(seconds(2), Input::Frame { from: WORKER, frame: received(frame) });
    let answers = drain(server).frames.into_iter();
    answers.map(|(_, frame)| (frame.header.timestamp.0, frame.header.status, frame.body().values.to_vec())).collect()
}

fn value(server: &mut Server) -> i64 {
    let mut numbers = [0; 8 * KEY_END as usize];
    server.tables().next().expect("a table").gather(KeyRange::new(0, KEY_END), None, &mut numbers);
    i64::from_le_bytes(numbers[..8].try_into().expect("eight bytes"))
}

fn keys(timestamp: u64) -> (u64, Status, Vec<u8>) {
    (timestamp, Status::Ok, KEY_END.to_le_bytes().to_vec())
}

#[test]
fn a_repeated_call_is_answered_alike_and_not_run_again() {
    let mut server = server(Consistency::Eventual, 1);
    give(&mut server, &push_ones(1));
    let scale = call(2, "scale", &3i64.to_le_bytes());
    assert_eq!(give(&mut server, &scale), [keys(2)]);
    assert_eq!(give(&mut server, &scale), [keys(2)]);
    assert_eq!((value(&mut server), server.traffic().calls, server.traffic().duplicates), (3, 1, 1));
    let mut settled = call(3, "scale", &5i64.to_le_bytes());
    settled.header.settled = Timestamp(3);
    assert_eq!(give(&mut server, &settled), [keys(3)]);
    assert_eq!(give(&mut server, &scale), [], "late, and its writer has the answer");
    assert_eq!(value(&mut server), 15);
}

#[test]
fn a_call_waits_for_pushes_and_pushes_for_calls() {
    let mut server = server(Consistency::Eventual, 1);
    let mut push = push_ones(3);
    push.dependencies.push(Dependency::new(Timestamp(2), push.header.range));
    push.header.dependency_count = 1;
    assert_eq!(give(&mut server, &push), []);
    let scale = CallBody { function: "scale", arguments: &4i64.to_le_bytes() }.encode().expect("a call");
    let scale = frame(Kind::Call, 2, &[1], scale);
    assert_eq!(give(&mut server, &scale), []);
    assert_eq!(give(&mut server, &scale), [], "a repeated one waits once");
    let ok = |timestamp| (timestamp, Status::Ok, Vec::new());
    assert_eq!(give(&mut server, &push_ones(1)), [ok(1), keys(2), ok(3)]);
    assert_eq!(value(&mut server), 5);
}

#[test]
fn a_call_waits_for_the_step_before_its_time() {
    let mut server = server(Consistency::Sequential, 1);
    give(&mut server, &push_ones(1));
    let mut scale = call(2, "scale", &6i64.to_le_bytes());
    scale.header.time = Time(1);
    assert_eq!(give(&mut server, &scale), []);
    let mut mark = TxFrame::bare(frame(Kind::EndOfTime, 3, &[], Vec::new()).header);
    (mark.header.slice_count, mark.header.key_count) = (1, 0);
    let answers = give(&mut server, &mark);
    assert_eq!(answers[answers.len() - 1], keys(2));
    assert_eq!(value(&mut server), 6);
}

#[test]
fn unknown_names_and_wrong_arguments_are_refused_in_one_line() {
    let mut server = server(Consistency::Eventual, 1);
    let refusal = |server: &mut Server, frame: &TxFrame| {
        let answers = give(server, frame);
        let [(_, Status::Error, reason)] = &answers[..] else { panic!("{answers:?}") };
        String::from_utf8(reason.clone()).expect("text")
    };
    let reason = refusal(&mut server, &call(1, "norm", &[]));
    assert_eq!(reason, "no function 'norm' is registered in the server program; registered: long, norms, scale");
    let reason = refusal(&mut server, &call(2, "scale", &[1]));
    assert_eq!(reason, "table 'table 0', function 'scale': scale takes eight bytes");
    assert!(refusal(&mut server, &frame(Kind::Call, 3, &[], vec![9, 1])).contains("without a function's name"));
    let mut functions = functions();
    assert!(functions.register_call("norms", Box::new(Scale)).expect_err("taken").to_string().contains("norms"));
}

#[test]
fn kept_answers_are_bounded_and_the_oldest_operation_goes_on() {
    let mut server = server(Consistency::Eventual, 1);
    let fits = (limit::SHARD_ANSWER_BYTES / limit::CALL_ANSWER_BYTES) as u64 - 1;
    for timestamp in 2..2 + fits {
        assert_eq!(give(&mut server, &call(timestamp, "long", &[]))[0].1, Status::Ok, "{timestamp}");
    }
    assert_eq!(give(&mut server, &call(400, "long", &[]))[0].1, Status::Busy);
    assert_eq!(give(&mut server, &call(1, "long", &[]))[0].1, Status::Ok, "all others wait for it");
    let mut later = call(400, "long", &[]);
    later.header.settled = Timestamp(350);
    assert_eq!(give(&mut server, &later)[0].1, Status::Ok);
}

#[test]
fn norms_count_keys_and_numbers() {
    let mut server = server(Consistency::Eventual, 1);
    let numbers = (0..KEY_END as i64).map(|key| if key % 2 == 0 { -key } else { 0 });
    give(&mut server, &frame(Kind::Push, 1, &[], numbers.flat_map(i64::to_le_bytes).collect()));
    let answer = give(&mut server, &call(2, "norms", &[])).remove(0).2;
    let norms = Norms::of_answers(&[answer.clone(), answer]).expect("its own answer");
    assert_eq!((norms.key_count(), norms.nonzero_count()), (2 * KEY_END, 98));
    assert_eq!((norms.l1(), norms.squares()), (2.0 * 2450.0, 2.0 * 161_700.0));
    assert!(Norms::of_answers(&[vec![1, 2]]).is_err());
}

fn worker() -> Worker {
    let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    worker.handle(Nanos(0), connected(NodeId::SCHEDULER));
    worker.handle(Nanos(0), welcome(vec![table(0, Layout::Sparse, Consistency::Eventual)], 1, &[FIRST, SECOND]));
    [FIRST, SECOND].into_iter().for_each(|shard| worker.handle(Nanos(0), connected(shard)));
    drain(&mut worker);
    worker
}

fn request(keys: Option<Keys>) -> Request<'static> {
    Request { table: TableId(0), range: KeyRange::new(0, KEY_END), keys, ..Request::default() }
}

fn reply(worker: &mut Worker, (from, asked): &(NodeId, RxFrame), answer: &[u8]) {
    let mut header = Identity { epoch: Epoch(1), ..identity(*from) }.header(Kind::CallReply);
    (header.writer, header.timestamp, header.range) = (asked.header.writer, asked.header.timestamp, asked.header.range);
    header.value_bytes = answer.len() as u32;
    let frame = received(&TxFrame::with_values(header, TxBuf::from_vec(answer.to_vec())));
    worker.handle(Nanos(0), Input::Frame { from: *from, frame });
}

#[test]
fn a_call_goes_to_every_owner_and_its_answers_come_in_the_order_of_keys() {
    let mut worker = worker();
    let timestamp = worker.call(Nanos(0), &request(None), "scale", &[5]).expect("a right call");
    let sent = drain(&mut worker).frames;
    let ranges: Vec<_> = sent.iter().map(|(to, frame)| (*to, frame.header.range)).collect();
    assert_eq!(ranges, [(FIRST, KeyRange::new(0, 49)), (SECOND, KeyRange::new(49, 100))]);
    let body = CallBody::decode(sent[1].1.body().values).expect("a call").to_owned();
    assert_eq!(body, CallBody { function: "scale", arguments: &[5] });
    reply(&mut worker, &sent[1], b"second");
    reply(&mut worker, &sent[1], b"repeated");
    assert!(!worker.is_done(timestamp) && !worker.is_settled());
    worker.handle(Nanos(0), lost(FIRST));
    worker.handle(Nanos(0), connected(FIRST));
    let again = drain(&mut worker).frames;
    assert_eq!((again.len(), again[0].1.header.timestamp), (1, timestamp), "under the same name");
    reply(&mut worker, &again[0], b"first");
    assert!(worker.is_done(timestamp) && worker.is_settled());
    assert_eq!(worker.take_called(timestamp), Ok(vec![b"first".to_vec(), b"second".to_vec()]));
}

#[test]
fn a_call_that_cannot_be_is_not_sent() {
    let mut worker = worker();
    let keys = Keys::once(TxBuf::from_vec(vec![1u64]));
    let mut wrong = |request: &Request<'_>, function: &str| {
        let refused = worker.call(Nanos(0), request, function, &[]);
        assert!(matches!(refused, Err(OperationError::Request { .. })), "{refused:?}");
    };
    wrong(&request(Some(keys)), "norms");
    wrong(&Request { range: KeyRange::new(0, KEY_END + 1), ..request(None) }, "norms");
    wrong(&request(None), "two words");
    assert!(drain(&mut worker).frames.is_empty());
}

#[test]
fn a_server_that_lacks_a_tables_function_ends_the_job_in_one_line() {
    let (address, host) = ("here".to_owned(), "host".to_owned());
    let mut server = Server::new(Nanos(0), identity(FIRST), address, host, "there", Pool::unbounded());
    server.handle(seconds(1), connected(NodeId::SCHEDULER));
    drain(&mut server);
    let name = FunctionName::new("momentum").expect("a name");
    let update = UpdateFunction::User(UserUpdate { name, state_numbers: 1, parameters: [0.0; 4] });
    let spec = TableSpec { update, dtype: DType::F32, ..table(0, Layout::Sparse, Consistency::Eventual) };
    server.handle(seconds(1), welcome(vec![spec], 1, &[FIRST]));
    let drained = drain(&mut server);
    let [ControlMessage::Failed(why)] = &drained.said(NodeId::SCHEDULER)[..] else { panic!("it goes on") };
    let line = "server 0 shard 0: table `table 0`: no update function 'momentum' is registered in the server program; registered: none";
    assert_eq!((why.exit_code, why.message.as_str()), (2, line));
    assert!(drained.events.is_empty(), "it is not welcome");
}
