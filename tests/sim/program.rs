//! What a worker does: its steps of the sequential and bounded tables, and the units of work that it draws,
//! whose pushes and pulls go to the eventual tables. Everything is asynchronous; answers are
//! checked whenever they come.

use crate::number;
use crate::oracle::{BoundedPull, Floor, Oracle};
use crate::plan::{HIGH, Part, Plan, part_of};
use parashard::id::{Nanos, NodeId, TableId, Time, Timestamp, WriterId};
use parashard::memory::TxBuf;
use parashard::protocol::worker::{Keys, Request, Worker, WorkerEvent};
use parashard::transport::sim::SimRandom;
use parashard::wire::{Consistency, DType, Shutdown, TableSpec, Unit};
use std::time::Duration;

/// Shortest pause between two things that a worker does.
const THINK_MIN: Duration = Duration::from_micros(50);

/// A push or pull that is not answered yet.
struct Open {
    timestamp: Timestamp,
    table: usize,
    part: Part,
    what: What,
    of_unit: bool,
    /// Whether a push depends on this one.
    followed: bool,
}

enum What {
    /// A push of this number to every element of an eventual table.
    Push(i64),
    PullEventual(Floor),
    PullSequential(u32),
    /// Of a sequential table by a weaker rule: as it was at this time or later.
    PullWeaker(u32),
    PullBounded(BoundedPull),
    /// Of a writer that had finished at this time, for which the others do not wait.
    PullFinished(u32),
    /// A push of a step; the oracle knows it from the plan.
    StepPush,
}

/// The writer's way through one sequential or bounded table.
struct Script {
    table: usize,
    time: u32,
    /// Pushes of this time that were made.
    pushed: usize,
    /// Whether the pull of this time was made, or left out.
    pulled: bool,
    done: bool,
}

/// The unit that is being worked on.
struct UnitRun {
    id: u64,
    left: u64,
    random: SimRandom,
}

/// One worker's program.
pub(crate) struct Program {
    writer: WriterId,
    random: SimRandom,
    scripts: Vec<Script>,
    eventual: Vec<usize>,
    unit: Option<UnitRun>,
    asked: bool,
    no_more_units: bool,
    open: Vec<Open>,
    think_max: Duration,
    eager: bool,
    /// When the worker does something again; never before it is welcomed.
    pub(crate) wake_at: Option<Nanos>,
    pub(crate) ended: Option<Shutdown>,
}

impl Program {
    pub(crate) fn new(plan: &Plan, writer: WriterId) -> Program {
        let (eventual, scripted): (Vec<_>, Vec<_>) = (0..plan.tables.len()).partition(|&table| plan.is_eventual(table));
        let script = |table| Script { table, time: 0, pushed: 0, pulled: false, done: false };
        let slowness = if plan.slow == Some(NodeId::worker(writer.0)) { 20 } else { 1 };
        Program {
            writer,
            random: plan.random(&[3, u64::from(writer.0)]),
            scripts: scripted.into_iter().map(script).collect(),
            eventual,
            unit: None,
            asked: false,
            no_more_units: false,
            open: Vec::new(),
            think_max: plan.think_max * slowness,
            eager: plan.eager,
            wake_at: None,
            ended: None,
        }
    }

    /// Whether nothing is left to do and everything is answered.
    pub(crate) fn is_idle(&self, worker: &Worker) -> bool {
        let scripts_done = self.scripts.iter().all(|script| script.done);
        // What filters hold back arrives when a table is finished.
        let is_finished = |table: &usize| worker.is_finished(TableId(*table as u16));
        let all_finished = scripts_done && self.eventual.iter().all(is_finished);
        self.no_more_units && self.unit.is_none() && all_finished && self.open.is_empty() && worker.is_settled()
    }

    pub(crate) fn on_event(&mut self, now: Nanos, event: WorkerEvent) {
        match event {
            WorkerEvent::Welcome => self.wake_at = Some(now),
            WorkerEvent::Assigned(Some(Unit { id, payload })) => {
                assert_eq!(payload, id.to_le_bytes(), "a unit came with another's payload");
                assert!(self.unit.is_none(), "{}: a second unit at once", self.writer);
                let mut random = SimRandom::new(id.wrapping_mul(77) ^ self.random.bits());
                let left = if self.eventual.is_empty() { 0 } else { random.below(14) };
                self.unit = Some(UnitRun { id, left, random });
                self.asked = false;
            }
            WorkerEvent::Assigned(None) => self.no_more_units = true,
            WorkerEvent::Adopt(_) | WorkerEvent::Release(_) => panic!("{}: nobody is lost here", self.writer),
            WorkerEvent::Ended(shutdown) => {
                assert!(self.ended.is_none(), "{}: the end was told twice", self.writer);
                self.ended = Some(shutdown);
            }
        }
    }

