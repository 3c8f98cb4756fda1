//! What a model file keeps of a table's rows: their values and state as they are, but of block
//! proximal gradient the weight alone, as one f32, so that the model reads like any other linear
//! model. Its trust regions begin anew.

use super::element::Element;
use super::update::state_numbers;
use crate::wire::{DType, TableSpec, UpdateFunction};
use zerocopy::{FromBytes, IntoBytes};

/// The rows of a table in a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SavedForm {
    pub(super) dtype: DType,
    pub(super) width: u16,
    pub(super) state_numbers: usize,
    weight_alone: bool,
}

impl SavedForm {
    pub(super) fn of(spec: &TableSpec) -> SavedForm {
        match spec.update {
            UpdateFunction::BlockProx(_) => {
                SavedForm { dtype: DType::F32, width: 1, state_numbers: 0, weight_alone: true }
            }
            update => SavedForm {
                dtype: spec.dtype,
                width: spec.width,
                state_numbers: state_numbers(update),
                weight_alone: false,
            },
        }
    }

    /// Bytes of a key's value.
    pub(super) fn value_size(self) -> usize {
        self.dtype.bytes() * usize::from(self.width)
    }

    /// Bytes of a key's state.
    pub(super) fn state_size(self) -> usize {
        self.state_numbers * usize::from(self.width) * self.dtype.accumulator().bytes()
    }

    /// Whether a row without state is worth keeping.
    pub(super) fn is_nonzero<T: Element>(self, row: &[T]) -> bool {
        match self.weight_alone {
            true => weight(row) != 0.0,
            false => row.iter().any(|&value| value != T::default()),
        }
    }

    /// Gives the bytes of a row's value to `take`.
    pub(super) fn with_value<T: Element>(self, row: &[T], take: impl FnOnce(&[u8])) {
        match self.weight_alone {
            true => take(weight(row).as_bytes()),
            false => take(row.as_bytes()),
        }
    }
}

/// The first number of a row of f64, which is the only type of such tables.
fn weight<T: Element>(row: &[T]) -> f32 {
    f64::read_from_prefix(row.as_bytes()).map_or(0.0, |(weight, _)| weight as f32)
}
