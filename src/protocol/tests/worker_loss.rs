//! The loss of a worker that the job survives: the scheduler's side, and what it says to the others.

use super::*;
use crate::id::{Time, Timestamp, WriterId};
use crate::protocol::scheduler::{Cast, Offer, Scheduler, SchedulerEvent, Workload};
use crate::wire::{Assignment, Shutdown, TableResume, Unit, WriterChange};

const WORKERS: [NodeId; 3] = [NodeId::worker(0), NodeId::worker(1), NodeId::worker(2)];

/// Units without end.
struct Endless(u64);

impl Workload for Endless {
    fn next(&mut self, _: WriterId) -> Offer {
        self.0 += 1;
        Offer::Unit(Unit { id: self.0, payload: Vec::new() })
    }

    fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), Shutdown> {
        Ok(())
    }

    fn progress(&mut self, _: WriterId, _: &[u8]) {}

    fn stop(&mut self) {}
}

/// A scheduler of three workers, of which the second has finished unit 1 and holds 2 and 3.
fn working() -> Scheduler {
    let cast = Cast { shards: vec![FIRST], workers: 3, replicas: 0 };
    let tables = vec![table(0, Layout::Sparse, Consistency::BoundedDelay { delay_max: 2 })];
    let job = JobConfig { survives_worker_loss: true, ..job(tables, 3) };
    let mut scheduler = Scheduler::new(Nanos(0), identity(NodeId::SCHEDULER), &cast, job, Box::new(Endless(0)));
    for node in [FIRST].into_iter().chain(WORKERS) {
        scheduler.handle(seconds(1), connected(node));
        scheduler.handle(seconds(1), to_scheduler(node, &ControlMessage::Register(info(node))));
    }
    scheduler.begin_work();
    for sequence in 1..=3 {
        say(&mut scheduler, WORKERS[1], &ControlMessage::NextUnit { sequence });
    }
    let done = ControlMessage::UnitDone { sequence: 1, unit: 1, report: Vec::new(), resume: Some(resume()) };
    say(&mut scheduler, WORKERS[1], &done);
    scheduler
}

fn resume() -> ResumePoint {
    let table = TableResume { time: Time(4), ..TableResume::default() };
    ResumePoint { timestamp: Timestamp(13), tables: vec![table], notes: vec![9] }
}

fn say(scheduler: &mut Scheduler, from: NodeId, message: &ControlMessage) -> Drained<SchedulerEvent> {
    scheduler.handle(seconds(2), to_scheduler(from, message));
    drain(scheduler)
}

const AGAIN: Incarnation = Incarnation(77);

/// Says something as the new start of the second worker's node.
fn say_again(scheduler: &mut Scheduler, message: &ControlMessage) -> Vec<ControlMessage> {
    if let Input::Frame { from, mut frame } = to_scheduler(WORKERS[1], message) {
        frame.header.incarnation = AGAIN;
        scheduler.handle(seconds(2), Input::Frame { from, frame });
    }
    drain(scheduler).said(WORKERS[1])
}

fn is_adoption(message: &ControlMessage) -> bool {
    matches!(message, ControlMessage::Adopt { writer: WriterId(1), .. })
}

#[test]
fn a_lost_workers_open_units_are_done_again_from_its_resume_point() {
    let mut scheduler = working();
    scheduler.node_died(seconds(2), WORKERS[1], "it was killed");
    let drained = drain(&mut scheduler);
    assert!(drained.said(WORKERS[0]).iter().any(is_adoption), "{:?}", drained.said(WORKERS[0]));
    let left = WriterChange::Left { from_time: Time(4) };
    let told = drained
        .said(FIRST)
        .into_iter()
        .any(|said| matches!(said, ControlMessage::Writer { change, .. } if change == left));
    assert!(told, "nobody waits for it behind its resume point");
    // Another start of the node registers, and is given what was open in its order, then something new.
    scheduler.handle(seconds(2), Input::Connected { peer: WORKERS[1], incarnation: AGAIN });
    let welcome = say_again(&mut scheduler, &ControlMessage::Register(info(WORKERS[1])));
    let is_resume =
        |said: &ControlMessage| matches!(said, ControlMessage::Welcome { resume: place, .. } if *place == resume());
    assert!(welcome.iter().any(is_resume), "{welcome:?}");
    for (sequence, unit) in [(1, 2), (2, 3), (3, 4)] {
        let said = say_again(&mut scheduler, &ControlMessage::NextUnit { sequence });
        let assignment = Assignment::Unit(Unit { id: unit, payload: Vec::new() });
        assert_eq!(said, [ControlMessage::Assigned { sequence, assignment }]);
    }
    assert!(!pass_time(&mut scheduler, seconds(2), seconds(3)).said(WORKERS[0]).iter().any(is_adoption));
    // The lost one was only silent: it is told to go, and what it says is not heard.
    let late = ControlMessage::UnitDone { sequence: 2, unit: 2, report: Vec::new(), resume: Some(resume()) };
    let said = say(&mut scheduler, WORKERS[1], &late).said(WORKERS[1]);
    assert!(matches!(&said[..], [ControlMessage::Shutdown(end)] if end.exit_code == 4), "{said:?}");
}

#[test]
fn without_another_worker_the_job_ends() {
    let mut scheduler = working();
    for worker in WORKERS {
        scheduler.node_died(seconds(2), worker, "it was killed");
    }
    let events = pass_time(&mut scheduler, seconds(2), seconds(20)).events;
    let end = events.iter().find_map(|event| match event {
        SchedulerEvent::Ended(shutdown) => Some(shutdown.message.clone()),
        _ => None,
    });
    assert!(end.is_some_and(|message| message.contains("no worker is left")));
}
