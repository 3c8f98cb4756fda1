//! The oracle: an ordered map with one row a key, everything element by element.

use super::super::element::Element;
use crate::wire::{Ftrl, TableSpec, UpdateFunction};
use std::collections::BTreeMap;

/// Numbers for tests, and what an update function makes of them.
pub(super) trait Small: Element {
    fn small(number: i32) -> Self;
    fn update(self, state: &mut [Self; 2], pushed: Self, function: UpdateFunction) -> Self {
        let _ = state;
        match function {
            UpdateFunction::Sum => self.plus(pushed),
            _ => pushed,
        }
    }
}

impl Small for f32 {
    fn small(number: i32) -> f32 {
        number as f32 * 0.3
    }

    fn update(self, [z, n]: &mut [f32; 2], g: f32, function: UpdateFunction) -> f32 {
        let UpdateFunction::Ftrl(Ftrl { alpha, beta, l1, l2 }) = function else {
            return if function == UpdateFunction::Sum { self + g } else { g };
        };
        if g == 0.0 {
            return self;
        }
        let sigma = ((*n + g * g).sqrt() - n.sqrt()) / alpha;
        *z += g - sigma * self;
        *n += g * g;
        if z.abs() <= l1 { 0.0 } else { -(*z - z.signum() * l1) / ((beta + n.sqrt()) / alpha + l2) }
    }
}

impl Small for f64 {
    fn small(number: i32) -> f64 {
        f64::from(number) * 0.1
    }
}

impl Small for i64 {
    fn small(number: i32) -> i64 {
        i64::from(number) << 40
    }
}

impl Small for u32 {
    fn small(number: i32) -> u32 {
        number as u32
    }
}

/// The table as a map.
pub(super) struct Plain<T> {
    pub(super) spec: TableSpec,
    pub(super) rows: BTreeMap<u64, Vec<(T, [T; 2])>>,
    pub(super) sums: BTreeMap<u64, Vec<T>>,
}

impl<T: Small> Plain<T> {
    pub(super) fn apply(&mut self, key: u64, pushed: &[T]) {
        let width = usize::from(self.spec.width);
        let row = self.rows.entry(key).or_insert_with(|| vec![(T::default(), [T::default(); 2]); width]);
        for ((value, state), &pushed) in row.iter_mut().zip(pushed) {
            *value = value.update(state, pushed, self.spec.update);
        }
    }

    pub(super) fn accumulate(&mut self, key: u64, pushed: &[T]) {
        let sum = self.sums.entry(key).or_insert_with(|| vec![T::default(); pushed.len()]);
        for (sum, &pushed) in sum.iter_mut().zip(pushed) {
            *sum = if self.spec.update == UpdateFunction::Assign { pushed } else { sum.plus(pushed) };
        }
    }

    pub(super) fn commit(&mut self) {
        for (key, sum) in std::mem::take(&mut self.sums) {
            self.apply(key, &sum);
        }
    }

    pub(super) fn value(&self, key: u64) -> Vec<T> {
        let zeros = || vec![T::default(); usize::from(self.spec.width)];
        self.rows.get(&key).map_or_else(zeros, |row| row.iter().map(|(value, _)| *value).collect())
    }
}
