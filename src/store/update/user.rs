//! Update functions of the user.
//!
//! What comes out is bounded as with the built-in ones: a number that is not finite becomes the largest of
//! its sign, so that no push makes a value or state infinite.

use super::{StateUpdate, Update};
use crate::simd::Float;
use crate::store::Numbers;
use crate::store::element::Element;
use crate::store::function::Functions;
use crate::store::typed::numbers;
use crate::wire::{USER_PARAMETERS, UserUpdate};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// State numbers that a function may keep for each number of a value.
const STATE_NUMBERS_MAX: u8 = 16;

/// What a server does with an aggregated push, of the user's making. Each number of a key stands for itself.
///
/// A call gets some numbers of some keys, in no order that means anything: what is computed for one number
/// must not depend on the others, nor on how often the function is called. `state` is a run of
/// `values.len()` numbers for each state number, zero at first; `pushed` has `values.len()` numbers: in
/// `Sequential` tables their sum over the step, otherwise one push.
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
struct Declared {
    step: Arc<dyn UpdateStep>,
    parameters: [f32; USER_PARAMETERS],
}

/// The function that a table declares, where the server program has it.
pub(super) fn resolve<T: Element<Sum: Float>>(user: &UserUpdate, functions: &Functions) -> Result<Update<T>, String> {
    let step = Arc::clone(functions.update(user.name.as_str())?);
    let (keeps, declared) = (step.state_numbers(), user.state_numbers);
    if keeps != declared || keeps > STATE_NUMBERS_MAX {
        return Err(format!(
            "update function '{}' keeps {keeps} state numbers, the table declares {declared}, at most {STATE_NUMBERS_MAX}",
            user.name
        ));
    }
    Ok(Update::Stateful(Box::new(Declared { step, parameters: user.parameters })))
}

impl<S: Element + Float> StateUpdate<S> for Declared {
    fn apply(&self, state: &mut [S], values: &mut [S], pushed: &[S]) {
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
        values.iter_mut().chain(state).for_each(|number| *number = number.saturate());
    }
}
