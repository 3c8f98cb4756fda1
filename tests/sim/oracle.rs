//! What every pull may see.
//!
//! * Eventual tables: for each number, what was acknowledged when the pull began <= the answer <=
//!   what was sent when it came. Numbers are whole and not negative. A push that depends on another
//!   adds `HIGH`, so an answer's upper half never exceeds its lower half.
//! * Bounded tables: a sum tells whose push of which time is in it. All of the times below the pull's
//!   demand are, each as often as it was made, and none that was not made yet. The demand is computed
//!   from the smallest bound that the scheduler said to be in force while the pull was under way.
//! * Where filters hold small numbers back, or shards do not tell them, a number of the other tables may be
//!   smaller by so much; it is still what some pushes come to.
//! * Sequential tables: the exact bits after all steps before the pull's time, summed in the order
//!   of writers and their pushes.

use crate::number;
use crate::plan::{HIGH, PUSHES_MAX, Part, Plan, digit};
use parashard::id::{Time, WriterId};
use parashard::wire::{Consistency, DType};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

type Rows = BTreeMap<u64, Vec<u64>>;

/// Sums of one number of an eventual table.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    acknowledged: i64,
    sent: i64,
}

enum TableOracle {
    Eventual(BTreeMap<u64, Vec<Sums>>),
    /// The rows before each time; the last is the final state.
    Sequential(Vec<Rows>),
    Bounded(Bounded),
}

/// What is known of a bounded table.
struct Bounded {
    last: Rows,
    /// How often each key is pushed to, by writer and time.
    due: BTreeMap<(WriterId, u32), BTreeMap<u64, u64>>,
    /// The times that writers have reached.
    reached: BTreeMap<WriterId, u32>,
    /// All bounds that were in force, in order.
    bounds: Vec<u32>,
}

/// A pull of a bounded table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundedPull {
    /// The time that it is for.
    pub(crate) time: u32,
    /// The rule of its own.
    pub(crate) rule: Option<Consistency>,
    /// Place of the bound that was in force when it began.
    place: usize,
}

/// What is known of all tables.
pub(crate) struct Oracle {
    plan: Plan,
    tables: Vec<TableOracle>,
    pub(crate) pulls_checked: u64,
    /// Of these, how many had a rule of their own.
    pub(crate) overrides_checked: u64,
    /// How often another bound was in force.
    pub(crate) delay_changes: u64,
    /// How often a worker held something back after a push.
    pub(crate) held_back: u64,
}

/// What an eventual pull must at least see, one number for each element of each key.
pub(crate) type Floor = Vec<i64>;

impl Oracle {
    pub(crate) fn new(plan: &Plan) -> Oracle {
        let table = |index: usize| match plan.tables[index].consistency {
            Consistency::Sequential => TableOracle::Sequential(states(plan, index)),
            Consistency::BoundedDelay { delay_max } => TableOracle::Bounded(Bounded::new(plan, index, delay_max)),
            Consistency::Eventual => TableOracle::Eventual(BTreeMap::new()),
        };
        let tables = (0..plan.tables.len()).map(table).collect();
        Oracle { tables, plan: plan.clone(), pulls_checked: 0, overrides_checked: 0, delay_changes: 0, held_back: 0 }
    }

    fn shape(&self, table: usize) -> (DType, usize) {
        (self.plan.tables[table].dtype, usize::from(self.plan.tables[table].width))
    }

    /// A push of `number` to every element of the part begins.
    pub(crate) fn sent(&mut self, table: usize, part: &Part, number: i64) {
        self.each(table, part, |sums| sums.sent += number);
    }

    /// A push of `number` to every element of the part was acknowledged.
    pub(crate) fn acknowledged(&mut self, table: usize, part: &Part, number: i64) {
        self.each(table, part, |sums| sums.acknowledged += number);
    }

    fn each(&mut self, table: usize, part: &Part, change: impl Fn(&mut Sums)) {
        let width = self.shape(table).1;
        let TableOracle::Eventual(rows) = &mut self.tables[table] else { return };
        for key in part.keys() {
            rows.entry(key).or_insert_with(|| vec![Sums::default(); width]).iter_mut().for_each(&change);
        }
    }

