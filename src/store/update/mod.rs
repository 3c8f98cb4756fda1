//! Update functions: what a push does to values. `wire::UpdateFunction` says what each computes.
//!
//! Sum and assign exist for every number type; the others are one small file each, for floats. Some of
//! these work on the value alone. The rest keep *state*: a fixed count of numbers per element beside
//! the value, zero at first. A key's state record holds, for each state number in turn, that number
//! of all elements (for FTRL with width 2: `z0 z1 n0 n1`); a block of keys that is worked on
//! together has the same shape, so one function serves both.

mod adagrad;
mod adam;
mod block_prox;
mod ftrl;
mod prox;
mod sgd;
mod user;

use self::block_prox::BlockProxStep;
use super::StoreError;
use super::column::Column;
use super::element::Element;
use super::function::Functions;
use crate::simd::{AdagradRate, AdamRate, Float, FtrlRate, ProxRate, SgdRate};
use crate::wire::{DType, TableSpec, UpdateFunction, UserUpdate};

pub use user::UpdateStep;

/// An update function without state.
pub(super) trait StatelessUpdate<T: Element>: Send + Sync {
    /// Updates `values` by `pushed`.
    fn apply(&self, values: &mut [T::Sum], pushed: &[T::Sum]);

    /// Updates values of width 1 where they lie, which saves gathering them.
    fn apply_each(&self, values: &mut Column<T>, slots: &[u32], pushed: &[T::Sum]);
}

/// An update function with state.
pub(super) trait StateUpdate<S>: Send + Sync {
    /// Updates `values` by `pushed`. `state` is a run of `values.len()` numbers for each state number.
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]);

    /// Makes `state`, which is all zero, the one that keeps `values` as they are under zero pushes:
    /// for a model that was loaded without state. Shapes as in `apply`.
    fn warm_start(&self, values: &[S], state: &mut [S]) {
        let _ = (values, state);
    }

    /// The words of the first panic of a user's function since this was asked last.
    fn take_panic(&self) -> Option<String> {
        None
    }
}

/// A table's update function, resolved for its element type.
pub(super) enum Update<T: Element> {
    /// value += push
    Sum,
    /// value = push
    Assign,
    /// Of value and push alone.
    Stateless(Box<dyn StatelessUpdate<T>>),
    /// With state.
    Stateful(Box<dyn StateUpdate<T::Sum>>),
}

impl<T: Element> Update<T> {
    /// The words of the first panic of a user's function since this was asked last.
    pub(super) fn take_panic(&self) -> Option<String> {
        match self {
            Update::Stateful(function) => function.take_panic(),
            Update::Sum | Update::Assign | Update::Stateless(_) => None,
        }
    }

    /// The function that the table declares.
    pub(super) fn of(spec: &TableSpec, functions: &Functions) -> Result<Update<T>, StoreError> {
        let wrong = |reason: String| StoreError::Declaration { table: spec.name.clone(), reason };
        if let UpdateFunction::User(user) = &spec.update {
            return T::user_update(user, functions).map_err(wrong);
        }
        check_parameters(spec.update).map_err(|reason| wrong(reason.to_owned()))?;
        if matches!(spec.update, UpdateFunction::BlockProx(_)) && (spec.dtype, spec.width) != (DType::F64, 2) {
            return Err(wrong(format!("block prox needs 2 x f64 a key, not {} x {}", spec.width, spec.dtype)));
        }
        let missing = || wrong(format!("dtype {} has only the update functions sum and assign", T::DTYPE));
        T::update(spec.update).ok_or_else(missing)
    }
}

/// A user's function for floats.
pub(super) fn user_float<T: Element<Sum: Float>>(
    user: &UserUpdate,
    functions: &Functions,
) -> Result<Update<T>, String> {
    user::resolve(user, functions)
}

/// The function for floats.
pub(super) fn float<T: Element<Sum: Float>>(function: UpdateFunction) -> Option<Update<T>> {
    Some(match function {
        UpdateFunction::Sum => Update::Sum,
        UpdateFunction::Assign => Update::Assign,
        UpdateFunction::Sgd(sgd) => Update::Stateless(Box::new(SgdRate::<T::Sum>::from(sgd))),
        UpdateFunction::Prox(prox) => Update::Stateless(Box::new(ProxRate::<T::Sum>::from(prox))),
        UpdateFunction::Adagrad(adagrad) => Update::Stateful(Box::new(AdagradRate::<T::Sum>::from(adagrad))),
        UpdateFunction::Adam(adam) => Update::Stateful(Box::new(AdamRate::<T::Sum>::from(adam))),
        UpdateFunction::Ftrl(ftrl) => Update::Stateful(Box::new(FtrlRate::<T::Sum>::from(ftrl))),
        UpdateFunction::BlockProx(prox) => Update::Stateful(Box::new(BlockProxStep::<T::Sum>::from(prox))),
        // Found by its name among those of the server program.
        UpdateFunction::User(_) => return None,
    })
}

/// State numbers per element.
pub(super) fn state_numbers(function: UpdateFunction) -> usize {
    match function {
        UpdateFunction::Sum | UpdateFunction::Assign | UpdateFunction::Sgd(_) | UpdateFunction::Prox(_) => 0,
        UpdateFunction::Adagrad(_) => adagrad::NUMBERS,
        UpdateFunction::Ftrl(_) => ftrl::NUMBERS,
        UpdateFunction::Adam(_) => adam::NUMBERS,
        UpdateFunction::User(user) => usize::from(user.state_numbers),
        UpdateFunction::BlockProx(_) => block_prox::NUMBERS,
    }
}

fn check_parameters(function: UpdateFunction) -> Result<(), &'static str> {
    match function {
        UpdateFunction::Sum | UpdateFunction::Assign | UpdateFunction::User(_) => Ok(()),
        UpdateFunction::Sgd(sgd) => sgd::check(sgd),
        UpdateFunction::Prox(prox) => prox::check(prox),
        UpdateFunction::Adagrad(adagrad) => adagrad::check(adagrad),
        UpdateFunction::Adam(adam) => adam::check(adam),
        UpdateFunction::Ftrl(ftrl) => ftrl::check(ftrl),
        UpdateFunction::BlockProx(prox) => block_prox::check(prox),
    }
}

/// Whether it can be a learning rate or a divisor.
fn is_positive(number: f32) -> bool {
    number.is_finite() && number > 0.0
}

/// Whether it can be the strength of a norm.
fn is_strength(number: f32) -> bool {
    number.is_finite() && number >= 0.0
}
