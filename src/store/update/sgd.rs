//! Gradient descent.

use super::{StatelessUpdate, is_positive};
use crate::simd::{self, Float, SgdRate};
use crate::store::column::Column;
use crate::store::element::Element;
use crate::wire::Sgd;

pub(super) fn check(Sgd { rate }: Sgd) -> Result<(), &'static str> {
    if is_positive(rate) { Ok(()) } else { Err("sgd's rate must be a positive number") }
}

impl<F: Float> From<Sgd> for SgdRate<F> {
    fn from(Sgd { rate }: Sgd) -> SgdRate<F> {
        SgdRate { rate: rate.into() }
    }
}

impl<T: Element<Sum: Float>> StatelessUpdate<T> for SgdRate<T::Sum> {
    fn apply(&self, values: &mut [T::Sum], pushed: &[T::Sum]) {
        simd::sgd(self, values, pushed);
    }

    fn apply_each(&self, values: &mut Column<T>, slots: &[u32], pushed: &[T::Sum]) {
        let each = |value: &mut T, &push: &T::Sum| *value = T::narrow(self.step(value.widen(), push));
        values
            .for_each_mut(slots, pushed, each, |run, pushed| run.iter_mut().zip(pushed).for_each(|(v, p)| each(v, p)));
    }
}
