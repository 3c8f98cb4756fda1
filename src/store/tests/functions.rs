//! Update functions as tables run them: limits, parameters, warm starts, and every way to push.

use super::plain::{Plain, Small};
use super::{FTRL, functions, spec};
use crate::keyspace::KeyRange;
use crate::memory::Pool;
use crate::store::{StoreError, Table, update};
use crate::wire::{Adagrad, Adam, Bf16, Consistency, DType, Ftrl, Layout, Prox, Sgd, TableSpec, UpdateFunction};
use zerocopy::IntoBytes;

const FLOATS: [DType; 3] = [DType::F32, DType::F64, DType::Bf16];

fn table(spec: &TableSpec, range: KeyRange) -> Table {
    Table::new(spec, &[range], &Pool::unbounded()).unwrap()
}

/// What the whole table holds.
fn pull<T: Small>(table: &Table, range: KeyRange) -> Vec<T> {
    let keys: Vec<u64> = (range.begin..range.end).collect();
    let mut out = vec![T::default(); table.check_pull(range, Some(&keys)).unwrap() / size_of::<T>()];
    table.gather(range, Some(&keys), out.as_mut_bytes());
    out
}

/// The same pushes by range, by keys, by remembered positions and through sums, in every layout.
fn every_way<T: Small>(dtype: DType, width: u16, function: UpdateFunction) {
    let range = KeyRange::new(3, 903);
    let keys: Vec<u64> = (3..903).collect();
    let dense = spec(dtype, width, 1000, Layout::Dense, function);
    let sparse = TableSpec { key_end: u64::MAX, layout: Layout::Sparse, ..dense.clone() };
    let mut plain = Plain::<T>::new(&dense);
    let [mut by_range, mut by_keys] = [(); 2].map(|()| table(&dense, range));
    let [mut by_positions, mut by_sums] = [(); 2].map(|()| table(&sparse, range));
    let mut positions = by_positions.remember(&keys);
    for step in 0..4 {
        let numbers = 0..keys.len() as i32 * i32::from(width);
        let values: Vec<T> = numbers.map(|index| T::small((index * (step + 3) + step) % 9 - 4)).collect();
        keys.iter().zip(values.chunks(width.into())).for_each(|(&key, pushed)| plain.apply(key, pushed));
        let bytes = values.as_bytes();
        by_range.apply(range, range, None, bytes);
        by_keys.apply(range, range, Some(&keys), bytes);
        by_positions.apply_at(&keys, &mut positions, bytes);
        by_sums.accumulate(range, range, Some(&keys), bytes);
        by_sums.commit();
    }
    let expected: Vec<T> = keys.iter().flat_map(|&key| plain.value(key)).collect();
    for (way, table) in [("range", by_range), ("keys", by_keys), ("positions", by_positions), ("sums", by_sums)] {
        assert!(pull::<T>(&table, range) == expected, "{dtype} x {width}, {function}, by {way}");
    }
}

#[test]
fn every_width_function_and_way_to_push_gives_the_maps_bits() {
    for width in [1, 2, 3, 4, 8, 16, 300] {
        for function in functions() {
            every_way::<f32>(DType::F32, width, function);
            every_way::<f64>(DType::F64, width, function);
            every_way::<Bf16>(DType::Bf16, width, function);
        }
        for function in [UpdateFunction::Sum, UpdateFunction::Assign] {
            every_way::<i64>(DType::I64, width, function);
            every_way::<u32>(DType::U32, width, function);
        }
    }
}

#[test]
fn small_pushes_of_a_step_are_not_lost_in_bf16() {
    let range = KeyRange::new(0, 10);
    let mut table = table(&spec(DType::Bf16, 1, 10, Layout::Sparse, UpdateFunction::Sum), range);
    // Each alone is a quarter of the last bit of 1.
    let (one, small) = (Bf16::from(1.0), Bf16::from(f32::powi(2.0, -9)));
    table.accumulate(range, range, Some(&[3]), one.as_bytes());
    (0..16).for_each(|_| table.accumulate(range, range, Some(&[3]), small.as_bytes()));
    table.commit();
    assert_eq!(pull::<Bf16>(&table, range)[3], Bf16::from(1.0 + 16.0 * f32::powi(2.0, -9)));
}

/// The number in bytes of the dtype.
fn bytes_of(dtype: DType, number: f64) -> Vec<u8> {
    match dtype {
        DType::F64 => number.to_le_bytes().to_vec(),
        DType::Bf16 => Bf16::from(number as f32).0.to_le_bytes().to_vec(),
        _ => (number as f32).to_le_bytes().to_vec(),
    }
}

#[test]
fn a_number_that_could_overflow_is_refused_and_the_largest_never_does() {
    let range = KeyRange::new(0, 10);
    for (dtype, function) in FLOATS.into_iter().flat_map(|dtype| functions().into_iter().map(move |f| (dtype, f))) {
        let spec = spec(dtype, 1, 10, Layout::Sparse, function);
        let (mut table, largest) = (table(&spec, range), spec.push_max());
        if function != UpdateFunction::Assign {
            let refused = table.check_push(range, Some(&[7]), &bytes_of(dtype, largest * 1.1));
            assert_eq!(refused, Err(StoreError::TooLarge { table: "weights".to_owned(), limit: largest }));
        }
        let infinite = table.check_push(range, Some(&[7]), &bytes_of(dtype, f64::INFINITY));
        assert_eq!(infinite, Err(StoreError::NotFinite { table: "weights".to_owned(), index: 0 }));
        for step in 0..400 {
            let number = bytes_of(dtype, if step < 200 { largest * 0.99 } else { largest * -0.99 });
            table.check_push(range, Some(&[7]), &number).unwrap();
            (0..100).for_each(|_| table.accumulate(range, range, Some(&[7]), &number));
            table.commit();
            table.apply(range, range, Some(&[7]), &number);
            let mut value = vec![0; dtype.bytes()];
            table.gather(range, Some(&[7]), &mut value);
            assert_eq!(dtype.first_beyond(dtype.largest(), &value), None, "{dtype} {function} step {step}");
        }
    }
}

