//! A trained linear model: weights by key, and the bias that every row gets.
//!
//! The model file notes how keys were made (`bits`, when names were hashed) and whether there is a
//! bias, whose key is the last of the table. A key that the model does not have weighs nothing.

use super::config::WEIGHTS;
use super::data::{BITS_MAX, Beyond, DataFile, LocalBatch, ReaderConfig};
use super::error::LearnError;
use super::logistic;
use crate::client::Model;
use std::path::Path;

/// Weights and bias, ready to score rows.
#[derive(Debug)]
pub struct LinearModel {
    weights: Model,
    bias: f32,
    bits: Option<u8>,
    data_end: u64,
}

/// One row as a model sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRow {
    /// The sum of weights times values.
    pub margin: f32,
    /// 0 or 1, as the data say.
    pub label: f32,
}

impl LinearModel {
    /// Opens a model file as training wrote it, and verifies it.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or holds no such model.
    pub fn open(path: &Path) -> Result<LinearModel, LearnError> {
        let weights = Model::open(path, WEIGHTS)?;
        let wrong = |reason: String| LearnError::Model { path: path.to_owned(), reason };
        let bits = match weights.metadata("bits").map(|text| (text, text.parse::<u8>())) {
            None => None,
            Some((_, Ok(bits))) if (1..=BITS_MAX).contains(&bits) => Some(bits),
            Some((text, _)) => return Err(wrong(format!("its `bits` are {text:?}, not from 1 to {BITS_MAX}"))),
        };
        let has_bias = weights.metadata("bias") == Some("true");
        let key_end = weights.table().key_end;
        let data_end = key_end.saturating_sub(u64::from(has_bias));
        let mut bias = [0.0];
        if has_bias {
            weights.gather(&[data_end], &mut bias);
        }
        Ok(LinearModel { weights, bias: bias[0], bits, data_end })
    }

    /// How to read `files` for this model: keys outside its key space are left out. `bits` is for
    /// models that do not note them.
    ///
    /// # Errors
    /// When names in the data cannot be hashed as the model wants it.
    pub fn reader_config(
        &self,
        files: &[DataFile],
        bits: Option<u8>,
        skip_bad_lines: bool,
    ) -> Result<ReaderConfig, LearnError> {
        let wrong = |reason: String| Err(LearnError::Model { path: self.weights.path().to_owned(), reason });
        let hashed = files.iter().find(|file| file.format.is_hashed());
        let bits = match (self.bits, bits, hashed) {
            (Some(own), Some(bits), _) if own != bits => {
                return wrong(format!("trained with {own} bits of hashed keys, not {bits}; leave --bits out"));
            }
            (None, None, Some(file)) => {
                return wrong(format!(
                    "it does not say how names become keys, and {} has names ({}); give --bits as for its training data",
                    file.path.display(),
                    file.format
                ));
            }
            (own, bits, _) => own.or(bits).unwrap_or(ReaderConfig::default().bits),
        };
        Ok(ReaderConfig { bits, key_end: Some(self.data_end), beyond: Beyond::Drop, skip_bad_lines })
    }

    /// Scores the rows of a minibatch. `weights` is working memory.
    #[must_use]
    pub fn score(&self, batch: &LocalBatch, weights: &mut Vec<f32>) -> Vec<ScoredRow> {
        weights.resize(batch.unique.len(), 0.0);
        self.weights.gather(&batch.unique, weights);
        let row =
            |row| ScoredRow { margin: logistic::margin(batch, row, weights) + self.bias, label: batch.labels[row] };
        (0..batch.row_count()).map(row).collect()
    }
}
