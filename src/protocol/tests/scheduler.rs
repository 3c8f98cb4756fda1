//! The scheduler: membership, work, the end.

use super::*;
use crate::id::WriterId;
use crate::limit;
use crate::protocol::scheduler::{Cast, Offer, Scheduler, SchedulerEvent, Workload};
use crate::wire::{Assignment, Shutdown, Task, TaskReply, Unit};

/// Units 0 to `units`, one after the other.
struct Counting {
    next: u64,
    units: u64,
}

impl Workload for Counting {
    fn next(&mut self, _worker: WriterId) -> Offer {
        if self.next == self.units {
            return Offer::Finished;
        }
        self.next += 1;
        Offer::Unit(Unit { id: self.next - 1, payload: Vec::new() })
    }

    fn finished(&mut self, _worker: WriterId, unit: u64, _report: &[u8]) -> Result<(), Shutdown> {
        if unit == 13 { Err(Shutdown { exit_code: 3, message: "unlucky".to_owned() }) } else { Ok(()) }
    }

    fn progress(&mut self, _worker: WriterId, _report: &[u8]) {}

    fn stop(&mut self) {
        self.next = self.units;
    }
}

fn scheduler(units: u64) -> Scheduler {
    let cast = Cast { shards: vec![FIRST, SECOND], workers: 1, replicas: 0 };
    let job = job(vec![table(0, Layout::Sparse, Consistency::Eventual)], 1);
    Scheduler::new(Nanos(0), identity(NodeId::SCHEDULER), &cast, job, Box::new(Counting { next: 0, units }))
}

fn register(scheduler: &mut Scheduler, now: Nanos, node: NodeId) {
    scheduler.handle(now, connected(node));
    scheduler.handle(now, to_scheduler(node, &ControlMessage::Register(info(node))));
}

/// A scheduler whose cast is complete.
fn standing(units: u64) -> Scheduler {
    let mut scheduler = scheduler(units);
    [FIRST, SECOND, WORKER].into_iter().for_each(|node| register(&mut scheduler, seconds(1), node));
    drain(&mut scheduler);
    scheduler
}

fn say(scheduler: &mut Scheduler, from: NodeId, message: &ControlMessage) -> Drained<SchedulerEvent> {
    scheduler.handle(seconds(2), to_scheduler(from, message));
    drain(scheduler)
}

fn end_of(events: &[SchedulerEvent]) -> Option<&Shutdown> {
    events.iter().find_map(|event| match event {
        SchedulerEvent::Ended(shutdown) => Some(shutdown),
        _ => None,
    })
}

fn all_finished(events: &[SchedulerEvent]) -> bool {
    events.iter().any(|event| matches!(event, SchedulerEvent::WorkFinished))
}

#[test]
fn everybody_is_welcomed_when_the_last_shard_has_registered() {
    let mut scheduler = scheduler(0);
    [WORKER, FIRST].into_iter().for_each(|node| register(&mut scheduler, seconds(1), node));
    let early = drain(&mut scheduler);
    assert!(early.events.is_empty());
    register(&mut scheduler, seconds(1), SECOND);
    let drained = drain(&mut scheduler);
    let welcomed = |node| drained.said(node).iter().any(|said| matches!(said, ControlMessage::Welcome { .. }));
    assert!([WORKER, FIRST, SECOND].into_iter().all(welcomed));
    assert!(matches!(drained.events[..], [SchedulerEvent::ServersReady]));
}

#[test]
fn who_registers_early_is_answered_so_that_it_goes_on_waiting() {
    let mut scheduler = scheduler(0);
    register(&mut scheduler, seconds(1), WORKER);
    assert_eq!(drain(&mut scheduler).said(WORKER), [ControlMessage::Heartbeat]);
}

#[test]
fn nodes_that_never_register_end_the_job_with_their_names() {
    let mut scheduler = scheduler(0);
    register(&mut scheduler, seconds(1), SECOND);
    let mut events = Vec::new();
    let mut now = seconds(1);
    while now < seconds(70) && events.is_empty() {
        now = now.after(limit::HEARTBEAT_INTERVAL);
        scheduler.handle(now, to_scheduler(SECOND, &ControlMessage::Register(info(SECOND))));
        if now > seconds(limit::START_TIMEOUT.as_secs()) {
            scheduler.handle(now, to_scheduler(SECOND, &ControlMessage::Goodbye));
        }
        events = pass_time(&mut scheduler, now, now).events;
    }
    let end = end_of(&events).expect("the end");
    assert!(end.exit_code == 4 && end.message.contains("server 0 shard 0, worker 0"), "{end:?}");
    assert!(now < seconds(limit::START_TIMEOUT.as_secs() + 3));
}

