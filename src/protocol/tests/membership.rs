//! A node's side of the control channel.

use super::*;
use crate::limit;
use crate::protocol::worker::{Worker, WorkerEvent};
use crate::wire::Shutdown;

fn worker() -> Worker {
    Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded())
}

fn end_of(events: &[WorkerEvent]) -> Option<&Shutdown> {
    events.iter().find_map(|event| match event {
        WorkerEvent::Ended(shutdown) => Some(shutdown),
        _ => None,
    })
}

#[test]
fn without_a_scheduler_a_node_gives_up_after_the_start_timeout() {
    let mut worker = worker();
    let before = pass_time(&mut worker, Nanos(0), Nanos(seconds(limit::START_TIMEOUT.as_secs()).0 - 1));
    assert!(before.events.is_empty());
    let after = pass_time(&mut worker, Nanos(0), seconds(limit::START_TIMEOUT.as_secs()));
    let end = end_of(&after.events).expect("the end");
    assert!(end.exit_code == 4 && end.message.contains("worker 0: no scheduler was found"), "{end:?}");
}

#[test]
fn a_scheduler_that_vanishes_ends_the_node_after_the_grace() {
    let mut worker = worker();
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    worker.handle(seconds(1), welcome(vec![table(0, Layout::Sparse, Consistency::Eventual)], 1, &[FIRST]));
    worker.handle(seconds(2), lost(NodeId::SCHEDULER));
    drain(&mut worker);
    let grace = limit::SCHEDULER_GRACE.as_secs();
    assert!(pass_time(&mut worker, seconds(2), Nanos(seconds(2 + grace).0 - 1)).events.is_empty());
    let after = pass_time(&mut worker, seconds(2), seconds(2 + grace));
    let end = end_of(&after.events).expect("the end");
    assert!(end.exit_code == 4 && end.message.contains("the scheduler is gone"), "{end:?}");
    assert!(pass_time(&mut worker, seconds(9), seconds(60)).events.is_empty(), "it ends once");
}

#[test]
fn a_scheduler_that_is_another_one_than_before_ends_a_welcomed_node() {
    let mut worker = worker();
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    worker.handle(seconds(1), welcome(vec![table(0, Layout::Sparse, Consistency::Eventual)], 1, &[FIRST]));
    worker.handle(seconds(2), lost(NodeId::SCHEDULER));
    worker.handle(seconds(3), Input::Connected { peer: NodeId::SCHEDULER, incarnation: Incarnation(999) });
    let end = drain(&mut worker).events;
    let end = end_of(&end).expect("the end");
    assert!(end.exit_code == 4 && end.message.contains("scheduler was restarted"), "{end:?}");
}

#[test]
fn a_registration_is_repeated_until_the_welcome_and_on_every_connection() {
    let mut worker = worker();
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    let registers = |drained: &Drained<WorkerEvent>| {
        let said = drained.said(NodeId::SCHEDULER);
        said.iter().filter(|message| matches!(message, ControlMessage::Register(_))).count()
    };
    assert_eq!(registers(&drain(&mut worker)), 1);
    assert_eq!(registers(&pass_time(&mut worker, seconds(1), seconds(2))), 3);
    worker.handle(seconds(2), welcome(vec![table(0, Layout::Sparse, Consistency::Eventual)], 1, &[FIRST]));
    drain(&mut worker);
    assert_eq!(registers(&pass_time(&mut worker, seconds(2), seconds(4))), 0);
    worker.handle(seconds(4), lost(NodeId::SCHEDULER));
    worker.handle(seconds(5), connected(NodeId::SCHEDULER));
    assert_eq!(registers(&drain(&mut worker)), 1);
}

#[test]
fn a_failure_is_said_again_on_the_next_connection() {
    let mut worker = worker();
    let why = Shutdown { exit_code: 3, message: "bad line".to_owned() };
    worker.fail(why.clone());
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    assert!(drain(&mut worker).said(NodeId::SCHEDULER).contains(&ControlMessage::Failed(why)));
}

#[test]
fn a_repeated_shutdown_ends_once_and_is_answered_each_time() {
    let mut worker = worker();
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    drain(&mut worker);
    let shutdown = ControlMessage::Shutdown(Shutdown { exit_code: 0, message: String::new() });
    worker.handle(seconds(2), from_scheduler(&shutdown));
    worker.handle(seconds(2), from_scheduler(&shutdown));
    let drained = drain(&mut worker);
    assert_eq!(drained.events.len(), 1);
    assert_eq!(drained.said(NodeId::SCHEDULER), [ControlMessage::Goodbye, ControlMessage::Goodbye]);
}

#[test]
fn a_scheduler_of_a_lower_term_is_not_heard() {
    let mut worker = worker();
    worker.handle(seconds(1), connected(NodeId::SCHEDULER));
    worker.handle(seconds(1), from_scheduler(&ControlMessage::Heartbeat));
    let mut frame =
        ControlMessage::Shutdown(Shutdown { exit_code: 0, message: String::new() }).to_frame(NodeId::SCHEDULER);
    frame.header = identity(NodeId::SCHEDULER).stamp(frame.header);
    worker.handle(seconds(1), Input::Frame { from: NodeId::SCHEDULER, frame: received(&frame) });
    assert!(drain(&mut worker).events.is_empty());
}