    /// What a pull that begins now must see; `after` are pushes, acknowledged or not, that it waits for.
    pub(crate) fn floor(&self, table: usize, part: &Part, after: &[(Part, i64)]) -> Floor {
        let width = self.shape(table).1;
        let TableOracle::Eventual(rows) = &self.tables[table] else { return Floor::new() };
        let waited: Vec<_> = after.iter().map(|(part, number)| (part.keys(), number)).collect();
        let mut floor = Floor::new();
        for key in part.keys() {
            let known = rows.get(&key).map_or(0, |sums| sums[0].acknowledged);
            let waited = waited.iter().filter(|(keys, _)| keys.binary_search(&key).is_ok());
            let least = known + waited.map(|(_, number)| *number).sum::<i64>();
            floor.extend(std::iter::repeat_n(least, width));
        }
        floor
    }

    /// Checks the answer to a pull of an eventual table.
    pub(crate) fn check_eventual(&mut self, table: usize, part: &Part, floor: &Floor, answer: &[u8]) {
        let (dtype, width) = self.shape(table);
        let slack = self.plan.slack(table);
        let TableOracle::Eventual(rows) = &self.tables[table] else { panic!("table {table} is sequential") };
        let numbers = number::decode(dtype, answer);
        assert_eq!(numbers.len(), floor.len(), "table {table}: length of an answer");
        for (index, &key) in part.keys().iter().enumerate() {
            for element in index * width..(index + 1) * width {
                let found = number::to_whole(dtype, numbers[element]);
                let sent = rows.get(&key).map_or(0, |sums| sums[0].sent);
                let fits = |part: fn(i64) -> i64, slack: i64| {
                    part(floor[element]) - slack <= part(found) && part(found) <= part(sent)
                };
                let in_order = dtype != DType::I64 || upper(found) <= lower(found);
                assert!(
                    fits(upper, 0) && fits(lower, slack) && in_order,
                    "table {table} key {key}: acknowledged {:#x}, found {found:#x}, sent {sent:#x}",
                    floor[element]
                );
            }
        }
        self.pulls_checked += 1;
    }

    /// Checks the answer to a pull of a sequential table: each key as it was at one of these times.
    pub(crate) fn check_sequential(&mut self, table: usize, part: &Part, times: RangeInclusive<u32>, answer: &[u8]) {
        let (dtype, width) = self.shape(table);
        let TableOracle::Sequential(states) = &self.tables[table] else { panic!("table {table} is eventual") };
        let last = states.len() - 1;
        let (first, last) = ((*times.start() as usize).min(last), (*times.end() as usize).min(last));
        let numbers = number::decode(dtype, answer);
        let zero = vec![0; width];
        for (key, found) in part.keys().iter().zip(numbers.chunks(width)) {
            let is_right = |rows: &Rows| rows.get(key).unwrap_or(&zero) == found;
            let expected = states[first].get(key);
            assert!(
                states[first..=last].iter().any(is_right),
                "table {table} key {key} at times {times:?}: found {found:x?}, expected {expected:x?}"
            );
        }
        self.pulls_checked += 1;
    }

    /// The scheduler says which bound of a table is in force.
    pub(crate) fn delay_in_force(&mut self, table: usize, delay_max: u32) {
        let TableOracle::Bounded(bounded) = &mut self.tables[table] else { return };
        if bounded.bounds.last() != Some(&delay_max) {
            bounded.bounds.push(delay_max);
            self.delay_changes += 1;
        }
    }

    /// A writer is at this time of a bounded table.
    pub(crate) fn reached(&mut self, table: usize, writer: WriterId, time: u32) {
        if let TableOracle::Bounded(bounded) = &mut self.tables[table] {
            bounded.reached.insert(writer, time);
        }
    }

    /// A pull for `time` begins.
    pub(crate) fn bounded_pull(&self, table: usize, time: u32, rule: Option<Consistency>) -> BoundedPull {
        let TableOracle::Bounded(bounded) = &self.tables[table] else { panic!("table {table} is not bounded") };
        BoundedPull { time, rule, place: bounded.bounds.len() - 1 }
    }