    /// Takes and checks every answer that is there.
    pub(crate) fn take_answers(&mut self, worker: &mut Worker, oracle: &mut Oracle) {
        let (done, open) = std::mem::take(&mut self.open).into_iter().partition(|open| worker.is_done(open.timestamp));
        self.open = open;
        let done: Vec<Open> = done;
        // What is acknowledged counts before what was pulled is checked: both are true by now.
        for open in done {
            match open.what {
                What::Push(number) => {
                    worker.take_pushed(open.timestamp).expect("a right push");
                    oracle.acknowledged(open.table, &open.part, number);
                }
                What::StepPush => worker.take_pushed(open.timestamp).expect("a right push"),
                What::PullEventual(floor) => {
                    let answer = worker.take_pulled(open.timestamp).expect("a right pull");
                    oracle.check_eventual(open.table, &open.part, &floor, &answer);
                }
                What::PullSequential(time) => {
                    let answer = worker.take_pulled(open.timestamp).expect("a right pull");
                    oracle.check_sequential(open.table, &open.part, time..=time, &answer);
                }
                What::PullBounded(pull) => {
                    let answer = worker.take_pulled(open.timestamp).expect("a right pull");
                    oracle.check_bounded(open.table, &open.part, pull, &answer);
                }
                What::PullFinished(time) | What::PullWeaker(time) => {
                    let answer = worker.take_pulled(open.timestamp).expect("a right pull");
                    oracle.check_sequential(open.table, &open.part, time..=u32::MAX, &answer);
                }
            }
        }
        assert!(worker.take_refusal().is_none(), "a mark was refused");
    }

    /// Does one thing if it is time.
    pub(crate) fn act(&mut self, now: Nanos, worker: &mut Worker, plan: &Plan, oracle: &mut Oracle) {
        if self.wake_at.is_none_or(|wake_at| now < wake_at) || self.ended.is_some() {
            return;
        }
        self.wake_at = Some(now.after(self.random.duration(THINK_MIN, self.think_max)));
        if !worker.has_room() {
            return;
        }
        let scripts: Vec<usize> = (0..self.scripts.len()).filter(|&index| !self.scripts[index].done).collect();
        let unit_waits = self.unit.is_none() && (self.asked || self.no_more_units);
        let choice = self.random.below(scripts.len() as u64 + u64::from(!unit_waits)) as usize;
        match scripts.get(choice) {
            Some(&script) => self.act_script(now, script, worker, plan, oracle),
            None if unit_waits => {
                if self.no_more_units && scripts.is_empty() {
                    self.finish_eventual(now, worker);
                    self.wake_at = None;
                }
            }
            None => self.act_unit(now, worker, plan, oracle),
        }
    }

    fn finish_eventual(&mut self, now: Nanos, worker: &mut Worker) {
        for &table in &self.eventual {
            worker.finish(now, TableId(table as u16)).expect("a known table");
        }
    }

    /// A pull of a scripted table: by its rule or a weaker or stronger one, for now or for a later time.
    fn pull_scripted(
        &mut self,
        now: Nanos,
        worker: &mut Worker,
        plan: &Plan,
        oracle: &Oracle,
        table: usize,
        time: u32,
    ) {
        let id = TableId(table as u16);
        let part = part_of(&plan.tables[table], &mut self.random);
        let rules = [Consistency::Sequential, Consistency::Eventual, bounded(self.random.below(4))];
        let own = self.random.happens(0.25).then(|| rules[self.random.below(3) as usize]);
        let ahead = if own.is_none() { self.random.below(3) as u32 } else { 0 };
        let ahead = if worker.may_pull_ahead(id, ahead) { ahead } else { 0 };
        let request = Request { consistency: own, ahead, ..request(id, &part, &[]) };
        let timestamp = worker.pull(now, &request).expect("a right pull");
        let what = match own {
            _ if plan.delay(table).is_some() => What::PullBounded(oracle.bounded_pull(table, time + ahead, own)),
            None | Some(Consistency::Sequential) => What::PullSequential(time),
            Some(rule) => What::PullWeaker(rule.demand(Time(time)).0),
        };
        self.open.push(Open { timestamp, table, part, what, of_unit: false, followed: false });
    }

