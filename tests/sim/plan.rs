//! What a seed means: the cluster, its tables, what each writer does, and what goes wrong.
//!
//! What writers do to sequential and bounded tables depends on the seed, table, writer and time alone; so the
//! same work can be done by another cluster.

use crate::number;
use parashard::id::{Nanos, NodeId, TableId, WriterId};
use parashard::keyspace::KeyRange;
use parashard::transport::sim::{Cut, Pause, SimFaults, SimRandom};
use parashard::wire::{Consistency, DType, Filters, Layout, OwnFilter, TableSpec, UpdateFunction};
use std::time::Duration;

/// Keys of a sparse table that the work touches, at even distances.
const UNIVERSE: u64 = 96;
/// Key lists of a table that come again and again.
const LISTS: u64 = 3;
/// Keys of a dense table, and of one whose pushes need several segments.
const DENSE_KEYS: u64 = 60;
const LARGE_KEYS: u64 = 90_000;
/// Added by a push that depends on an earlier one; far above what others add.
pub(crate) const HIGH: i64 = 1 << 32;

/// Times of one writer, at most.
pub(crate) const STEPS_MAX: u32 = 6;
/// Pushes of one writer at one time, at most: two bits count them.
pub(crate) const PUSHES_MAX: u64 = 3;

/// The first of the two bits that count the pushes of one writer at one time; all writers' fit an f64.
pub(crate) fn digit(writer: WriterId, time: u32) -> u32 {
    2 * (writer.0 * STEPS_MAX + time)
}

/// Everything about one run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: Vec<NodeId>,
    pub(crate) workers: u32,
    pub(crate) tables: Vec<TableSpec>,
    pub(crate) faults: SimFaults,
    pub(crate) units: u64,
    /// Workers ask for the next unit before they account for the last.
    pub(crate) eager: bool,
    /// Longest pause between two things that a worker does.
    pub(crate) think_max: Duration,
    /// A worker that is twenty times as slow.
    pub(crate) slow: Option<NodeId>,
    /// Whether shards are given a task before work begins.
    pub(crate) begins_with_task: bool,
    /// The delays that the scheduler wants of bounded tables, in turn; none where they stay.
    pub(crate) delays: Vec<u32>,
    /// A planted fault: shards answer pulls one time too early.
    pub(crate) answers_early: bool,
    /// What each shard may keep of key lists: nothing, one or two, all.
    pub(crate) key_cache_bytes: usize,
    /// What each shard may remember of answers, and each worker.
    pub(crate) sent_bytes: usize,
    pub(crate) pulled_bytes: usize,
}

/// What one push or pull is about.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) range: KeyRange,
    /// `None` where the table is dense and all keys of the range are meant.
    pub(crate) named: Option<Vec<u64>>,
}

impl Part {
    pub(crate) fn keys(&self) -> Vec<u64> {
        self.named.clone().unwrap_or_else(|| (self.range.begin..self.range.end).collect())
    }
}