#[test]
fn a_repeated_question_gets_the_same_unit() {
    let mut scheduler = standing(5);
    scheduler.begin_work();
    let ask = |scheduler: &mut Scheduler, sequence| {
        say(scheduler, WORKER, &ControlMessage::NextUnit { sequence }).said(WORKER)
    };
    let first = ask(&mut scheduler, 1);
    assert!(matches!(&first[..], [ControlMessage::Assigned { sequence: 1, assignment: Assignment::Unit(_) }]));
    assert_eq!(ask(&mut scheduler, 1), first);
    let second = ask(&mut scheduler, 2);
    assert_ne!(second, first);
    assert!(ask(&mut scheduler, 1).is_empty(), "an old question comes late");
}

#[test]
fn work_is_finished_when_every_account_was_heard_whatever_came_first() {
    let mut scheduler = standing(1);
    scheduler.begin_work();
    say(&mut scheduler, WORKER, &ControlMessage::NextUnit { sequence: 1 });
    let overtaking = say(&mut scheduler, WORKER, &ControlMessage::NextUnit { sequence: 2 });
    assert!(!all_finished(&overtaking.events), "the account of unit 0 is still on its way");
    let done =
        ControlMessage::UnitDone { sequence: 1, unit: 0, report: Vec::new(), resume: Some(ResumePoint::default()) };
    assert!(all_finished(&say(&mut scheduler, WORKER, &done).events));
    assert!(!all_finished(&say(&mut scheduler, WORKER, &done).events), "it is said once");
}

#[test]
fn an_account_is_taken_once_and_in_order() {
    let mut scheduler = standing(20);
    scheduler.begin_work();
    let account = |sequence, unit| ControlMessage::UnitDone {
        sequence,
        unit,
        report: Vec::new(),
        resume: Some(ResumePoint::default()),
    };
    let heard = |sequence| vec![ControlMessage::UnitDoneHeard { sequence }];
    assert_eq!(say(&mut scheduler, WORKER, &account(2, 13)).said(WORKER), heard(0));
    assert_eq!(say(&mut scheduler, WORKER, &account(1, 4)).said(WORKER), heard(1));
    assert_eq!(say(&mut scheduler, WORKER, &account(1, 13)).said(WORKER), heard(1));
    let drained = say(&mut scheduler, WORKER, &account(2, 13));
    assert!(drained.said(FIRST).iter().any(|said| matches!(said, ControlMessage::Shutdown(why) if why.exit_code == 3)));
}

#[test]
fn a_lost_node_ends_the_job_after_the_grace() {
    let mut scheduler = standing(0);
    scheduler.handle(seconds(2), lost(SECOND));
    let grace = limit::RECONNECT_GRACE;
    assert!(pass_time(&mut scheduler, seconds(2), seconds(2).after(grace)).said(FIRST).is_empty());
    let drained = pass_time(&mut scheduler, seconds(2), seconds(6));
    let said = drained.said(FIRST);
    let shutdown = said.iter().find_map(|message| match message {
        ControlMessage::Shutdown(shutdown) => Some(shutdown),
        _ => None,
    });
    let shutdown = shutdown.expect("the end");
    assert!(shutdown.exit_code == 4, "{shutdown:?}");
    assert!(shutdown.message.contains("server 1 shard 0 is lost: the line was cut"), "{shutdown:?}");
    say(&mut scheduler, FIRST, &ControlMessage::Goodbye);
    scheduler.handle(seconds(6), to_scheduler(WORKER, &ControlMessage::Goodbye));
    assert!(end_of(&pass_time(&mut scheduler, seconds(6), seconds(6)).events).is_some(), "nobody waits for the dead");
}

#[test]
fn a_restarted_node_ends_the_job_at_once_and_is_never_welcomed() {
    let mut scheduler = standing(0);
    scheduler.handle(seconds(2), lost(SECOND));
    scheduler.handle(seconds(2), Input::Connected { peer: SECOND, incarnation: Incarnation(4242) });
    let register = ControlMessage::Register(info(SECOND));
    scheduler.handle(seconds(2), to_scheduler(SECOND, &register));
    let drained = drain(&mut scheduler);
    let end_only = |node| drained.said(node).iter().all(|said| matches!(said, ControlMessage::Shutdown(_)));
    assert!(end_only(FIRST) && end_only(SECOND) && end_only(WORKER), "{:?}", drained.said(SECOND));
    assert!(matches!(&drained.said(WORKER)[0], ControlMessage::Shutdown(why)
        if why.exit_code == 4 && why.message.contains("server 1 shard 0 is lost: it was restarted")));
}

