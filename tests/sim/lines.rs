//! A worker program on the pool of work of training, as `learn::worker` is one, for workers that crash or are slow.
//!
//! A minibatch is one line of a file that nobody reads, all of the same length. It adds one to each of its keys, and
//! under `Sequential` a number that depends on what was pulled.

use parashard::id::{Nanos, TableId, Timestamp, WriterId};
use parashard::keyspace::KeyRange;
use parashard::learn::TrainWorkload;
use parashard::learn::config::WorkItem;
use parashard::learn::data::{Compression, DataFile, Format, UnitPlan, UnitSource};
use parashard::learn::progress::Progress;
use parashard::learn::report::UnitReport;
use parashard::memory::TxBuf;
use parashard::protocol::scheduler::DelayPolicy;
use parashard::protocol::worker::{Keys, Request, Worker, WorkerEvent};
use parashard::transport::sim::SimRandom;
use parashard::wire::{Consistency, GivenBack, Unit};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Lines of the file, of one unit, and bytes of a line.
pub(crate) const LINES: u64 = 96;
const UNIT_LINES: u64 = 8;
const LINE_BYTES: u64 = 10;
pub(crate) const KEYS: u64 = 40;
pub(crate) const TABLE: TableId = TableId(0);

/// The pool of one pass over the file.
pub(crate) fn pool_of_work(consistency: Consistency, workers: u32, progress: &Arc<Mutex<Progress>>) -> TrainWorkload {
    let file = DataFile {
        path: "nobody-reads-it".into(),
        format: Format::Vw,
        compression: Compression::Plain,
        bytes: LINES * LINE_BYTES,
        line_bytes: LINE_BYTES,
    };
    let plan = UnitPlan::new(&[file], UNIT_LINES * LINE_BYTES).expect("units");
    let test = UnitPlan::new(&[], 1).expect("no units");
    let sequential = consistency == Consistency::Sequential;
    let work = TrainWorkload::new(plan, test, 1, workers, sequential, Arc::clone(progress));
    match consistency {
        Consistency::Sequential => work,
        Consistency::BoundedDelay { delay_max } => work.with_delay(DelayPolicy::Fixed(delay_max)).with_stragglers(),
        Consistency::Eventual => work.with_stragglers(),
    }
}

/// The keys of a line.
pub(crate) fn keys(line: u64) -> Vec<u64> {
    let mut random = SimRandom::new(line * 31);
    (0..KEYS).filter(|_| random.happens(0.3)).collect()
}

/// A line under way: its first name, and its pull until it is answered.
struct InFlight {
    unit: u64,
    line: u64,
    name: Timestamp,
}

/// A unit in hand.
struct Held {
    unit: u64,
    /// Of a unit to learn from.
    source: Option<UnitSource>,
    /// Lines that have not begun.
    next: u64,
    end: u64,
    is_begun: bool,
    /// What was given up.
    rest: Option<UnitSource>,
    lines_done: u64,
}

impl Held {
    fn new(unit: u64, payload: &[u8]) -> Held {
        let source = match postcard::from_bytes(payload).expect("a work item") {
            WorkItem::Train { source, .. } => Some(source),
            _ => None,
        };
        // The lines that begin inside.
        let (next, end) = match source {
            Some(UnitSource::ByteRange { begin, end, .. }) => (begin.div_ceil(LINE_BYTES), end.div_ceil(LINE_BYTES)),
            _ => (0, 0),
        };
        Held { unit, source, next, end, is_begun: false, rest: None, lines_done: 0 }
    }

    /// Ends the unit behind what has begun; what is left, if anything is.
    fn cut(&mut self) -> Option<UnitSource> {
        let Some(UnitSource::ByteRange { file, end, .. }) = self.source else { return None };
        self.rest =
            (self.next < self.end).then_some(UnitSource::ByteRange { file, begin: self.next * LINE_BYTES, end });
        self.end = self.next;
        self.rest
    }
}

/// What a worker does.
#[derive(Default)]
pub(crate) struct Program {
    hand: VecDeque<Held>,
    in_flight: VecDeque<InFlight>,
    asked: bool,
    wanted: Option<u64>,
    is_welcome: bool,
    no_more: bool,
    ended: bool,
    pub(crate) adopt: Vec<WriterId>,
    /// First names of lines that were given up.
    dropped: Vec<Timestamp>,
    /// Whether the account of a unit that was cut may be unheard.
    is_unheard: bool,
    /// A planted fault: it does what it has given up.
    pub(crate) keeps_the_rest: bool,
}

fn request(keys: &[u64], name: u64) -> Request<'static> {
    let keys = Some(Keys::once(TxBuf::from_vec(keys.to_vec())));
    Request { table: TABLE, range: KeyRange::new(0, KEYS), keys, name: Some(Timestamp(name)), ..Request::default() }
}