#[test]
fn values_next_to_the_largest_number_stay_finite() {
    let range = KeyRange::new(0, 10);
    for (dtype, function) in FLOATS.into_iter().flat_map(|dtype| functions().into_iter().map(move |f| (dtype, f))) {
        let spec = spec(dtype, 1, 10, Layout::Sparse, function);
        for sign in [1.0, -1.0] {
            let mut table = table(&spec, range);
            let value = if dtype == DType::Bf16 {
                bytes_of(dtype, sign * 3.3e38)
            } else {
                bytes_of(dtype, sign * dtype.largest())
            };
            table.load(&[7], &value, None).unwrap();
            for push in [0.99, -0.99, 0.0] {
                table.apply(range, range, Some(&[7]), &bytes_of(dtype, push * spec.push_max()));
            }
            let mut value = vec![0; dtype.bytes()];
            table.gather(range, Some(&[7]), &mut value);
            assert_eq!(dtype.first_beyond(dtype.largest(), &value), None, "{dtype} {function}");
        }
    }
}

#[test]
fn values_loaded_without_state_stay_under_zero_pushes() {
    let range = KeyRange::new(0, 10);
    let keys: Vec<u64> = (0..8).collect();
    for function in functions().into_iter().filter(|&function| update::state_numbers(function) > 0) {
        let spec = spec(DType::F32, 2, 10, Layout::Sparse, function);
        let values: Vec<f32> = (0..16u8).map(|index| f32::from(index) * 0.25 - 2.0).collect();
        let mut warm = table(&spec, range);
        // What was there before must not shine through.
        warm.apply(range, range, Some(&keys), [0.75f32; 16].as_bytes());
        warm.load(&keys, values.as_bytes(), None).unwrap();
        warm.apply(range, range, Some(&keys), [0.0f32; 16].as_bytes());
        assert_eq!(pull::<f32>(&warm, range)[..16], values, "{function}");
    }
}

#[test]
fn parameters_and_dtypes_that_cannot_be_are_refused_by_name() {
    let refusal = |dtype, function| {
        let spec = spec(dtype, 1, 10, Layout::Sparse, function);
        let error = Table::new(&spec, &[KeyRange::new(0, 10)], &Pool::unbounded()).err().unwrap().to_string();
        error.strip_prefix("table `weights`: ").unwrap().to_owned()
    };
    let float = |function| refusal(DType::F32, function);
    assert_eq!(
        refusal(DType::I64, UpdateFunction::Ftrl(FTRL)),
        "dtype i64 has only the update functions sum and assign"
    );
    let ftrl = UpdateFunction::Ftrl(Ftrl { alpha: 0.0, ..FTRL });
    assert_eq!(float(ftrl), "ftrl's alpha must be a positive number");
    let ftrl = UpdateFunction::Ftrl(Ftrl { l1: -1.0, ..FTRL });
    assert_eq!(float(ftrl), "ftrl's beta, l1 and l2 must be zero or positive numbers");
    assert_eq!(float(UpdateFunction::Sgd(Sgd { rate: f32::NAN })), "sgd's rate must be a positive number");
    let adagrad = UpdateFunction::Adagrad(Adagrad { rate: 0.1, epsilon: 0.0 });
    assert_eq!(float(adagrad), "adagrad's rate and epsilon must be positive numbers");
    let adam = Adam { rate: 0.1, beta1: 0.9, beta2: 1.0, epsilon: 1e-8 };
    assert_eq!(float(UpdateFunction::Adam(adam)), "adam's beta1 and beta2 must be at least 0 and below 1");
    let adam = Adam { epsilon: f32::INFINITY, beta2: 0.999, ..adam };
    assert_eq!(float(UpdateFunction::Adam(adam)), "adam's rate and epsilon must be positive numbers");
    let prox = Prox { rate: -0.1, l1: 0.0, l2: 0.0 };
    assert_eq!(float(UpdateFunction::Prox(prox)), "prox's rate must be a positive number");
    let prox = Prox { rate: 0.1, l2: -1.0, ..prox };
    assert_eq!(float(UpdateFunction::Prox(prox)), "prox's l1 and l2 must be zero or positive numbers");
}

#[test]
fn bf16_halves_the_values_and_leaves_the_state_in_f32() {
    let range = KeyRange::new(0, 1 << 20);
    let bytes = |dtype| {
        let function = UpdateFunction::Adagrad(Adagrad { rate: 0.1, epsilon: 1e-3 });
        let sequential = spec(dtype, 4, 1 << 20, Layout::Dense, function);
        let memory = table(&TableSpec { consistency: Consistency::Eventual, ..sequential }, range).memory();
        (memory.value_bytes >> 20, memory.state_bytes >> 20)
    };
    assert_eq!((bytes(DType::F32), bytes(DType::Bf16)), ((16, 16), (8, 16)));
}
