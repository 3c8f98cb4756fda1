//! Tables against a plain ordered map, for all layouts, types and update functions.

mod functions;
mod memory;
mod plain;
mod positions;
mod user;
mod views;

use super::*;
use crate::id::TableId;
use crate::keyspace::KeyRange;
use crate::memory::Pool;
use crate::wire::{
    Adagrad, Adam, Bf16, Consistency, DType, Filters, Ftrl, Layout, Prox, Sgd, TableSpec, UpdateFunction,
};
use plain::{Plain, Small};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const FTRL: Ftrl = Ftrl { alpha: 0.1, beta: 1.0, l1: 0.5, l2: 0.1 };

/// Every update function, with parameters that show in a few steps.
fn functions() -> Vec<UpdateFunction> {
    vec![
        UpdateFunction::Sum,
        UpdateFunction::Assign,
        UpdateFunction::Ftrl(FTRL),
        UpdateFunction::Sgd(Sgd { rate: 0.3 }),
        UpdateFunction::Adagrad(Adagrad { rate: 0.3, epsilon: 1e-3 }),
        UpdateFunction::Adam(Adam { rate: 0.1, beta1: 0.8, beta2: 0.9, epsilon: 1e-3 }),
        UpdateFunction::Prox(Prox { rate: 0.3, l1: 0.2, l2: 0.5 }),
    ]
}

fn width() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(1u16), 2 => prop::sample::select(vec![2u16, 3, 4, 5, 8, 16, 17])]
}

fn spec(dtype: DType, width: u16, key_end: u64, layout: Layout, update: UpdateFunction) -> TableSpec {
    let (id, name) = (TableId(0), "weights".to_owned());
    TableSpec {
        id,
        name,
        dtype,
        width,
        key_end,
        layout,
        update,
        consistency: Consistency::Sequential,
        filters: Filters::default(),
    }
}

/// One push: where its keys crowd, how they spread, what it holds, where its range is cut, and how it is taken.
#[derive(Debug, Clone)]
struct Step {
    base: u64,
    gaps: Vec<u64>,
    number: i32,
    cut: u64,
    accumulate: bool,
    commit: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let gap = prop_oneof![6 => 1u64..4, 2 => 1u64..200, 1 => 1u64..1 << 20];
    let gaps = prop_oneof![4 => prop::collection::vec(gap.clone(), 0..40), 1 => prop::collection::vec(gap, 0..1500)];
    (0u64..3000, gaps, -9i32..9, 0u64..4000, any::<bool>(), any::<bool>())
        .prop_map(|(base, gaps, number, cut, accumulate, commit)| Step { base, gaps, number, cut, accumulate, commit })
}

fn keys_of(step: &Step, spec: &TableSpec, owned: &[KeyRange]) -> Vec<(KeyRange, Vec<u64>)> {
    let scale = if spec.key_end > 1 << 32 { 1 << 24 } else { 1 };
    let keys = step.gaps.iter().scan(step.base * scale, |key, gap| {
        *key += gap * scale;
        Some(*key)
    });
    let keys: Vec<u64> = keys.collect();
    owned.iter().map(|&range| (range, keys[range.slice_of(&keys)].to_vec())).collect()
}

