//! Update functions of the user.

use super::*;
use crate::store::{Functions, UpdateStep};
use crate::wire::{Bf16, FunctionName, USER_PARAMETERS, UserUpdate};

/// Momentum: state = parameter * state + push, value -= state.
struct Momentum;

impl UpdateStep for Momentum {
    fn state_numbers(&self) -> u8 {
        1
    }

    fn apply_f32(&self, parameters: &[f32; USER_PARAMETERS], state: &mut [f32], values: &mut [f32], pushed: &[f32]) {
        for ((state, value), push) in state.iter_mut().zip(values).zip(pushed) {
            *state = parameters[0] * *state + push;
            *value -= *state;
        }
    }

    fn apply_f64(&self, parameters: &[f32; USER_PARAMETERS], state: &mut [f64], values: &mut [f64], pushed: &[f64]) {
        for ((state, value), push) in state.iter_mut().zip(values).zip(pushed) {
            *state = f64::from(parameters[0]) * *state + push;
            *value -= *state;
        }
    }
}

/// Multiplies values by one more than what is pushed; keeps no state.
struct Grow;

impl UpdateStep for Grow {
    fn apply_f32(&self, _: &[f32; USER_PARAMETERS], state: &mut [f32], values: &mut [f32], pushed: &[f32]) {
        assert!(state.is_empty());
        values.iter_mut().zip(pushed).for_each(|(value, push)| *value = (*value + 1.0) * (1.0 + push));
    }

    fn apply_f64(&self, _: &[f32; USER_PARAMETERS], state: &mut [f64], values: &mut [f64], pushed: &[f64]) {
        assert!(state.is_empty());
        values.iter_mut().zip(pushed).for_each(|(value, push)| *value = (*value + 1.0) * (1.0 + push));
    }
}

fn functions() -> Functions {
    let mut functions = Functions::default();
    functions.register_update("momentum", Box::new(Momentum)).expect("a new name");
    functions.register_update("grow", Box::new(Grow)).expect("a new name");
    functions
}

fn declared(name: &str, state_numbers: u8, dtype: DType, layout: Layout, consistency: Consistency) -> TableSpec {
    let name = FunctionName::new(name).expect("a name");
    let update = UpdateFunction::User(UserUpdate { name, state_numbers, parameters: [0.5, 0.0, 0.0, 0.0] });
    TableSpec {
        id: crate::id::TableId(0),
        name: "weights".to_owned(),
        dtype,
        width: 2,
        key_end: 1000,
        layout,
        update,
        consistency,
        filters: crate::wire::Filters::default(),
    }
}

fn open(spec: &TableSpec) -> Result<Table, StoreError> {
    Table::with_functions(spec, &[KeyRange::new(0, 1000)], &Pool::unbounded(), &functions())
}

fn numbers<T: zerocopy::FromBytes + zerocopy::IntoBytes + Clone + zerocopy::Immutable>(
    table: &Table,
    keys: &[u64],
    zero: T,
) -> Vec<T> {
    let mut found = vec![zero; keys.len() * 2];
    table.gather(KeyRange::new(0, 1000), Some(keys), found.as_mut_slice().as_mut_bytes());
    found
}

#[test]
fn a_push_is_applied_by_the_users_function_with_its_state() {
    for layout in [Layout::Sparse, Layout::Dense] {
        let range = KeyRange::new(0, 1000);
        let mut table = open(&declared("momentum", 1, DType::F64, layout, Consistency::Eventual)).expect("opens");
        let keys = [3, 4, 500, 999];
        let pushed = [8.0f64; 8];
        table.apply(range, range, Some(&keys), pushed.as_bytes());
        table.apply(range, range, Some(&keys), pushed.as_bytes());
        assert_eq!(numbers(&table, &keys, 0.0f64), [-20.0; 8], "8, then 12");
        let mut table = open(&declared("momentum", 1, DType::Bf16, layout, Consistency::Eventual)).expect("opens");
        let pushed = [Bf16::from(8.0f32); 8];
        table.apply(range, range, Some(&keys), pushed.as_bytes());
        assert_eq!(numbers(&table, &keys, Bf16::from(0.0f32)), [Bf16::from(-8.0f32); 8]);
    }
}

