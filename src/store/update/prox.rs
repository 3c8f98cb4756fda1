//! The proximal gradient step, which shrinks values towards zero.

use super::{StatelessUpdate, is_positive, is_strength};
use crate::simd::{self, Float, ProxRate};
use crate::store::column::Column;
use crate::store::element::Element;
use crate::wire::Prox;

pub(super) fn check(Prox { rate, l1, l2 }: Prox) -> Result<(), &'static str> {
    match (is_positive(rate), is_strength(l1) && is_strength(l2)) {
        (false, _) => Err("prox's rate must be a positive number"),
        (_, false) => Err("prox's l1 and l2 must be zero or positive numbers"),
        _ => Ok(()),
    }
}

impl<F: Float> From<Prox> for ProxRate<F> {
    fn from(Prox { rate, l1, l2 }: Prox) -> ProxRate<F> {
        ProxRate::new(rate.into(), l1.into(), l2.into())
    }
}

impl<T: Element<Sum: Float>> StatelessUpdate<T> for ProxRate<T::Sum> {
    fn apply(&self, values: &mut [T::Sum], pushed: &[T::Sum]) {
        simd::prox(self, values, pushed);
    }

    fn apply_each(&self, values: &mut Column<T>, slots: &[u32], pushed: &[T::Sum]) {
        let each = |value: &mut T, &push: &T::Sum| *value = T::narrow(self.step(value.widen(), push));
        values
            .for_each_mut(slots, pushed, each, |run, pushed| run.iter_mut().zip(pushed).for_each(|(v, p)| each(v, p)));
    }
}