fn agree<T: Small>(spec: &TableSpec, owned: &[KeyRange], steps: &[Step]) {
    let mut table = Table::new(spec, owned, &Pool::unbounded()).unwrap();
    let mut plain = Plain::<T>::new(spec);
    let width = usize::from(spec.width);
    for step in steps {
        for (range, keys) in keys_of(step, spec, owned) {
            let number = |index: usize| T::small((step.number + index as i32) % 7 - 3);
            let values: Vec<T> = (0..keys.len() * width).map(number).collect();
            table.check_push(range, Some(&keys), values.as_bytes()).unwrap();
            let middle = (range.begin + step.cut).min(range.end);
            for part in [KeyRange::new(range.begin, middle), KeyRange::new(middle, range.end)] {
                if step.accumulate {
                    table.accumulate(part, range, Some(&keys), values.as_bytes());
                } else {
                    table.apply(part, range, Some(&keys), values.as_bytes());
                }
            }
            for (key, pushed) in keys.iter().zip(values.chunks(width)) {
                if step.accumulate { plain.accumulate(*key, pushed) } else { plain.apply(*key, pushed) }
            }
        }
        if step.commit {
            table.commit();
            plain.commit();
        }
    }
    table.commit();
    plain.commit();
    for &range in owned {
        let known = plain.rows.keys().flat_map(|&key| [key, key + 1]).chain([range.begin, range.end - 1]);
        let mut keys: Vec<u64> = known.filter(|&key| range.contains(key)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut out = vec![T::small(1); table.check_pull(range, Some(&keys)).unwrap() / size_of::<T>()];
        table.gather(range, Some(&keys), out.as_mut_bytes());
        for (key, found) in keys.iter().zip(out.chunks(width)) {
            assert_eq!(found, plain.value(*key), "key {key}");
        }
    }
    saved_rows_agree(&table, owned, &plain);
    let dense: u64 = owned.iter().map(|range| range.span()).sum();
    let expected = if spec.layout == Layout::Dense { dense } else { plain.rows.len() as u64 };
    assert_eq!(table.key_count(), expected);
}

/// A section with state holds all rows in key order.
fn saved_rows_agree<T: Small>(table: &Table, owned: &[KeyRange], plain: &Plain<T>) {
    if table.spec().layout == Layout::Dense {
        return;
    }
    for &range in owned {
        let (mut keys, mut values, mut state) = (Vec::new(), Vec::new(), Vec::new());
        let mut sink = |kind, offset, bytes: &[u8]| {
            let array = match kind {
                ArrayKind::Keys => &mut keys,
                ArrayKind::Values => &mut values,
                ArrayKind::State => &mut state,
            };
            assert_eq!(array.len() as u64, offset);
            array.extend_from_slice(bytes);
            Ok(())
        };
        table.write_part(range, true, &mut sink).unwrap();
        let rows = plain.rows.range(range.begin..range.end);
        let expected: Vec<u64> = rows.clone().map(|(&key, _)| key).collect();
        assert_eq!(keys, expected.as_bytes());
        let expected: Vec<T> = rows.clone().flat_map(|(&key, _)| plain.value(key)).collect();
        assert_eq!(values, expected.as_bytes());
        let numbers = update::state_numbers(plain.spec.update);
        let expected: Vec<T::Sum> = rows.flat_map(|(&key, _)| plain.state(key, numbers)).collect();
        assert_eq!(state, expected.as_bytes());
    }
}

fn table_kind() -> impl Strategy<Value = (Layout, u64, Vec<KeyRange>)> {
    let range = KeyRange::new;
    prop_oneof![
        Just((Layout::Sparse, 1 << 21, vec![range(0, 1 << 21)])),
        Just((Layout::Sparse, 1 << 21, vec![range(100, 1333), range(1400, 70_001), range(70_001, 1 << 21)])),
        Just((Layout::Sparse, u64::MAX, vec![KeyRange::ALL])),
        Just((Layout::Sparse, 1 << 50, vec![range(5, 1 << 34), range(1 << 36, 1 << 50)])),
        Just((Layout::Dense, 9000, vec![range(0, 1000), range(1003, 9000)])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn float_tables_equal_the_map(
        (layout, key_end, owned) in table_kind(), width in width(),
        dtype in prop_oneof![2 => Just(DType::F32), 1 => Just(DType::F64), 2 => Just(DType::Bf16)],
        update in prop::sample::select(functions()), steps in prop::collection::vec(step(), 0..12),
    ) {
        let spec = spec(dtype, width, key_end, layout, update);
        match dtype {
            DType::F32 => agree::<f32>(&spec, &owned, &steps),
            DType::F64 => agree::<f64>(&spec, &owned, &steps),
            _ => agree::<Bf16>(&spec, &owned, &steps),
        }
    }

    #[test]
    fn integer_tables_equal_the_map(
        (layout, key_end, owned) in table_kind(), width in width(),
        update in prop_oneof![Just(UpdateFunction::Sum), Just(UpdateFunction::Assign)],
        is_wide in any::<bool>(), steps in prop::collection::vec(step(), 0..8),
    ) {
        match is_wide {
            true => agree::<i64>(&spec(DType::I64, width, key_end, layout, update), &owned, &steps),
            false => agree::<u32>(&spec(DType::U32, width, key_end, layout, update), &owned, &steps),
        }
    }
}

#[test]
fn a_dense_push_and_pull_move_whole_ranges() {
    let spec = spec(DType::F32, 2, 1000, Layout::Dense, UpdateFunction::Sum);
    let mut table = Table::new(&spec, &[KeyRange::new(100, 600)], &Pool::unbounded()).unwrap();
    let range = KeyRange::new(150, 450);
    let values: Vec<f32> = (0..600u16).map(f32::from).collect();
    table.check_push(range, None, values.as_bytes()).unwrap();
    table.apply(range, range, None, values.as_bytes());
    table.apply(KeyRange::new(200, 300), range, None, values.as_bytes());
    let mut out = vec![9.0f32; 1000];
    assert_eq!(table.check_pull(KeyRange::new(100, 600), None), Ok(4000));
    table.gather(KeyRange::new(100, 600), None, out.as_mut_bytes());
    for (index, &found) in out.iter().enumerate() {
        let key = 100 + index as u64 / 2;
        let pushed = if range.contains(key) { values[index - 100] } else { 0.0 };
        let twice = KeyRange::new(200, 300).contains(key);
        assert_eq!(found, if twice { pushed + pushed } else { pushed }, "key {key}");
    }
}

#[test]
fn dense_ranges_cross_extents_in_every_mode() {
    let range = KeyRange::new(7, 5000);
    let values: Vec<f32> = (0..4993 * 24).map(|index| (index % 100) as f32 * 0.25).collect();
    for update in functions() {
        let spec = spec(DType::F32, 24, 5000, Layout::Dense, update);
        let [mut applied, mut committed] = [(); 2].map(|()| Table::new(&spec, &[range], &Pool::unbounded()).unwrap());
        applied.apply(range, range, None, values.as_bytes());
        committed.accumulate(range, range, None, values.as_bytes());
        committed.commit();
        let keys: Vec<u64> = (7..5000).collect();
        let [mut whole, mut by_key] = [(); 2].map(|()| vec![1.0f32; values.len()]);
        applied.gather(range, None, whole.as_mut_bytes());
        committed.gather(range, Some(&keys), by_key.as_mut_bytes());
        assert_eq!(whole, by_key);
        assert!(!matches!(update, UpdateFunction::Sum | UpdateFunction::Assign) || whole == values);
        let mut sections = Vec::new();
        let mut sink = |kind, _, bytes: &[u8]| {
            if kind == ArrayKind::Values {
                sections.extend_from_slice(bytes);
            }
            Ok(())
        };
        applied.write_part(range, true, &mut sink).unwrap();
        assert_eq!(sections, whole.as_bytes());
    }
}

#[test]
fn ordered_keys_become_bits_when_they_fill_their_space() {
    let spec = spec(DType::F64, 4096, 1100, Layout::Sparse, UpdateFunction::Sum);
    let range = KeyRange::new(0, 1100);
    let mut table = Table::new(&spec, &[range], &Pool::unbounded()).unwrap();
    for begin in 0..11u64 {
        let keys: Vec<u64> = (0..50).map(|index| index * 22 + begin * 2).collect();
        let values: Vec<f64> = keys.iter().flat_map(|&key| std::iter::repeat_n(key as f64, 4096)).collect();
        table.accumulate(range, range, Some(&keys), values.as_bytes());
    }
    table.commit();
    assert_eq!((table.key_count(), table.memory().key_bytes), (550, 0));
    let keys: Vec<u64> = (0..1100).collect();
    let mut out = vec![0.0f64; 1100 * 4096];
    table.gather(range, Some(&keys), out.as_mut_bytes());
    for (key, row) in keys.iter().zip(out.chunks(4096)) {
        let expected = if key % 2 == 0 { *key as f64 } else { 0.0 };
        assert!(row.iter().all(|&found| found == expected), "key {key}");
    }
}

#[test]
fn a_bad_request_is_refused_by_name() {
    let spec = spec(DType::F32, 1, 100, Layout::Sparse, UpdateFunction::Sum);
    let table = Table::new(&spec, &[KeyRange::new(0, 50), KeyRange::new(50, 90)], &Pool::unbounded()).unwrap();
    let range = KeyRange::new(10, 80);
    let push =
        |keys: &[u64], values: &[f32]| table.check_push(range, Some(keys), values.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        push(&[11, 20, 20], &[0.0; 3]),
        "table `weights`: key 20 at index 2 is not greater than the one before it: sort and merge the keys"
    );
    assert_eq!(push(&[9], &[0.0]), "table `weights`: key 9 lies outside the request's range [10, 80)");
    assert_eq!(push(&[80], &[0.0]), "table `weights`: key 80 lies outside the request's range [10, 80)");
    assert_eq!(push(&[11], &[0.0; 2]), "table `weights`: 8 bytes of values, expected 4");
    assert_eq!(
        push(&[11, 12], &[0.0, f32::NAN]),
        "table `weights`: number 1 of the values is NaN or infinite: nothing was applied"
    );
    assert!(matches!(table.check_pull(KeyRange::new(60, 91), Some(&[])), Err(StoreError::NotOwned { .. })));
    assert!(matches!(table.check_pull(range, None), Err(StoreError::KeysMissing { .. })));
    assert_eq!(table.check_pull(range, Some(&[10, 79])), Ok(8));
}

#[test]
fn a_table_that_cannot_be_says_why() {
    let new = |spec: &TableSpec| Table::new(spec, &[KeyRange::ALL], &Pool::unbounded()).err().unwrap().to_string();
    let sum = |dtype, width, layout| spec(dtype, width, u64::MAX, layout, UpdateFunction::Sum);
    assert_eq!(new(&sum(DType::F32, 0, Layout::Sparse)), "table `weights`: width 0 is not between 1 and 4096");
    assert!(new(&sum(DType::F32, 1, Layout::Dense)).contains("too many for one shard"));
}

#[test]
fn sums_are_added_in_the_order_of_calls() {
    let spec = spec(DType::F32, 1, 10, Layout::Sparse, UpdateFunction::Sum);
    let range = KeyRange::new(0, 10);
    let mut table = Table::new(&spec, &[range], &Pool::unbounded()).unwrap();
    let pushes = [1e8f32, 1.0, -1e8, 0.25];
    pushes.iter().for_each(|number| table.accumulate(range, range, Some(&[3]), number.as_bytes()));
    table.commit();
    let mut out = [0.0f32];
    table.gather(range, Some(&[3]), out.as_mut_bytes());
    assert_eq!(out[0], pushes.iter().fold(0.0, |sum, number| sum + number));
}