    /// Checks the answer to a pull of a bounded table.
    pub(crate) fn check_bounded(&mut self, table: usize, part: &Part, pull: BoundedPull, answer: &[u8]) {
        let ((dtype, width), slack) = (self.shape(table), self.plan.slack(table) as u64);
        let TableOracle::Bounded(bounded) = &self.tables[table] else { panic!("table {table} is not bounded") };
        let delay_max = bounded.bounds[pull.place..].iter().copied().min().expect("one is in force");
        let demand = pull.rule.unwrap_or(Consistency::BoundedDelay { delay_max }).demand(Time(pull.time)).0;
        let numbers = number::decode(dtype, answer);
        for (key, found) in part.keys().iter().zip(numbers.chunks(width)) {
            for &found in found {
                let found = number::to_whole(dtype, found) as u64;
                // What is held back and what is found come to what would be right.
                let is_right = (0..=slack).any(|held| bounded.check(*key, demand, found + held).is_ok());
                let wrong = bounded.check(*key, demand, found).err().filter(|_| !is_right);
                assert!(is_right, "table {table} key {key}: {pull:?}, {}", wrong.unwrap_or_default());
            }
        }
        self.pulls_checked += 1;
        self.overrides_checked += u64::from(pull.rule.is_some());
    }

    /// The exact rows when everything is done.
    pub(crate) fn final_rows(&self, table: usize) -> Rows {
        let dtype = self.shape(table).0;
        match &self.tables[table] {
            TableOracle::Sequential(states) => states[states.len() - 1].clone(),
            TableOracle::Bounded(bounded) => bounded.last.clone(),
            TableOracle::Eventual(rows) => {
                let bits = |sums: &Vec<Sums>| {
                    let settled = sums.iter().all(|sums| sums.sent == sums.acknowledged);
                    assert!(settled, "table {table}: something is not acknowledged at the end");
                    sums.iter().map(|sums| number::whole(dtype, sums.sent)).collect()
                };
                rows.iter().map(|(&key, sums)| (key, bits(sums))).collect()
            }
        }
    }
}

impl Bounded {
    fn new(plan: &Plan, table: usize, delay_max: u32) -> Bounded {
        let last = states(plan, table).pop().expect("the first state");
        let mut due = BTreeMap::new();
        for writer in (0..plan.workers).map(WriterId) {
            for time in 0..plan.steps(table, writer) {
                let counts: &mut BTreeMap<u64, u64> = due.entry((writer, time)).or_default();
                let pushes = plan.step(table, writer, time);
                let keys = pushes.iter().flat_map(|push| push.part.keys());
                keys.for_each(|key| *counts.entry(key).or_default() += 1);
            }
        }
        Bounded { last, due, reached: BTreeMap::new(), bounds: vec![delay_max] }
    }

    fn check(&self, key: u64, demand: u32, found: u64) -> Result<(), String> {
        for (&(writer, time), counts) in &self.due {
            let due = counts.get(&key).copied().unwrap_or(0);
            let count = found >> digit(writer, time) & PUSHES_MAX;
            let is_made = self.reached.get(&writer).is_some_and(|&reached| time <= reached);
            if !(count == due || count < due && time >= demand) {
                return Err(format!(
                    "which demands all times below {demand}; the answer holds {count} of {due} pushes of {writer} at \
                     time {time}"
                ));
            }
            if count > 0 && !is_made {
                return Err(format!("but {writer} has not reached time {time}"));
            }
        }
        Ok(())
    }
}

fn upper(number: i64) -> i64 {
    number / HIGH
}

fn lower(number: i64) -> i64 {
    number % HIGH
}

/// The rows of a sequential table before each time and after the last.
fn states(plan: &Plan, table: usize) -> Vec<Rows> {
    let (dtype, width) = (plan.tables[table].dtype, usize::from(plan.tables[table].width));
    let writers = || (0..plan.workers).map(WriterId);
    let times = writers().map(|writer| plan.steps(table, writer)).max().unwrap_or(0);
    let mut states = vec![Rows::new()];
    for time in 0..times {
        let mut sums = Rows::new();
        for writer in writers().filter(|&writer| time < plan.steps(table, writer)) {
            for push in plan.step(table, writer, time) {
                for (key, numbers) in push.part.keys().into_iter().zip(push.numbers.chunks(width)) {
                    let numbers = numbers.iter().map(|&number| number::widen(dtype, number));
                    let sum = sums.entry(key).or_insert_with(|| vec![0; width]);
                    sum.iter_mut()
                        .zip(numbers)
                        .for_each(|(sum, number)| *sum = number::plus(dtype.accumulator(), *sum, number));
                }
            }
        }
        let mut rows = states[states.len() - 1].clone();
        for (&key, sum) in &sums {
            let row = rows.entry(key).or_insert_with(|| vec![0; width]);
            row.iter_mut().zip(sum).for_each(|(value, &sum)| *value = number::commit(dtype, *value, sum));
        }
        states.push(rows);
    }
    states
}