impl Program {
    pub(crate) fn on_event(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Welcome => self.is_welcome = true,
            WorkerEvent::Assigned(unit) => {
                self.asked = false;
                self.no_more |= unit.is_none();
                self.hand.extend(unit.map(|Unit { id, payload }| Held::new(id, &payload)));
            }
            WorkerEvent::Adopt(writer) => self.adopt.push(writer),
            WorkerEvent::Release(unit) => self.wanted = Some(unit),
            WorkerEvent::Ended(_) => self.ended = true,
        }
    }

    pub(crate) fn act(&mut self, now: Nanos, worker: &mut Worker, consistency: Consistency) {
        if !self.is_welcome || self.ended {
            return;
        }
        self.give_back(worker);
        if self.hand.len() < 2 && !self.asked && !self.no_more {
            worker.next_unit();
            self.asked = true;
        }
        self.begin(now, worker);
        self.push(now, worker, consistency);
        self.end_unit(now, worker);
    }

    fn give_back(&mut self, worker: &mut Worker) {
        let Some(unit) = self.wanted else { return };
        self.drop_begun(unit, worker);
        let (is_second, keeps_the_rest) = (self.hand.len() > 1, self.keeps_the_rest);
        let last = self.hand.back_mut().filter(|last| last.unit == unit && last.source.is_some());
        let given = match last {
            Some(last) if last.is_begun => {
                let (end, rest) = (last.end, last.cut());
                if keeps_the_rest {
                    last.end = end;
                }
                rest.map_or(GivenBack::Nothing, |rest| {
                    GivenBack::Rest(postcard::to_stdvec(&rest).expect("encodes into memory"))
                })
            }
            Some(_) if is_second => GivenBack::Whole,
            Some(_) => return,
            None => GivenBack::Nothing,
        };
        if given == GivenBack::Whole {
            self.hand.pop_back();
        }
        self.wanted = None;
        worker.answer_release(unit, given);
    }

    /// Drops the lines of the last unit that are in flight, but for the oldest: only a push claims a name.
    /// The names stay reserved until the scheduler has heard of it.
    fn drop_begun(&mut self, unit: u64, worker: &mut Worker) {
        let Some(last) = self.hand.back_mut().filter(|last| last.unit == unit && !self.keeps_the_rest) else { return };
        while self.in_flight.iter().filter(|of| of.unit == unit).count() > 1
            && let Some(InFlight { line, name, .. }) = self.in_flight.pop_back()
        {
            worker.abandon(name);
            self.dropped.push(name);
            last.next = line;
        }
    }

    /// Begins the next line.
    fn begin(&mut self, now: Nanos, worker: &mut Worker) {
        // What lies behind a unit that was cut waits until the scheduler knows that.
        self.is_unheard &= !worker.are_accounts_heard();
        if !self.is_unheard && self.hand.iter().all(|held| held.rest.is_none()) {
            for name in self.dropped.drain(..) {
                (0..3).for_each(|place| worker.release_name(Timestamp(name.0 + place)));
            }
        }
        let is_free = !self.is_unheard && self.hand.iter().all(|held| held.rest.is_none());
        let ahead = self.in_flight.len() as u32;
        let next = self.hand.iter_mut().find(|held| held.next < held.end);
        let may_begin = (is_free || self.keeps_the_rest) && ahead < 2 && worker.may_pull_ahead(TABLE, ahead);
        if let Some(held) = next.filter(|_| may_begin) {
            let (unit, line, name) = (held.unit, held.next, worker.reserve(3));
            worker.pull(now, &Request { ahead, ..request(&keys(line), name.0) }).expect("a right pull");
            (held.is_begun, held.next) = (true, line + 1);
            self.in_flight.push_back(InFlight { unit, line, name });
        }
    }

    /// Pushes for the first line in flight, if its pull is answered. Nothing of a unit is pushed before the account
    /// of the one before is given.
    fn push(&mut self, now: Nanos, worker: &mut Worker, consistency: Consistency) {
        let Some(front) = self.hand.front_mut() else { return };
        let is_due = |first: &&InFlight| front.unit == first.unit && worker.is_done(first.name);
        let Some(&InFlight { line, name, .. }) = self.in_flight.front().filter(is_due) else { return };
        let pulled = worker.take_pulled(name).expect("a right pull");
        let sum: i64 = pulled.typed::<i64>().iter().fold(0, |sum, &number| (sum + number) % 9973);
        let number = if consistency == Consistency::Sequential { 1 + sum + line as i64 } else { 1 };
        let keys = keys(line);
        let values = TxBuf::from_vec(vec![number; keys.len()]);
        let push = worker.push(now, &request(&keys, name.0 + 1), values).expect("a right push");
        worker.abandon(push);
        worker.tick_as(now, TABLE, Timestamp(name.0 + 2)).expect("goes on");
        front.lines_done += 1;
        self.in_flight.pop_front();
    }

    /// Gives the account of the first unit in hand, if it is done.
    fn end_unit(&mut self, now: Nanos, worker: &mut Worker) {
        let Some(front) = self.hand.front() else { return };
        let is_open = front.next < front.end || self.in_flight.iter().any(|of| of.unit == front.unit);
        if is_open || !worker.is_settled() {
            return;
        }
        if front.source.is_none() {
            if self.is_unheard && !worker.are_accounts_heard() {
                return;
            }
            worker.finish(now, TABLE).expect("a known table");
            if !worker.is_settled() {
                return;
            }
        }
        let next = self.in_flight.front().map_or(worker.next_name(), |later| later.name);
        let report = UnitReport { last: true, rows: front.lines_done, rest: front.rest, ..UnitReport::default() };
        worker.unit_done_before(front.unit, report.encode(), next, Vec::new());
        self.is_unheard |= front.rest.is_some();
        self.hand.pop_front();
    }
}
