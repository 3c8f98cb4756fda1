//! What tables cost, after a bulk load, after inserts, and after compaction.

use super::{FTRL, spec};
use crate::keyspace::KeyRange;
use crate::memory::Pool;
use crate::store::table::Typed;
use crate::store::{Positions, Table};
use crate::wire::{Consistency, DType, Layout, TableSpec, UpdateFunction};
use zerocopy::IntoBytes;

/// What a table costs, in bytes of columns and index for each byte of its keys, values and state: as
/// pushed, and compacted.
fn shares(dtype: DType, width: u16, update: UpdateFunction, key_end: u64, pushes: &[Vec<u64>]) -> [f64; 2] {
    let (pool, range) = (Pool::unbounded(), KeyRange::new(0, key_end));
    let eventual =
        TableSpec { consistency: Consistency::Eventual, ..spec(dtype, width, key_end, Layout::Sparse, update) };
    let mut table = Table::new(&eventual, &[range], &pool).unwrap();
    for keys in pushes {
        table.apply(range, range, Some(keys), &vec![0; keys.len() * eventual.value_size()]);
    }
    [(); 2].map(|()| {
        let memory = table.memory();
        assert_eq!(memory.total_bytes() - memory.index_bytes, pool.usage().used_bytes as u64);
        let share = share(&table);
        table.compact();
        share
    })
}

/// Without the sums of an open step.
fn share(table: &Table) -> f64 {
    let row_bytes = 8 + table.spec().value_size() + table.state_size();
    let memory = table.memory();
    (memory.total_bytes() - memory.sum_bytes) as f64 / (memory.keys * row_bytes as u64) as f64
}

#[test]
fn memory_per_key_stays_near_what_the_numbers_need() {
    let mut seed = 1u64;
    let mut random = |key_end: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 12) % key_end
    };
    let mut pushes = |count: usize, keys: usize, key_end: u64| -> Vec<Vec<u64>> {
        let push = |_| (0..keys).map(|_| random(key_end)).collect::<std::collections::BTreeSet<u64>>();
        (0..count).map(push).map(|keys| keys.into_iter().collect()).collect()
    };
    let (sparse, hashed) = (1 << 40, 1 << 20);
    let (bulk, inserts) = (pushes(1, 327_000, sparse), pushes(150, 2000, sparse));
    let (sum, ftrl) = (UpdateFunction::Sum, UpdateFunction::Ftrl(FTRL));
    let kinds = [
        (DType::F32, 1, sum),
        (DType::F32, 1, ftrl),
        (DType::F32, 3, sum),
        (DType::F32, 3, ftrl),
        (DType::F32, 8, sum),
        (DType::F32, 17, sum),
        (DType::F64, 1, sum),
        (DType::F64, 3, sum),
        (DType::Bf16, 1, sum),
        (DType::Bf16, 3, ftrl),
    ];
    for (dtype, width, update) in kinds {
        let [loaded, _] = shares(dtype, width, update, sparse, &bulk);
        let [grown, compacted] = shares(dtype, width, update, sparse, &inserts);
        let name = format!("{dtype:?}, width {width}, {update:?}");
        assert!(loaded <= 1.05, "{name}: {loaded} after a bulk load");
        assert!(grown <= 1.4, "{name}: {grown} after random inserts");
        // The last extent of a column may lack a quarter.
        let unused = if (dtype, width) == (DType::Bf16, 1) { 0.05 } else { 0.015 };
        assert!(compacted <= 1.05 + unused, "{name}: {compacted} after compaction");
    }
    let [bits, _] = shares(DType::F32, 1, ftrl, hashed, &pushes(240, 2000, hashed));
    assert!(bits <= 1.0, "{bits} with presence bits, which store no keys");
}

/// The worst that can be done to full chunks: a key behind the last one of each, then one in the
/// middle of each half.
fn split_everywhere(keys: &[u64], part: usize) -> Vec<u64> {
    let chunks = keys.chunks_exact(512);
    chunks.map(|chunk| chunk[[511, 100, 400][part]] + 1).filter(|key| keys.binary_search(key).is_err()).collect()
}

fn rebuilds(table: &Table) -> u64 {
    match table.typed() {
        Typed::F32(table) => table.rebuilds,
        _ => 0,
    }
}

#[test]
fn inserts_leave_at_most_forty_percent_whatever_their_pattern() {
    let range = KeyRange::new(0, 1 << 40);
    let table_spec = spec(DType::F32, 1, range.end, Layout::Sparse, UpdateFunction::Sum);
    let mut table = Table::new(&table_spec, &[range], &Pool::unbounded()).unwrap();
    let mut keys: Vec<u64> = (0..270_000).map(|index| index * 1000).collect();
    table.apply(range, range, Some(&keys), vec![1.0f32; keys.len()].as_bytes());
    let list: Vec<u64> = keys.iter().copied().step_by(7).collect();
    let mut positions = Positions::default();
    let (mut inserted, mut steps) = (0, 0.0);
    for round in 0..4 {
        let order = keys.clone();
        for part in 0..3 {
            table.accumulate_at(&list, &mut positions, vec![1.0f32; list.len()].as_bytes());
            for fresh in split_everywhere(&order, part).chunks(20) {
                table.accumulate(range, range, Some(fresh), vec![2.0f32; fresh.len()].as_bytes());
                assert!(share(&table) <= 1.4, "{} in round {round}", share(&table));
                keys.extend(fresh);
                inserted += fresh.len() as u64;
            }
            steps += 1.0;
        }
        keys.sort_unstable();
        table.commit();
        let mut found = vec![0.0f32; list.len()];
        table.gather_at(&list, &mut positions, found.as_mut_bytes());
        assert!(found.iter().all(|&value| value == 1.0 + steps), "round {round}");
    }
    let mut found = vec![0.0f32; keys.len()];
    table.gather(range, Some(&keys), found.as_mut_bytes());
    for (key, value) in keys.iter().zip(found) {
        let expected = if key % 7000 == 0 {
            1.0 + steps
        } else if key % 1000 == 0 {
            1.0
        } else {
            2.0
        };
        assert_eq!(value, expected, "key {key}");
    }
    let rebuilds = rebuilds(&table);
    assert!(rebuilds > 0 && rebuilds * 270_000 <= 256 * inserted, "{rebuilds} times, {inserted} inserts");
}