#[test]
fn in_steps_the_function_sees_the_sum() {
    let range = KeyRange::new(0, 1000);
    for (layout, keys) in [(Layout::Sparse, vec![7u64, 9]), (Layout::Dense, (0..1000).collect())] {
        let mut table = open(&declared("grow", 0, DType::F32, layout, Consistency::Sequential)).expect("opens");
        let pushed = vec![1.0f32; keys.len() * 2];
        for _ in 0..2 {
            table.accumulate(range, range, Some(&keys), pushed.as_bytes());
            table.accumulate(range, range, Some(&keys), pushed.as_bytes());
            table.commit();
        }
        assert_eq!(numbers(&table, &[7], 0.0f32), [12.0; 2], "(0 + 1) * 3, then (3 + 1) * 3");
        // A model without state is taken over as it is.
        table.load(&[7], [5.0f32, 6.0].as_bytes(), None).expect("finite");
        assert_eq!(numbers(&table, &[7], 0.0f32), [5.0, 6.0]);
    }
}

#[test]
fn what_the_function_makes_infinite_stays_finite() {
    let range = KeyRange::new(0, 1000);
    let mut table = open(&declared("grow", 0, DType::F32, Layout::Sparse, Consistency::Eventual)).expect("opens");
    (0..3).for_each(|_| table.apply(range, range, Some(&[1]), [1e20f32, 0.0].as_bytes()));
    assert_eq!(numbers(&table, &[1], 0.0f32), [f32::MAX, 3.0]);
}

#[test]
fn a_table_whose_function_is_not_there_or_is_another_does_not_open() {
    let why = |spec: &TableSpec| open(spec).err().expect("refused").to_string();
    let spec = |name, state, dtype| declared(name, state, dtype, Layout::Sparse, Consistency::Eventual);
    assert_eq!(
        why(&spec("nesterov", 1, DType::F32)),
        "table `weights`: no update function 'nesterov' is registered in the server program; registered: grow, momentum"
    );
    assert!(why(&spec("momentum", 2, DType::F32)).contains("keeps 1 state numbers, the table declares 2"));
    assert!(why(&spec("momentum", 1, DType::I64)).contains("dtype i64 has only"));
}

/// Adds what is pushed to state and values, and panics over a push of 13 when all is added.
struct Unlucky;

impl UpdateStep for Unlucky {
    fn state_numbers(&self) -> u8 {
        1
    }

    fn apply_f32(&self, _: &[f32; USER_PARAMETERS], state: &mut [f32], values: &mut [f32], pushed: &[f32]) {
        for ((state, value), push) in state.iter_mut().zip(values).zip(pushed) {
            *state += push;
            *value += *state;
        }
        assert!(!pushed.contains(&13.0), "thirteen");
    }

    fn apply_f64(&self, _: &[f32; USER_PARAMETERS], _: &mut [f64], _: &mut [f64], _: &[f64]) {
        panic!("not for f64");
    }
}

#[test]
fn a_panic_puts_back_the_numbers_that_it_was_given_and_is_told_once() {
    let range = KeyRange::new(0, 1000);
    let mut functions = functions();
    functions.register_update("unlucky", Box::new(Unlucky)).expect("a new name");
    for layout in [Layout::Sparse, Layout::Dense] {
        let spec = declared("unlucky", 1, DType::F32, layout, Consistency::Eventual);
        let mut table = Table::with_functions(&spec, &[range], &Pool::unbounded(), &functions).expect("opens");
        let keys: Vec<u64> = (0..1000).collect();
        let mut pushed = vec![1.0f32; 2000];
        table.apply(range, range, Some(&keys), pushed.as_bytes());
        assert_eq!(table.take_panic(), None);
        pushed[1400] = 13.0;
        table.apply(range, range, Some(&keys), pushed.as_bytes());
        let told = table.take_panic().expect("it was told").to_string();
        assert!(told.starts_with("table `weights`: update function `unlucky` panicked: thirteen"), "{told}");
        assert_eq!(table.take_panic(), None);
        // Every number has the push or has not; that of the panic has not, and its state neither.
        let after = numbers(&table, &keys, 0.0f32);
        assert!(after[1400] == 1.0 && after[0] == 3.0 && after.iter().all(|&number| number == 1.0 || number == 3.0));
        table.apply(range, range, Some(&keys), vec![0.0f32; 2000].as_bytes());
        assert_eq!(numbers(&table, &[700], 0.0f32), [2.0, 2.0], "its state is 1");
    }
}
