//! The built-in function `norms`: how many keys and non-zeros, the sums of sizes and of squares, of the
//! first number of each key. The sums are exact, so they depend on the values alone.

use super::call::{CallFunction, CallRun, RowBlock};
use super::exact_sum::ExactSum;
use crate::wire::TableSpec;

/// What the function `norms` says of the first number of each key. It takes no arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Norms {
    key_count: u64,
    nonzero_count: u64,
    sizes: ExactSum,
    squares: ExactSum,
}

impl Norms {
    /// Of all shards, by their answers.
    ///
    /// # Errors
    /// One line when they are not answers of this function.
    pub fn of_answers(answers: &[Vec<u8>]) -> Result<Norms, String> {
        let mut norms = Norms::default();
        for answer in answers {
            let own = Norms::from_bytes(answer).ok_or_else(|| format!("{} bytes are no norms", answer.len()))?;
            norms.key_count += own.key_count;
            norms.nonzero_count += own.nonzero_count;
            norms.sizes.merge(&own.sizes);
            norms.squares.merge(&own.squares);
        }
        Ok(norms)
    }

    /// Keys with a row.
    #[must_use]
    pub fn key_count(&self) -> u64 {
        self.key_count
    }

    /// Keys whose first number is not zero.
    #[must_use]
    pub fn nonzero_count(&self) -> u64 {
        self.nonzero_count
    }

    /// Sum of the numbers without their signs: the L1 norm.
    #[must_use]
    pub fn l1(&self) -> f64 {
        self.sizes.value()
    }

    /// Sum of the numbers' squares, each rounded to a double: the square of the L2 norm.
    #[must_use]
    pub fn squares(&self) -> f64 {
        self.squares.value()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let counts = [self.key_count, self.nonzero_count].into_iter().flat_map(u64::to_le_bytes);
        counts.chain(self.sizes.to_bytes()).chain(self.squares.to_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Norms> {
        let (key_count, rest) = bytes.split_first_chunk::<8>()?;
        let (nonzero_count, rest) = rest.split_first_chunk::<8>()?;
        let (sizes, squares) = rest.split_at_checked(ExactSum::BYTES)?;
        let (key_count, nonzero_count) = (u64::from_le_bytes(*key_count), u64::from_le_bytes(*nonzero_count));
        let (sizes, squares) = (ExactSum::from_bytes(sizes)?, ExactSum::from_bytes(squares)?);
        Some(Norms { key_count, nonzero_count, sizes, squares })
    }
}

/// The function.
pub(super) struct NormsFunction;

impl CallFunction for NormsFunction {
    fn begin(&self, _: &TableSpec, arguments: &[u8]) -> Result<Box<dyn CallRun>, String> {
        match arguments {
            [] => Ok(Box::new(Norms::default())),
            _ => Err(format!("norms takes no arguments, not {} bytes", arguments.len())),
        }
    }
}

impl CallRun for Norms {
    fn rows(&mut self, rows: RowBlock<'_>) {
        self.key_count += rows.keys.len() as u64;
        for row in 0..rows.keys.len() {
            let number = rows.values.number(row * rows.width);
            if number != 0.0 {
                self.nonzero_count += 1;
                self.sizes.add(number.abs());
                self.squares.add(number * number);
            }
        }
    }

    fn answer(self: Box<Self>) -> Result<Vec<u8>, String> {
        Ok(self.to_bytes())
    }
}