/// A push of one step: a part of the table, and a number for each key and element.
#[derive(Debug, Clone)]
pub(crate) struct StepPush {
    pub(crate) part: Part,
    pub(crate) numbers: Vec<u64>,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut random = SimRandom::new(seed);
        let (servers, shards) = (1 + random.below(3) as u32, 1 + random.below(2) as u8);
        let workers = 1 + random.below(4) as u32;
        let shards = Plan::shards(servers, shards);
        let nodes: Vec<NodeId> = shards.iter().copied().chain((0..workers).map(NodeId::worker)).collect();
        let slow = random.happens(0.3).then(|| NodeId::worker(random.below(u64::from(workers)) as u32));
        let mut tables = tables(&mut random);
        // Chance of their own: what else a seed means stays.
        let mut filtering = SimRandom::new(seed ^ 0x5167_1f1c);
        hold_back(&mut tables, &mut filtering);
        let mut room = || [0, 2000, 8000, 1 << 30, 1 << 30, 1 << 30][filtering.below(6) as usize];
        Plan {
            seed,
            tables,
            units: random.below(16),
            eager: random.happens(0.3),
            think_max: random.duration(Duration::from_micros(500), Duration::from_millis(12)),
            begins_with_task: random.happens(0.3),
            delays: delays(&mut random),
            answers_early: false,
            sent_bytes: room(),
            pulled_bytes: room(),
            key_cache_bytes: [0, 2000, 8000, 1 << 30, 1 << 30][random.below(5) as usize],
            faults: faults(&mut random, &nodes),
            shards,
            workers,
            slow,
        }
    }

    /// The same work in another cluster.
    pub(crate) fn with_cluster(self, servers: u32, shards: u8) -> Plan {
        Plan { shards: Plan::shards(servers, shards), ..self }
    }

    /// The same work while nothing goes wrong.
    pub(crate) fn without_faults(self) -> Plan {
        Plan { faults: SimFaults::none(), slow: None, ..self }
    }

    /// The same work on tables of one rule and type, with filters that lose nothing on the way.
    pub(crate) fn with_rule(mut self, consistency: Consistency, dtype: DType) -> Plan {
        for table in &mut self.tables {
            (table.consistency, table.dtype) = (consistency, dtype);
            let changed = table.filters.changed.map(|_| 0.0);
            table.filters = Filters { significant: None, own: None, changed, ..table.filters };
        }
        self
    }

    /// How much less than what was pushed an answer may hold in each number: what filters of all workers
    /// hold back, and what shards do not tell.
    pub(crate) fn slack(&self, table: usize) -> i64 {
        let Filters { significant, own, changed, .. } = self.tables[table].filters;
        let held = significant.unwrap_or_default().max(own.map_or(0.0, |own| own.argument));
        (held * f64::from(self.workers) + changed.unwrap_or_default()) as i64
    }

    fn shards(servers: u32, shards: u8) -> Vec<NodeId> {
        (0..servers).flat_map(|rank| (0..shards).map(move |shard| NodeId::server(rank, shard))).collect()
    }

    /// Chance for one purpose.
    pub(crate) fn random(&self, purpose: &[u64]) -> SimRandom {
        let mix = |state: u64, number: &u64| (state ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        SimRandom::new(purpose.iter().fold(self.seed, mix))
    }

    pub(crate) fn is_eventual(&self, table: usize) -> bool {
        self.tables[table].consistency == Consistency::Eventual
    }

    /// The delay that a bounded table begins with.
    pub(crate) fn delay(&self, table: usize) -> Option<u32> {
        match self.tables[table].consistency {
            Consistency::BoundedDelay { delay_max } => Some(delay_max),
            _ => None,
        }
    }

    /// Number of times at which the writer may push to the table; then it has finished.
    pub(crate) fn steps(&self, table: usize, writer: WriterId) -> u32 {
        1 + self.random(&[1, table as u64, u64::from(writer.0)]).below(u64::from(STEPS_MAX)) as u32
    }

    /// What the writer pushes at one time of a sequential or bounded table. To a bounded table it pushes
    /// numbers that tell writer and time in every sum of them.
    pub(crate) fn step(&self, table: usize, writer: WriterId, time: u32) -> Vec<StepPush> {
        let spec = &self.tables[table];
        let mut random = self.random(&[2, table as u64, u64::from(writer.0), u64::from(time)]);
        let push = |random: &mut SimRandom| {
            let part = part_of(spec, random);
            let count = part.keys().len() * usize::from(spec.width);
            let number = |_| match spec.dtype {
                dtype if self.delay(table).is_some() => number::whole(dtype, 1 << digit(writer, time)),
                DType::I64 | DType::U32 => 1 + random.below(9),
                dtype => number::near(dtype, (random.below(2001) as f64 - 1000.0) / 7.3),
            };
            StepPush { part, numbers: (0..count).map(number).collect() }
        };
        let count = random.below(PUSHES_MAX + 1);
        (0..count).map(|_| push(&mut random)).collect()
    }
}

/// A part of the table to push to or pull from; all of it now and then.
pub(crate) fn part_of(spec: &TableSpec, random: &mut SimRandom) -> Part {
    let distance = (spec.key_end / UNIVERSE).max(1);
    let (first, second) = (random.below(spec.key_end), random.below(spec.key_end));
    let whole = random.happens(0.4);
    let range =
        if whole { KeyRange::new(0, spec.key_end) } else { KeyRange::new(first.min(second), first.max(second) + 1) };
    if spec.layout == Layout::Dense && random.happens(0.6) {
        return Part { range, named: None };
    }
    let universe = (0..UNIVERSE).map(|index| index * distance).filter(|&key| key < spec.key_end);
    if random.happens(0.4) {
        let mut list = SimRandom::new(u64::from(spec.id.0) * LISTS + random.below(LISTS));
        let named = universe.filter(|_| list.happens(0.9)).collect();
        return Part { range: KeyRange::new(0, spec.key_end), named: Some(named) };
    }
    let density = [0.05, 0.3, 0.9][random.below(3) as usize];
    let keys = universe.filter(|&key| range.contains(key));
    Part { range, named: Some(keys.filter(|_| random.happens(density)).collect()) }
}

