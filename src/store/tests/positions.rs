//! Remembered positions against a table that searches every time.

use super::{FTRL, spec};
use crate::keyspace::KeyRange;
use crate::memory::Pool;
use crate::store::{Positions, Table};
use crate::wire::{Consistency, DType, Layout, TableSpec, UpdateFunction};
use proptest::prelude::*;
use std::collections::BTreeSet;
use zerocopy::IntoBytes;

/// What comes next: a push or pull of a list by its positions, or a push of other keys.
#[derive(Debug, Clone)]
enum Step {
    PushList(usize),
    PullList(usize),
    PushKeys(BTreeSet<u64>),
    Compact,
}

fn keys(key_end: u64) -> impl Strategy<Value = BTreeSet<u64>> {
    let near = (0..key_end, 1u64..60, 1usize..400);
    let run = near.prop_map(move |(begin, distance, count)| {
        (0..count as u64).map(|index| begin.saturating_add(index * distance)).filter(|&key| key < key_end).collect()
    });
    prop_oneof![prop::collection::btree_set(0..key_end, 0..300), run]
}

fn steps(key_end: u64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0usize..3).prop_map(Step::PushList),
        2 => (0usize..3).prop_map(Step::PullList),
        3 => keys(key_end).prop_map(Step::PushKeys),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 0..30)
}

/// The same table twice: one is used by positions, the other always searches.
struct Twins {
    by_position: Table,
    by_search: Table,
    range: KeyRange,
}

impl Twins {
    fn new(key_end: u64, layout: Layout, update: UpdateFunction) -> Twins {
        let range = KeyRange::new(0, key_end);
        let eventual = TableSpec { consistency: Consistency::Eventual, ..spec(DType::F32, 2, key_end, layout, update) };
        let table = || Table::new(&eventual, &[range], &Pool::unbounded()).expect("a table");
        Twins { by_position: table(), by_search: table(), range }
    }

    fn pull(&self, list: &[u64], positions: &mut Positions) {
        let (mut found, mut expected) = (vec![1u8; list.len() * 8], vec![2u8; list.len() * 8]);
        self.by_position.gather_at(list, positions, &mut found);
        self.by_search.gather(self.range, Some(list), &mut expected);
        assert!(found == expected, "values differ");
    }

    fn run(&mut self, lists: &[Vec<u64>], steps: Vec<Step>) {
        let mut positions: Vec<Positions> = lists.iter().map(|list| self.by_position.remember(list)).collect();
        for (round, step) in steps.into_iter().enumerate() {
            match step {
                Step::PushList(index) => {
                    let values: Vec<f32> = (0..lists[index].len() * 2).map(|place| (place + round) as f32).collect();
                    self.by_position.apply_at(&lists[index], &mut positions[index], values.as_bytes());
                    self.by_search.apply(self.range, self.range, Some(&lists[index]), values.as_bytes());
                }
                Step::PullList(index) => self.pull(&lists[index], &mut positions[index]),
                Step::Compact => self.by_position.compact(),
                Step::PushKeys(keys) => {
                    let keys: Vec<u64> = keys.into_iter().collect();
                    let values = vec![0.25 + round as f32; keys.len() * 2];
                    for table in [&mut self.by_position, &mut self.by_search] {
                        table.apply(self.range, self.range, Some(&keys), values.as_bytes());
                    }
                }
            }
        }
        (0..lists.len()).for_each(|index| self.pull(&lists[index], &mut positions[index]));
        assert_eq!(self.by_position.key_count(), self.by_search.key_count());
    }
}

/// Spaces in which keys are ordered, have presence bits, and begin as the one and become the other.
fn key_ends() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1u64 << 40), Just(30_000), Just(1 << 13)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn positions_stay_right_whatever_is_pushed_between(
        (lists, steps, key_end) in key_ends().prop_flat_map(|end| (prop::collection::vec(keys(end), 3), steps(end), Just(end))),
        ftrl in any::<bool>(),
    ) {
        let lists: Vec<Vec<u64>> = lists.into_iter().map(|list| list.into_iter().collect()).collect();
        let update = if ftrl { UpdateFunction::Ftrl(FTRL) } else { UpdateFunction::Sum };
        Twins::new(key_end, Layout::Sparse, update).run(&lists, steps.clone());
        if key_end < 1 << 20 {
            Twins::new(key_end, Layout::Dense, update).run(&lists, steps);
        }
    }
}

#[test]
fn positions_survive_an_index_that_is_built_anew() {
    let key_end = 1 << 26;
    let list: Vec<u64> = (0..2000).map(|index| index * 31).collect();
    let mut twins = Twins::new(key_end, Layout::Sparse, UpdateFunction::Sum);
    let mut positions = twins.by_position.remember(&list);
    let key_bytes = |twins: &Twins| twins.by_position.memory().key_bytes;
    for begin in (0..key_end).step_by(1 << 20) {
        let keys: Vec<u64> = (begin..begin + (1 << 20)).collect();
        let values = vec![1.0f32; keys.len() * 2];
        twins.by_position.apply(twins.range, twins.range, Some(&keys), values.as_bytes());
        twins.by_search.apply(twins.range, twins.range, Some(&keys), values.as_bytes());
        let values = vec![2.0f32; list.len() * 2];
        twins.by_position.apply_at(&list, &mut positions, values.as_bytes());
        twins.by_search.apply(twins.range, twins.range, Some(&list), values.as_bytes());
        twins.pull(&list, &mut positions);
        if begin > 0 && key_bytes(&twins) == 0 {
            return;
        }
    }
    panic!("the index was never built anew");
}

#[test]
fn a_key_behind_a_full_chunk_is_found_by_those_who_knew_that_it_was_missing() {
    let mut twins = Twins::new(1 << 40, Layout::Sparse, UpdateFunction::Sum);
    let own: Vec<u64> = (0..512).collect();
    let list: Vec<u64> = (500..512).chain([1000]).collect();
    let mut positions = Positions::default();
    for keys in [own, vec![1000], vec![1001]] {
        let values = vec![1.5f32; keys.len() * 2];
        for table in [&mut twins.by_position, &mut twins.by_search] {
            table.apply(twins.range, twins.range, Some(&keys), values.as_bytes());
        }
        twins.pull(&list, &mut positions);
    }
}
