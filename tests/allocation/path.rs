//! The whole path: client, worker, connection, shard, store and back, in steady state.
//!
//! All threads of the process are counted, over many short windows. Nodes say that they live twice a
//! second, and these words are allocated; so a few windows may hold allocations. Most hold none at
//! all, which no path that allocates for one message in twenty could show.

use crate::counter::{count_all, take_turn, tell_all};
use crate::job::{Job, KEY_END, table};
use parashard::client::{Cluster, KeyList, Pending, Pushed, Table, Values};
use parashard::keyspace::KeyRange;
use parashard::node::{Consistency, Layout, TableSpec, TransportChoice};
use std::collections::VecDeque;

const WARM_UP_ROUNDS: usize = 20;
const WINDOWS: usize = 24;
/// Operations of each kind in one window.
const OPERATIONS: usize = 20;
/// Windows of a hundred that must be without an allocation.
const QUIET_PERCENT: usize = 75;

const LIST_KEYS: u64 = 50_000;
/// Floats of one dense range: 1 MB.
const RANGE_NUMBERS: u64 = 250_000;
const ALL_FILTERS: &str = "key_cache,pack_keys,nonzero,snappy";

/// Asserts that `round` allocates nothing once it has run for a while.
fn assert_quiet(what: &str, mut round: impl FnMut()) {
    (0..WARM_UP_ROUNDS).for_each(|_| round());
    let counts: Vec<u64> = (0..WINDOWS).map(|_| count_all(&mut round)).collect();
    let quiet = counts.iter().filter(|&&count| count == 0).count();
    if quiet * 100 < WINDOWS * QUIET_PERCENT {
        tell_all(round);
        panic!("{what}: only {quiet} of {WINDOWS} windows without an allocation: {counts:?}");
    }
}

/// What is asked for.
enum Asked {
    List(KeyList),
    Range(KeyRange),
}

impl Asked {
    fn count(&self) -> usize {
        match self {
            Asked::List(list) => list.len(),
            Asked::Range(range) => range.span() as usize,
        }
    }

    fn push(&self, table: &Table<f32>) -> Pending<Pushed> {
        let mut values = table.values(self.count());
        values.fill(0.0);
        values.iter_mut().step_by(5).for_each(|value| *value = 1.5);
        match self {
            Asked::List(list) => table.push(list, values),
            Asked::Range(range) => table.push_range(*range, values),
        }
        .expect("fits")
    }

    fn pull(&self, table: &Table<f32>) -> Pending<Values<f32>> {
        match self {
            Asked::List(list) => table.pull(list),
            Asked::Range(range) => table.pull_range(*range),
        }
        .expect("fits")
    }
}

/// Pushes and pulls `depth` at a time, in turns.
fn assert_pushes_and_pulls_are_quiet(cluster: &Cluster, name: &str, asked: &Asked, depth: usize) {
    let table = cluster.table::<f32>(name).expect("a table");
    let mut pushes = VecDeque::with_capacity(depth + 1);
    let mut pulls = VecDeque::with_capacity(depth + 1);
    assert_quiet(&format!("table {name}, {} keys, depth {depth}", asked.count()), || {
        for _ in 0..OPERATIONS {
            pushes.push_back(asked.push(&table));
            pulls.push_back(asked.pull(&table));
            if pushes.len() == depth {
                pushes.pop_front().map(|push| push.wait().expect("applied"));
                let values = pulls.pop_front().map(|pull| pull.wait().expect("answered"));
                assert!(values.is_some_and(|values| values.len() == asked.count()));
            }
        }
    });
}

fn list(count: u64) -> Asked {
    let step = KEY_END / count;
    Asked::List(KeyList::new((0..count).map(|place| place * step).collect()).expect("ascending"))
}

fn assert_all_are_quiet(spec: TableSpec, asked: &[Asked]) {
    assert_all_are_quiet_over(TransportChoice::Auto, spec, asked);
}

fn assert_all_are_quiet_over(choice: TransportChoice, spec: TableSpec, asked: &[Asked]) {
    let name = spec.name.clone();
    let (job, cluster) = Job::start(vec![spec], choice);
    for asked in asked {
        for depth in [1, 4] {
            assert_pushes_and_pulls_are_quiet(&cluster, &name, asked, depth);
        }
    }
    drop(cluster);
    drop(job);
}

#[test]
fn plain_lists_allocate_nothing_whichever_way_they_take() {
    let _turn = take_turn();
    for choice in [TransportChoice::Auto, TransportChoice::Shm, TransportChoice::Tcp] {
        let spec = table(0, "plain", Layout::Sparse, "none");
        assert_all_are_quiet_over(choice, spec, &[list(LIST_KEYS), list(1)]);
    }
}

#[test]
fn filtered_lists_allocate_nothing() {
    let _turn = take_turn();
    for filters in [ALL_FILTERS, "key_cache,nonzero,changed"] {
        assert_all_are_quiet(table(0, "filtered", Layout::Sparse, filters), &[list(LIST_KEYS), list(1)]);
    }
}

#[test]
fn dense_ranges_allocate_nothing_whichever_way_they_take() {
    let _turn = take_turn();
    for choice in [TransportChoice::Auto, TransportChoice::Shm, TransportChoice::Tcp] {
        let range = Asked::Range(KeyRange::new(1000, 1000 + RANGE_NUMBERS));
        assert_all_are_quiet_over(choice, table(0, "dense", Layout::Dense, "none"), &[range]);
    }
}

#[test]
fn packed_dense_ranges_allocate_nothing() {
    let _turn = take_turn();
    let range = Asked::Range(KeyRange::new(1000, 1000 + RANGE_NUMBERS));
    assert_all_are_quiet(table(0, "packed", Layout::Dense, "nonzero,snappy"), &[range]);
}

#[test]
fn what_depends_on_earlier_operations_allocates_nothing() {
    let _turn = take_turn();
    let (job, cluster) = Job::start(vec![table(0, "plain", Layout::Sparse, "none")], TransportChoice::Auto);
    let table = cluster.table::<f32>("plain").expect("a table");
    let list = KeyList::new((0..LIST_KEYS).collect()).expect("ascending");
    assert_quiet("a pull after a push", || {
        for _ in 0..OPERATIONS {
            let mut values = table.values(list.len());
            values.fill(1.0);
            let push = table.push(&list, values).expect("fits");
            let pull = table.pull_after(&list, &[push.timestamp()]).expect("fits");
            push.wait().expect("applied");
            assert!(pull.wait().expect("answered")[0] >= 1.0);
        }
    });
    drop(cluster);
    drop(job);
}

#[test]
fn steps_allocate_nothing() {
    let _turn = take_turn();
    let spec = TableSpec { consistency: Consistency::Sequential, ..table(0, "steps", Layout::Sparse, ALL_FILTERS) };
    let (job, cluster) = Job::start(vec![spec], TransportChoice::Auto);
    let table = cluster.table::<f32>("steps").expect("a table");
    for asked in [list(LIST_KEYS), list(1)] {
        let mut pushes = Vec::with_capacity(2);
        assert_quiet(&format!("steps of {} keys", asked.count()), || {
            for _ in 0..OPERATIONS {
                let pull = asked.pull(&table);
                pushes.extend([asked.push(&table), asked.push(&table)]);
                table.tick().expect("goes on");
                pull.wait().expect("answered");
                pushes.drain(..).for_each(|push| assert!(push.wait().is_ok()));
            }
        });
    }
    drop(cluster);
    drop(job);
}
