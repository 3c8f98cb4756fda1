//! Functions of the server program that panic: who is told what, and what goes on.

use super::*;
use crate::id::{Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use crate::memory::TxBuf;
use crate::protocol::server::Server;
use crate::store::{CallFunction, CallRun, Functions, Numbers, RowBlock, UpdateStep};
use crate::wire::{CallBody, Flags, FunctionName, Kind, Status, USER_PARAMETERS, UserUpdate};

/// Adds one to every number, and panics where its argument says.
struct Fall;

struct Falling(u8);

impl CallFunction for Fall {
    fn modifies(&self) -> bool {
        true
    }

    fn begin(&self, _: &TableSpec, arguments: &[u8]) -> Result<Box<dyn CallRun>, String> {
        assert_ne!(arguments[0], 0, "it falls at its beginning");
        Ok(Box::new(Falling(arguments[0])))
    }
}

impl CallRun for Falling {
    fn rows(&mut self, rows: RowBlock<'_>) {
        let Numbers::F32(values) = rows.values else { return };
        values.iter_mut().for_each(|value| *value += 1.0);
        assert_ne!(self.0, 1, "it falls over rows\nin two lines");
    }

    fn answer(self: Box<Self>) -> Result<Vec<u8>, String> {
        assert_ne!(self.0, 2, "it falls at its end");
        Ok(vec![7])
    }
}

impl Drop for Falling {
    fn drop(&mut self) {
        assert!(self.0 != 1 || std::thread::panicking(), "it falls again");
    }
}

/// Adds what is pushed, and panics over a 13 after it has added it.
struct Unlucky;

impl UpdateStep for Unlucky {
    fn apply_f32(&self, _: &[f32; USER_PARAMETERS], _: &mut [f32], values: &mut [f32], pushed: &[f32]) {
        values.iter_mut().zip(pushed).for_each(|(value, push)| *value += push);
        assert!(!pushed.contains(&13.0), "thirteen");
    }

    fn apply_f64(&self, _: &[f32; USER_PARAMETERS], _: &mut [f64], _: &mut [f64], _: &[f64]) {}
}

fn server(consistency: Consistency) -> Server {
    let mut functions = Functions::default();
    functions.register_call("fall", Box::new(Fall)).expect("a new name");
    functions.register_update("unlucky", Box::new(Unlucky)).expect("a new name");
    let (address, host) = ("here".to_owned(), "host".to_owned());
    let mut server = Server::new(Nanos(0), identity(FIRST), address, host, "there", Pool::unbounded());
    server.serve_functions(functions);
    server.handle(seconds(1), connected(NodeId::SCHEDULER));
    let name = FunctionName::new("unlucky").expect("a name");
    let update = UpdateFunction::User(UserUpdate { name, state_numbers: 0, parameters: [0.0; 4] });
    let spec = TableSpec { update, dtype: DType::F32, ..table(0, Layout::Dense, consistency) };
    server.handle(seconds(1), welcome(vec![spec], 2, &[FIRST]));
    drain(&mut server);
    server
}

fn frame(kind: Kind, writer: u32, timestamp: u64, values: Vec<u8>) -> TxFrame {
    let mut header = Identity { epoch: Epoch(1), ..identity(NodeId::worker(writer)) }.header(kind);
    (header.writer, header.timestamp, header.settled) = (WriterId(writer), Timestamp(timestamp), Timestamp(1));
    (header.dtype, header.range, header.flags) = (DType::F32, KeyRange::new(0, KEY_END), Flags::DENSE);
    (header.key_count, header.value_bytes) = (KEY_END as u32, values.len() as u32);
    TxFrame::with_values(header, TxBuf::from_vec(values))
}

fn push(writer: u32, timestamp: u64, number: f32) -> TxFrame {
    let values = [number; KEY_END as usize].into_iter().flat_map(f32::to_le_bytes).collect();
    frame(Kind::Push, writer, timestamp, values)
}

fn call(timestamp: u64, argument: u8) -> TxFrame {
    let body = CallBody { function: "fall", arguments: &[argument] }.encode().expect("a call");
    frame(Kind::Call, 0, timestamp, body)
}

/// The answers of the shard as (timestamp, status, text), and what it tells the scheduler.
fn give(server: &mut Server, frame: &TxFrame) -> (Vec<(u64, Status, String)>, Vec<ControlMessage>) {
    let from = frame.header.source;
    server.handle(seconds(2), Input::Frame { from, frame: received(frame) });
    let drained = drain(server);
    let said = drained.said(NodeId::SCHEDULER);
    let answers = drained.frames.iter().filter(|(to, _)| *to != NodeId::SCHEDULER).map(|(_, frame)| {
        let text = String::from_utf8_lossy(frame.body().values).into_owned();
        (frame.header.timestamp.0, frame.header.status, text)
    });
    (answers.collect(), said)
}

fn value(server: &Server) -> f32 {
    let mut numbers = [0; 4 * KEY_END as usize];
    server.tables().next().expect("a table").gather(KeyRange::new(0, KEY_END), None, &mut numbers);
    f32::from_le_bytes(numbers[..4].try_into().expect("four bytes"))
}

#[test]
fn a_call_that_panics_is_answered_with_an_error_and_the_job_goes_on() {
    let mut server = server(Consistency::Eventual);
    for (argument, words) in
        [(0, "it falls at its beginning"), (1, "it falls over rows in two lines"), (2, "at its end")]
    {
        let timestamp = 10 + u64::from(argument);
        let (answers, said) = give(&mut server, &call(timestamp, argument));
        let [(of, Status::Error, text)] = &answers[..] else { panic!("{answers:?}") };
        assert!(*of == timestamp && text.starts_with("table 'table 0', function 'fall' panicked: "), "{text}");
        assert!(text.contains(words) && said.is_empty(), "{text}, {said:?}");
        assert_eq!(give(&mut server, &call(timestamp, argument)).0, answers, "a repeated one is not run again");
    }
    assert_eq!(value(&server), 1.0, "only what was given back by the one that fell at its end");
    assert_eq!(give(&mut server, &call(20, 3)).0, [(20, Status::Ok, "\u{7}".to_owned())]);
    assert_eq!(value(&server), 2.0);
}

#[test]
fn an_update_function_that_panics_ends_the_job_and_refuses_the_push() {
    let mut server = server(Consistency::Eventual);
    assert_eq!(give(&mut server, &push(0, 1, 5.0)).0, [(1, Status::Ok, String::new())]);
    let (answers, said) = give(&mut server, &push(0, 2, 13.0));
    let reason = "table `table 0`: update function `unlucky` panicked: thirteen";
    assert!(matches!(&answers[..], [(2, Status::Error, text)] if text.starts_with(reason)), "{answers:?}");
    let [ControlMessage::Failed(end)] = &said[..] else { panic!("it goes on: {said:?}") };
    assert!(end.exit_code == 3 && end.message.starts_with(&format!("server 0 shard 0: {reason}")), "{end:?}");
    assert_eq!(value(&server), 5.0, "the numbers are put back");
    assert_eq!(give(&mut server, &push(1, 1, 1.0)).0, [(1, Status::Ok, String::new())], "the shard lives");
}

#[test]
fn an_update_function_that_panics_in_a_step_refuses_the_pushes_of_the_step() {
    let mut server = server(Consistency::Sequential);
    let mark = |writer, timestamp| {
        let mut mark = TxFrame::bare(frame(Kind::EndOfTime, writer, timestamp, Vec::new()).header);
        (mark.header.slice_count, mark.header.key_count, mark.header.time) = (1, 0, Time(0));
        mark
    };
    give(&mut server, &push(0, 1, 6.0));
    give(&mut server, &mark(0, 2));
    give(&mut server, &push(1, 1, 7.0));
    let (answers, said) = give(&mut server, &mark(1, 2));
    let refused = answers.iter().filter(|(_, status, _)| *status == Status::Error).count();
    assert!(refused == 2 && matches!(said[..], [ControlMessage::Failed(_)]), "{answers:?}, {said:?}");
    assert_eq!(value(&server), 0.0);
}