#[test]
fn after_the_end_begins_nothing_but_the_end_is_said() {
    let mut scheduler = standing(3);
    scheduler.begin_work();
    scheduler.begin_task(FIRST, Task::Count { with_state: false });
    drain(&mut scheduler);
    scheduler.end(seconds(2), Shutdown { exit_code: 0, message: String::new() });
    drain(&mut scheduler);
    let messages = [
        ControlMessage::Heartbeat,
        ControlMessage::Register(info(WORKER)),
        ControlMessage::NextUnit { sequence: 1 },
        ControlMessage::UnitDone { sequence: 1, unit: 0, report: Vec::new(), resume: Some(ResumePoint::default()) },
    ];
    for message in &messages {
        for said in say(&mut scheduler, WORKER, message).said(WORKER) {
            assert!(matches!(said, ControlMessage::Shutdown(_)), "{message:?} was answered with {said:?}");
        }
    }
    let said = pass_time(&mut scheduler, seconds(2), seconds(3)).said(FIRST);
    assert!(!said.is_empty() && said.iter().all(|said| matches!(said, ControlMessage::Shutdown(_))), "{said:?}");
}

#[test]
fn the_end_waits_for_a_node_whose_connection_is_lost_for_a_moment() {
    let mut scheduler = standing(0);
    scheduler.handle(seconds(2), lost(WORKER));
    scheduler.end(seconds(2), Shutdown { exit_code: 0, message: String::new() });
    for shard in [FIRST, SECOND] {
        scheduler.handle(seconds(2), to_scheduler(shard, &ControlMessage::Goodbye));
    }
    let soon = seconds(2).after(Duration::from_millis(700));
    assert!(end_of(&pass_time(&mut scheduler, seconds(2), soon).events).is_none(), "the worker was not told");
    scheduler.handle(soon, connected(WORKER));
    assert!(matches!(drain(&mut scheduler).said(WORKER)[..], [ControlMessage::Shutdown(_)]));
    scheduler.handle(soon, to_scheduler(WORKER, &ControlMessage::Goodbye));
    assert!(end_of(&pass_time(&mut scheduler, soon, soon).events).is_some());
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let mut scheduler = standing(0);
    scheduler.end(seconds(2), Shutdown { exit_code: 0, message: String::new() });
    let drained = pass_time(&mut scheduler, seconds(2), seconds(2).after(limit::GOODBYE_TIMEOUT));
    assert!(end_of(&drained.events).is_none_or(|end| end.exit_code == 0));
    let later = pass_time(&mut scheduler, seconds(4), seconds(5));
    assert!(end_of(&drained.events).is_some() != end_of(&later.events).is_some(), "it ends once");
}

#[test]
fn a_task_is_repeated_until_it_is_answered_and_its_answer_told_once() {
    let mut scheduler = standing(0);
    scheduler.begin_task(FIRST, Task::Count { with_state: true });
    let said = drain(&mut scheduler).said(FIRST);
    let [ControlMessage::Task { sequence, .. }] = said[..] else { panic!("{said:?}") };
    assert!(!pass_time(&mut scheduler, seconds(2), seconds(3)).said(FIRST).is_empty());
    let done = ControlMessage::TaskDone { sequence, reply: TaskReply::Sections(Vec::new()) };
    assert_eq!(say(&mut scheduler, FIRST, &done).events.len(), 1);
    assert_eq!(say(&mut scheduler, FIRST, &done).events.len(), 0);
    assert!(pass_time(&mut scheduler, seconds(3), seconds(4)).said(FIRST).is_empty());
}

#[test]
fn a_shard_may_be_silent_while_it_carries_out_a_task() {
    let mut scheduler = standing(0);
    scheduler.begin_task(FIRST, Task::Count { with_state: false });
    let mut now = seconds(2);
    while now < seconds(100) {
        now = now.after(limit::HEARTBEAT_INTERVAL);
        [SECOND, WORKER].into_iter().for_each(|node| {
            scheduler.handle(now, to_scheduler(node, &ControlMessage::Heartbeat));
        });
        assert!(pass_time(&mut scheduler, now, now).events.is_empty(), "lost at {now:?}");
    }
    scheduler.handle(now, to_scheduler(FIRST, &ControlMessage::TaskDone { sequence: 1, reply: TaskReply::NotShared }));
    drain(&mut scheduler);
    let end = now.after(limit::HEARTBEAT_TIMEOUT + limit::GOODBYE_TIMEOUT * 2);
    let mut lost = false;
    while now < end {
        now = now.after(limit::HEARTBEAT_INTERVAL);
        scheduler.handle(now, to_scheduler(SECOND, &ControlMessage::Heartbeat));
        lost |= end_of(&pass_time(&mut scheduler, now, now).events).is_some();
    }
    assert!(lost, "a shard without a task was silent for longer than {:?}", limit::HEARTBEAT_TIMEOUT);
}
