//! Update functions of the user.
//!
//! What comes out is bounded as with the built-in ones: a number that is not finite becomes the largest of
//! its sign, so that no push makes a value or state infinite.

use super::{StateUpdate, Update};
use crate::simd::Float;
use crate::store::Numbers;
use crate::store::element::Element;
use crate::store::function::{Functions, guard};
use crate::store::typed::numbers;
use crate::wire::{USER_PARAMETERS, UserUpdate};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zerocopy::IntoBytes;

/// State numbers that a function may keep for each number of a value.
const STATE_NUMBERS_MAX: u8 = 16;

/// What a server does with an aggregated push, of the user's making. Each number of a key stands for itself.
///
/// A call gets some numbers of some keys, in no order that means anything: what is computed for one number
/// must not depend on the others, nor on how often the function is called. `state` is a run of
/// `values.len()` numbers for each state number, zero at first; `pushed` has `values.len()` numbers: in
/// `Sequential` tables their sum over the step, otherwise one push.
///
/// Where a call panics, the numbers that it was given are put back, values and state; what the push does to other
/// numbers stays or comes still. A push that is applied in part cannot be taken back, so that ends the job with an
/// error that names table and function, and the push is refused with the same words.
pub trait UpdateStep: Send + Sync {
    /// State numbers for each number of a value.
    fn state_numbers(&self) -> u8 {
        0
    }

    /// Updates numbers of tables of f32, and of bf16, which compute in f32.
    fn apply_f32(&self, parameters: &[f32; USER_PARAMETERS], state: &mut [f32], values: &mut [f32], pushed: &[f32]);

    /// Updates numbers of tables of f64.
    fn apply_f64(&self, parameters: &[f32; USER_PARAMETERS], state: &mut [f64], values: &mut [f64], pushed: &[f64]);
}

/// A user's function with what its table declares.
struct Declared<S> {
    step: Arc<dyn UpdateStep>,
    parameters: [f32; USER_PARAMETERS],
    /// Used by the shard's thread alone.
    guarded: Mutex<Guarded<S>>,
}

struct Guarded<S> {
    /// Values and state of the call under way, as they were.
    before: Vec<S>,
    /// The words of the first panic.
    panic: Option<String>,
}

impl<S> Declared<S> {
    fn guarded(&self) -> MutexGuard<'_, Guarded<S>> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the user's code.
    fn step(&self, state: &mut [S], values: &mut [S], pushed: &[S])
    where
        S: Element,
    {
        match (S::numbers(state), S::numbers(values)) {
            (Numbers::F32(state), Numbers::F32(values)) => {
                self.step.apply_f32(&self.parameters, state, values, &numbers(pushed.as_bytes()));
            }
            (Numbers::F64(state), Numbers::F64(values)) => {
                self.step.apply_f64(&self.parameters, state, values, &numbers(pushed.as_bytes()));
            }
            // Only the types that are computed in are floats here.
            _ => {}
        }
    }
}

/// The function that a table declares, where the server program has it.
pub(super) fn resolve<T: Element<Sum: Float>>(user: &UserUpdate, functions: &Functions) -> Result<Update<T>, String> {
    let step = Arc::clone(functions.update(user.name.as_str())?);
    let panicked = |words| format!("update function '{}' panicked: {words}", user.name);
    let (keeps, declared) = (guard(|| step.state_numbers()).map_err(panicked)?, user.state_numbers);
    if keeps != declared || keeps > STATE_NUMBERS_MAX {
        return Err(format!(
            "update function '{}' keeps {keeps} state numbers, the table declares {declared}, at most {STATE_NUMBERS_MAX}",
            user.name
        ));
    }
    let guarded = Mutex::new(Guarded { before: Vec::new(), panic: None });
    Ok(Update::Stateful(Box::new(Declared::<T::Sum> { step, parameters: user.parameters, guarded })))
}

impl<S: Element + Float> StateUpdate<S> for Declared<S> {
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]) {
        let mut guarded = self.guarded();
        guarded.before.clear();
        guarded.before.extend_from_slice(values);
        guarded.before.extend_from_slice(state);
        if let Err(words) = guard(|| self.step(state, values, pushed)) {
            let (values_before, state_before) = guarded.before.split_at(values.len());
            values.copy_from_slice(values_before);
            state.copy_from_slice(state_before);
            guarded.panic.get_or_insert(words);
            return;
        }
        values.iter_mut().chain(state).for_each(|number| *number = number.saturate());
    }

    fn take_panic(&self) -> Option<String> {
        self.guarded().panic.take()
    }
}