fn tables(random: &mut SimRandom) -> Vec<TableSpec> {
    let large = random.happens(0.1);
    let table = |id: u16, random: &mut SimRandom| {
        let dense = random.happens(0.4);
        let is_large = large && id == 0;
        let key_end = match (is_large, dense) {
            (true, _) => LARGE_KEYS,
            (false, true) => DENSE_KEYS,
            (false, false) => [UNIVERSE, 1000, 1 << 20, u64::MAX][random.below(4) as usize],
        };
        let consistency = match random.below(10) {
            0..3 => Consistency::Sequential,
            3..7 => Consistency::BoundedDelay { delay_max: random.below(5) as u32 },
            _ => Consistency::Eventual,
        };
        TableSpec {
            id: TableId(id),
            name: format!("table-{id}"),
            dtype: dtype(random, consistency),
            width: 1 + random.below(3) as u16,
            key_end,
            layout: if is_large || dense { Layout::Dense } else { Layout::Sparse },
            update: UpdateFunction::Sum,
            consistency,
            filters: filters(random),
        }
    };
    let count = 2 + random.below(2) as u16;
    (0..count).map(|id| table(id, random)).collect()
}

/// Of bf16 only sequential tables, for small sums alone are exact in it; what is pushed to bounded ones has
/// many bits.
fn dtype(random: &mut SimRandom, consistency: Consistency) -> DType {
    let dtypes = [DType::I64, DType::I64, DType::I64, DType::F32, DType::F32, DType::F64, DType::U32, DType::Bf16];
    let is_bounded = matches!(consistency, Consistency::BoundedDelay { .. });
    match dtypes[random.below(8) as usize] {
        DType::I64 | DType::U32 if is_bounded => DType::I64,
        _ if is_bounded => DType::F64,
        DType::Bf16 if consistency == Consistency::Eventual => DType::F32,
        dtype => dtype,
    }
}

/// Lossless ones, for the oracle knows exact numbers.
fn filters(random: &mut SimRandom) -> Filters {
    if random.happens(0.3) {
        return Filters::default();
    }
    Filters {
        key_cache: random.happens(0.8),
        pack_keys: random.happens(0.5),
        nonzero: random.happens(0.5),
        snappy: random.happens(0.3),
        ..Filters::default()
    }
}

/// Filters that hold values back where the oracle knows how far off they may be: by whole numbers that are small
/// beside what is pushed later.
fn hold_back(tables: &mut [TableSpec], random: &mut SimRandom) {
    for table in tables {
        let is_exact = table.consistency == Consistency::Sequential;
        let mut most = |share: f64| random.happens(share).then(|| random.below(if is_exact { 1 } else { 4 }) as f64);
        let (changed, significant, kkt) = (most(0.6), most(0.3), most(0.2));
        let filters = &mut table.filters;
        if table.layout == Layout::Sparse && changed.is_some() {
            *filters = Filters { key_cache: true, nonzero: true, changed, ..*filters };
        }
        if !is_exact {
            filters.significant = significant.map(|most| 2.0 * most);
            let takes_own = matches!(table.dtype, DType::F32 | DType::F64);
            filters.own = kkt.filter(|_| takes_own).and_then(|most| OwnFilter::new("kkt", 2.0 * most));
        }
    }
}

/// Often none; otherwise some from 0 to 4.
fn delays(random: &mut SimRandom) -> Vec<u32> {
    let count = if random.happens(0.5) { 2 + random.below(4) } else { 0 };
    (0..count).map(|_| random.below(5) as u32).collect()
}

fn faults(random: &mut SimRandom, nodes: &[NodeId]) -> SimFaults {
    let moment = |random: &mut SimRandom, span_ms: u64| {
        let begin = Nanos(random.below(400_000_000));
        (begin, begin.after(Duration::from_millis(1 + random.below(span_ms))))
    };
    let any = |random: &mut SimRandom| nodes[random.below(nodes.len() as u64) as usize];
    let mut cuts = Vec::new();
    for _ in 0..random.below(2) {
        let (begin, end) = moment(random, 800);
        cuts.push(Cut { nodes: vec![any(random)], begin, end });
    }
    let mut pauses = Vec::new();
    for _ in 0..random.below(3) {
        let (begin, end) = moment(random, 600);
        let node = if random.happens(0.15) { NodeId::SCHEDULER } else { any(random) };
        pauses.push(Pause { node, begin, end });
    }
    SimFaults {
        ordered: random.happens(0.2),
        loss: [0.0, 0.004, 0.02, 0.05][random.below(4) as usize],
        late: [0.0, 0.33, 0.8][random.below(3) as usize],
        duplicate: [0.0, 0.02, 0.2][random.below(3) as usize],
        landing: 0.8,
        corrupt: [0.0, 0.002, 0.01][random.below(3) as usize],
        delay_max: random.duration(Duration::from_micros(100), Duration::from_millis(5)),
        cuts,
        pauses,
        ..SimFaults::none()
    }
}
