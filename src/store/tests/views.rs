//! Views of dense tables: they keep their values whatever is pushed, and the table never notices.

use super::{functions, spec};
use crate::keyspace::KeyRange;
use crate::memory::{Pool, take_copied_bytes};
use crate::store::Table;
use crate::wire::{DType, Layout, Pieces, UpdateFunction};
use proptest::prelude::*;

/// Some extents of 128 KiB.
const KEYS: u64 = 80_000;
const OWNED: KeyRange = KeyRange { begin: 100, end: 100 + KEYS };
const EXTENT_BYTES: u64 = 128 << 10;

#[derive(Debug, Clone)]
enum Act {
    View(KeyRange),
    /// Lets the n-th view go.
    Drop(usize),
    Push {
        range: KeyRange,
        by_keys: bool,
        /// In a step of its own.
        committed: bool,
        number: u8,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let range = (0..KEYS, 1..KEYS)
        .prop_map(|(begin, count)| KeyRange::new(OWNED.begin + begin, OWNED.begin + (begin + count).min(KEYS)));
    let push = (range.clone(), any::<bool>(), any::<bool>(), 1u8..50);
    prop_oneof![
        range.prop_map(Act::View),
        any::<usize>().prop_map(Act::Drop),
        push.prop_map(|(range, by_keys, committed, number)| Act::Push { range, by_keys, committed, number }),
    ]
}

fn dense(dtype: DType, width: u16, update: UpdateFunction) -> Table {
    Table::new(&spec(dtype, width, 1 << 20, Layout::Dense, update), &[OWNED], &Pool::unbounded()).unwrap()
}

fn gathered(table: &Table, range: KeyRange) -> Vec<u8> {
    let mut out = vec![0; table.check_pull(range, None).unwrap()];
    table.gather(range, None, &mut out);
    out
}

fn bytes(pieces: &Pieces) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.iter().copied()).collect()
}

fn push(table: &mut Table, act: &Act) {
    let &Act::Push { range, by_keys, committed, number } = act else { return };
    // Every third key, where they are named.
    let keys: Option<Vec<u64>> = by_keys.then(|| (range.begin..range.end).step_by(3).collect());
    let count = keys.as_ref().map_or(range.span() as usize, Vec::len);
    let spec = table.spec();
    let number = match spec.dtype {
        DType::F32 => f32::from(number).to_le_bytes().to_vec(),
        _ => i64::from(number).to_le_bytes().to_vec(),
    };
    let values = number.repeat(count * usize::from(spec.width));
    table.check_push(range, keys.as_deref(), &values).unwrap();
    if committed {
        table.accumulate(range, range, keys.as_deref(), &values);
        table.commit();
    } else {
        table.apply(range, range, keys.as_deref(), &values);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn views_keep_their_values_and_the_table_is_as_without_them(
        function in prop::sample::select(functions()),
        width in prop_oneof![Just(1u16), Just(2), Just(5)],
        acts in prop::collection::vec(act(), 1..14),
    ) {
        let dtype = match function {
            UpdateFunction::Sum if acts.len() % 2 == 0 => DType::I64,
            _ => DType::F32,
        };
        let [mut table, mut twin] = [(); 2].map(|()| dense(dtype, width, function));
        let mut views = Vec::new();
        for act in &acts {
            match act {
                Act::View(range) => {
                    let pieces = table.gather_views(*range).expect("a dense table");
                    views.push((pieces, gathered(&twin, *range)));
                }
                Act::Drop(which) if !views.is_empty() => drop(views.swap_remove(which % views.len())),
                Act::Drop(_) => {}
                Act::Push { .. } => [&mut table, &mut twin].into_iter().for_each(|table| push(table, act)),
            }
            prop_assert!(views.iter().all(|(pieces, expected)| bytes(pieces) == *expected));
            prop_assert!(gathered(&table, OWNED) == gathered(&twin, OWNED));
        }
    }
}

#[test]
fn a_push_under_a_view_copies_each_extent_once_and_none_that_was_let_go() {
    let mut table = dense(DType::F32, 1, UpdateFunction::Sum);
    let add = Act::Push { range: OWNED, by_keys: false, committed: false, number: 1 };
    let extents = (KEYS * 4).div_ceil(EXTENT_BYTES);
    push(&mut table, &add);
    let _ = take_copied_bytes();
    let [first, second] = [(); 2].map(|()| table.gather_views(OWNED).expect("a dense table"));
    assert_eq!((first.count() as u64, take_copied_bytes()), (extents, 0));
    (0..3).for_each(|_| push(&mut table, &add));
    let copied = take_copied_bytes();
    assert!(copied <= extents * EXTENT_BYTES && copied >= KEYS * 4, "{copied} bytes");
    drop((first, second));
    for _ in 0..3 {
        drop(table.gather_views(OWNED));
        push(&mut table, &add);
    }
    assert_eq!(take_copied_bytes(), 0);
    assert!(gathered(&table, OWNED) == 7f32.to_le_bytes().repeat(KEYS as usize));
}

#[test]
fn a_push_beside_a_view_copies_nothing() {
    let mut table = dense(DType::F32, 1, UpdateFunction::Sum);
    let per_extent = EXTENT_BYTES / 4;
    let view = table.gather_views(KeyRange::new(OWNED.begin, OWNED.begin + per_extent)).expect("a dense table");
    let beside = KeyRange::new(OWNED.begin + per_extent, OWNED.end);
    let _ = take_copied_bytes();
    push(&mut table, &Act::Push { range: beside, by_keys: true, committed: false, number: 1 });
    assert_eq!((take_copied_bytes(), view.count()), (0, 1));
}