    /// One thing of a step: pull, push, or tick.
    fn act_script(&mut self, now: Nanos, index: usize, worker: &mut Worker, plan: &Plan, oracle: &mut Oracle) {
        let Script { table, time, pushed, pulled, .. } = self.scripts[index];
        let id = TableId(table as u16);
        let steps = plan.steps(table, self.writer);
        oracle.reached(table, self.writer, time);
        if self.random.happens(0.1) {
            worker.report_progress(vec![1, 2, 3]);
        }
        if !pulled {
            self.scripts[index].pulled = true;
            if self.random.happens(0.7) {
                self.pull_scripted(now, worker, plan, oracle, table, time);
            }
            return;
        }
        // A learner waits for its pull before it pushes; one that does not is legal too.
        let is_pull =
            |what: &What| matches!(what, What::PullSequential(_) | What::PullWeaker(_) | What::PullBounded(_));
        let waits = |open: &Open| is_pull(&open.what) && open.table == table;
        if self.random.happens(0.5) && self.open.iter().any(waits) {
            return;
        }
        let pushes = if time < steps { plan.step(table, self.writer, time) } else { Vec::new() };
        if let Some(push) = pushes.get(pushed) {
            let last = self.open.iter().rev().find(|open| open.table == table && matches!(open.what, What::StepPush));
            let after: Vec<_> =
                last.filter(|_| self.random.happens(0.3)).map(|open| open.timestamp).into_iter().collect();
            let request = request(id, &push.part, &after);
            let values = number::encode(plan.tables[table].dtype, &push.numbers);
            let timestamp = worker.push(now, &request, values).expect("a right push");
            oracle.held_back += u64::from(worker.kept(id).1 > 0);
            let part = push.part.clone();
            self.open.push(Open { timestamp, table, part, what: What::StepPush, of_unit: false, followed: false });
            self.scripts[index].pushed += 1;
            return;
        }
        if time + 1 >= steps {
            worker.finish(now, id).expect("a known table");
            self.scripts[index].done = true;
            let part = part_of(&plan.tables[table], &mut self.random);
            let what = match plan.delay(table) {
                Some(_) => What::PullBounded(oracle.bounded_pull(table, time + 1, None)),
                None => What::PullFinished(time + 1),
            };
            self.pull(now, worker, table, part, Vec::new(), what, false);
        } else {
            worker.tick(now, id).expect("a known table");
            self.scripts[index] = Script { time: time + 1, pushed: 0, pulled: false, ..self.scripts[index] };
        }
    }

    /// One thing of a unit: a push, a pull, either with dependencies, or its end.
    fn act_unit(&mut self, now: Nanos, worker: &mut Worker, plan: &Plan, oracle: &mut Oracle) {
        let Some(unit) = &mut self.unit else {
            worker.next_unit();
            self.asked = true;
            return;
        };
        if unit.left == 0 {
            if !self.open.iter().any(|open| open.of_unit) {
                if self.eager {
                    worker.next_unit();
                    self.asked = true;
                }
                worker.unit_done(unit.id, unit.id.to_le_bytes().to_vec());
                self.unit = None;
            }
            return;
        }
        unit.left -= 1;
        let random = &mut unit.random;
        let table = self.eventual[random.below(self.eventual.len() as u64) as usize];
        let spec = &plan.tables[table];
        let part = part_of(spec, random);
        let depends = random.happens(0.4);
        let last = self.open.iter_mut().rev().find(|open| match open.what {
            What::Push(number) => open.table == table && number < HIGH,
            _ => false,
        });
        match last {
            // Once for each push, so that the upper half of a number stays below the lower one.
            Some(last) if depends && spec.dtype == DType::I64 && !last.followed => {
                last.followed = true;
                let (part, after) = (last.part.clone(), vec![last.timestamp]);
                self.push(now, worker, oracle, spec, part, HIGH, after);
            }
            Some(&mut Open { timestamp, part: ref after, what: What::Push(number), .. }) if depends => {
                let floor = oracle.floor(table, &part, &[(after.clone(), number)]);
                self.pull(now, worker, table, part, vec![timestamp], What::PullEventual(floor), true);
            }
            _ if random.happens(0.6) => {
                let number = 2 + random.below(4) as i64;
                self.push(now, worker, oracle, spec, part, number, Vec::new());
            }
            _ => {
                let floor = oracle.floor(table, &part, &[]);
                self.pull(now, worker, table, part, Vec::new(), What::PullEventual(floor), true);
            }
        }
        if self.random.happens(0.1) {
            worker.report_progress(vec![1, 2, 3]);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        now: Nanos,
        worker: &mut Worker,
        oracle: &mut Oracle,
        spec: &TableSpec,
        part: Part,
        number: i64,
        after: Vec<Timestamp>,
    ) {
        let table = usize::from(spec.id.0);
        let numbers = vec![number::whole(spec.dtype, number); part.keys().len() * usize::from(spec.width)];
        oracle.sent(table, &part, number);
        let request = request(spec.id, &part, &after);
        let timestamp = worker.push(now, &request, number::encode(spec.dtype, &numbers)).expect("a right push");
        oracle.held_back += u64::from(worker.kept(spec.id).1 > 0);
        self.open.push(Open { timestamp, table, part, what: What::Push(number), of_unit: true, followed: false });
    }

    #[allow(clippy::too_many_arguments)]
    fn pull(
        &mut self,
        now: Nanos,
        worker: &mut Worker,
        table: usize,
        part: Part,
        after: Vec<Timestamp>,
        what: What,
        of_unit: bool,
    ) {
        let timestamp = worker.pull(now, &request(TableId(table as u16), &part, &after)).expect("a right pull");
        self.open.push(Open { timestamp, table, part, what, of_unit, followed: false });
    }
}

fn bounded(delay_max: u64) -> Consistency {
    Consistency::BoundedDelay { delay_max: delay_max as u32 }
}

fn request<'a>(table: TableId, part: &Part, after: &'a [Timestamp]) -> Request<'a> {
    let keys = part.named.clone().map(|keys| Keys::once(TxBuf::from_vec(keys)));
    Request { table, range: part.range, keys, after, ..Request::default() }
}
