//! Update functions: what a push does to values.
//!
//! Sum and assign work on the value alone. The others keep *state*: a fixed count of numbers per
//! element beside the value. A key's state record holds, for each state number in turn, that number
//! of all elements (for FTRL with width 2: `z0 z1 n0 n1`); a block of keys that is worked on
//! together has the same shape, so one function serves both.

use super::StoreError;
use super::element::Element;
use crate::limit;
use crate::simd::{self, FtrlRate};
use crate::wire::{Ftrl, TableSpec, UpdateFunction};

/// An update function with state.
pub(super) trait StateUpdate<T>: Send + Sync {
    /// State numbers per element.
    fn numbers(&self) -> usize;

    /// Updates `values` by `pushed`. `state` is `numbers()` runs of `values.len()` numbers.
    fn apply(&self, state: &mut [T], values: &mut [T], pushed: &[T]);

    /// Whether every pushed number is small enough for the state to stay finite.
    fn accepts(&self, pushed: &[T]) -> bool;

    /// The state that keeps `value` as it is under zero pushes, for a model that was loaded without
    /// state. Shapes as in `apply`.
    fn warm_start(&self, values: &[T], state: &mut [T]);
}

/// A table's update function, resolved for its element type.
pub(super) enum Update<T> {
    /// value += push
    Sum,
    /// value = push
    Assign,
    /// With state.
    Stateful(Box<dyn StateUpdate<T>>),
}

impl<T: Element> Update<T> {
    /// The function that the table declares.
    pub(super) fn of(spec: &TableSpec) -> Result<Update<T>, StoreError> {
        check_parameters(spec)?;
        match spec.update {
            UpdateFunction::Sum => Ok(Update::Sum),
            UpdateFunction::Assign => Ok(Update::Assign),
            stateful => T::stateful(stateful).map(Update::Stateful).ok_or_else(|| StoreError::Declaration {
                table: spec.name.clone(),
                reason: format!("update function ftrl needs dtype f32, not {}", T::DTYPE),
            }),
        }
    }

    /// State numbers per element.
    pub(super) fn state_numbers(&self) -> usize {
        match self {
            Update::Sum | Update::Assign => 0,
            Update::Stateful(function) => function.numbers(),
        }
    }
}

/// State numbers per element of a declared function.
pub(super) fn state_numbers(function: UpdateFunction) -> usize {
    match function {
        UpdateFunction::Sum | UpdateFunction::Assign => 0,
        UpdateFunction::Ftrl(_) => FtrlUpdate::NUMBERS,
    }
}

fn check_parameters(spec: &TableSpec) -> Result<(), StoreError> {
    let UpdateFunction::Ftrl(Ftrl { alpha, beta, l1, l2 }) = spec.update else { return Ok(()) };
    let wrong = |reason: &str| Err(StoreError::Declaration { table: spec.name.clone(), reason: reason.to_owned() });
    if !(alpha.is_finite() && alpha > 0.0) {
        return wrong("ftrl's alpha must be a positive number");
    }
    if ![beta, l1, l2].iter().all(|number| number.is_finite() && *number >= 0.0) {
        return wrong("ftrl's beta, l1 and l2 must be zero or positive numbers");
    }
    Ok(())
}

/// FTRL-proximal: two state numbers, z and n; the value is the weight.
pub(super) struct FtrlUpdate {
    rate: FtrlRate,
}

impl FtrlUpdate {
    /// z and n.
    const NUMBERS: usize = 2;

    /// With these parameters.
    pub(super) fn new(Ftrl { alpha, beta, l1, l2 }: Ftrl) -> FtrlUpdate {
        FtrlUpdate { rate: FtrlRate { alpha, beta, l1, l2 } }
    }
}

impl StateUpdate<f32> for FtrlUpdate {
    fn numbers(&self) -> usize {
        FtrlUpdate::NUMBERS
    }

    fn accepts(&self, pushed: &[f32]) -> bool {
        pushed.iter().all(|gradient| gradient.abs() <= limit::GRADIENT)
    }

    fn apply(&self, state: &mut [f32], values: &mut [f32], pushed: &[f32]) {
        let (z, n) = state.split_at_mut(values.len());
        simd::ftrl(&self.rate, z, n, values, pushed);
    }

    fn warm_start(&self, values: &[f32], state: &mut [f32]) {
        let FtrlRate { alpha, beta, l1, l2 } = self.rate;
        let (z, n) = state.split_at_mut(values.len());
        n.fill(0.0);
        for (z, &w) in z.iter_mut().zip(values) {
            *z = if w == 0.0 { 0.0 } else { -(w * (beta / alpha + l2)) - l1.copysign(w) };
        }
    }
}
