//! The oracle: an ordered map with one row a key, everything number by number.

use super::super::element::Element;
use crate::wire::{Adagrad, Adam, Bf16, Ftrl, Prox, Sgd, TableSpec, UpdateFunction};
use std::collections::BTreeMap;

/// Numbers for tests.
pub(super) trait Small: Element<Sum: Compute> {
    fn small(number: i32) -> Self;
    fn wide(self) -> Self::Sum;
    fn round(sum: Self::Sum) -> Self;
}

/// What an update function makes of a value, its state and a push.
pub(super) trait Compute: Element<Sum = Self> {
    fn sum(self, pushed: Self) -> Self;
    fn update(self, state: &mut [Self; 4], pushed: Self, function: UpdateFunction) -> Self;
}

macro_rules! float {
    ($number:ident) => {
        impl Compute for $number {
            fn sum(self, pushed: $number) -> $number {
                self + pushed
            }

            fn update(self, [s0, s1, s2, s3]: &mut [$number; 4], g: $number, function: UpdateFunction) -> $number {
                let wide = $number::from;
                match function {
                    UpdateFunction::Sum => self + g,
                    UpdateFunction::Assign => g,
                    UpdateFunction::Sgd(Sgd { rate }) => self - wide(rate) * g,
                    UpdateFunction::Prox(Prox { rate, l1, l2 }) => {
                        let moved = self - wide(rate) * g;
                        let threshold = wide(rate) * wide(l1);
                        let shrink = 1.0 / (1.0 + wide(rate) * wide(l2));
                        if moved.abs() <= threshold { 0.0 } else { (moved - moved.signum() * threshold) * shrink }
                    }
                    UpdateFunction::Adagrad(Adagrad { rate, epsilon }) => {
                        *s0 += g * g;
                        self - wide(rate) * g / (s0.sqrt() + wide(epsilon))
                    }
                    UpdateFunction::Adam(Adam { rate, beta1, beta2, epsilon }) => {
                        let (new1, new2) = (1.0 - wide(beta1), 1.0 - wide(beta2));
                        *s0 = wide(beta1) * *s0 + new1 * g;
                        *s1 = wide(beta2) * *s1 + new2 * g * g;
                        *s2 = wide(beta1) * *s2 + new1;
                        *s3 = wide(beta2) * *s3 + new2;
                        self - wide(rate) * (*s0 / *s2) / ((*s1 / *s3).sqrt() + wide(epsilon))
                    }
                    UpdateFunction::BlockProx(_) => unreachable!("its numbers do not stand for themselves"),
                    UpdateFunction::Ftrl(_) if g == 0.0 => self,
                    UpdateFunction::Ftrl(Ftrl { alpha, beta, l1, l2 }) => {
                        let (alpha, beta, l1, l2) = (wide(alpha), wide(beta), wide(l1), wide(l2));
                        let sigma = ((*s1 + g * g).sqrt() - s1.sqrt()) / alpha;
                        *s0 += g - sigma * self;
                        *s1 += g * g;
                        let moved = -(*s0 - s0.signum() * l1) / ((beta + s1.sqrt()) / alpha + l2);
                        if s0.abs() <= l1 { 0.0 } else { moved }
                    }
                }
            }
        }
    };
}

float!(f32);
float!(f64);

macro_rules! integer {
    ($number:ident) => {
        impl Compute for $number {
            fn sum(self, pushed: $number) -> $number {
                self.wrapping_add(pushed)
            }

            fn update(self, _: &mut [$number; 4], pushed: $number, function: UpdateFunction) -> $number {
                if function == UpdateFunction::Sum { self.sum(pushed) } else { pushed }
            }
        }
    };
}

integer!(i64);
integer!(u32);

macro_rules! small {
    ($number:ident, $small:expr) => {
        impl Small for $number {
            fn small(number: i32) -> $number {
                let small: fn(i32) -> $number = $small;
                small(number)
            }

            fn wide(self) -> $number {
                self
            }

            fn round(sum: $number) -> $number {
                sum
            }
        }
    };
}

small!(f32, |number| number as f32 * 0.3);
small!(f64, |number| f64::from(number) * 0.1);
small!(i64, |number| i64::from(number) << 40);
small!(u32, |number| number as u32);

impl Small for Bf16 {
    fn small(number: i32) -> Bf16 {
        Bf16::from(number as f32 * 0.3)
    }

    fn wide(self) -> f32 {
        self.into()
    }

    fn round(sum: f32) -> Bf16 {
        sum.into()
    }
}

/// One number of a row, and its state.
type Number<T> = (T, [<T as Element>::Sum; 4]);

/// The table as a map.
pub(super) struct Plain<T: Small> {
    pub(super) spec: TableSpec,
    pub(super) rows: BTreeMap<u64, Vec<Number<T>>>,
    pub(super) sums: BTreeMap<u64, Vec<T::Sum>>,
}

impl<T: Small> Plain<T> {
    pub(super) fn new(spec: &TableSpec) -> Plain<T> {
        Plain { spec: spec.clone(), rows: BTreeMap::new(), sums: BTreeMap::new() }
    }

    pub(super) fn apply(&mut self, key: u64, pushed: &[T]) {
        let pushed: Vec<T::Sum> = pushed.iter().map(|&number| number.wide()).collect();
        self.apply_sum(key, &pushed);
    }

    fn apply_sum(&mut self, key: u64, pushed: &[T::Sum]) {
        let width = usize::from(self.spec.width);
        let row = self.rows.entry(key).or_insert_with(|| vec![(T::default(), [T::Sum::default(); 4]); width]);
        for ((value, state), &pushed) in row.iter_mut().zip(pushed) {
            *value = T::round(value.wide().update(state, pushed, self.spec.update));
        }
    }

    pub(super) fn accumulate(&mut self, key: u64, pushed: &[T]) {
        let sum = self.sums.entry(key).or_insert_with(|| vec![T::Sum::default(); pushed.len()]);
        for (sum, pushed) in sum.iter_mut().zip(pushed) {
            let assigns = self.spec.update == UpdateFunction::Assign;
            *sum = if assigns { pushed.wide() } else { sum.sum(pushed.wide()) };
        }
    }

    pub(super) fn commit(&mut self) {
        for (key, sum) in std::mem::take(&mut self.sums) {
            self.apply_sum(key, &sum);
        }
    }

    pub(super) fn value(&self, key: u64) -> Vec<T> {
        let zeros = || vec![T::default(); usize::from(self.spec.width)];
        self.rows.get(&key).map_or_else(zeros, |row| row.iter().map(|(value, _)| *value).collect())
    }

    /// The key's state record: `numbers` numbers of each element.
    pub(super) fn state(&self, key: u64, numbers: usize) -> Vec<T::Sum> {
        let row = &self.rows[&key];
        (0..numbers).flat_map(|number| row.iter().map(move |(_, state)| state[number])).collect()
    }
}
