//! Synthetic click data like Criteo's, with a planted model whose best possible loss is known.
//!
//! 13 binned integers and 26 categories a row, each drawn from a power law over its field's values;
//! some values carry a weight, and the label is drawn from the logistic of their sum. Everything is
//! a function of (seed, stream, rows): rows come in chunks with a generator of their own, so they
//! are made on all cores and are the same on every machine.

mod model;
mod popularity;
mod random;
mod text;

use self::model::PlantedModel;
use self::text::push_row;
use super::BITS_MAX;
use super::batch::RowBatch;
use super::error::DataError;
use super::format::Format;
use super::output::{AtomicFile, RowSink};
use super::parser::RowParser;
use super::vw::VwParser;
use rayon::prelude::*;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Rows with a generator of their own.
const CHUNK_ROWS: u64 = 4096;
/// Chunks that are in memory at a time.
const CHUNKS_AT_ONCE: u64 = 32;
/// Fields of a row.
const FIELDS: usize = 39;

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateConfig {
    /// Number of rows.
    pub rows: u64,
    /// Draws the planted model, and with `stream` the rows. The default has the published figures.
    pub seed: u64,
    /// Rows of one model but another stream are others: 0 for training, 1 for tests.
    pub stream: u64,
    /// Bits of keys, for libsvm and block.
    pub bits: u8,
    /// How to write the rows.
    pub format: Format,
}

impl Default for GenerateConfig {
    fn default() -> GenerateConfig {
        GenerateConfig { rows: 1_000_000, seed: 42, stream: 0, bits: 22, format: Format::Vw }
    }
}

/// What was generated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GenerateSummary {
    /// Rows written.
    pub rows: u64,
    /// Share of rows with label 1.
    pub base_rate: f64,
    /// Mean log loss, on these rows, of whoever knows the planted model: no learner does better but by luck.
    pub bayes_log_loss: f64,
    /// What that loss is expected to be: the mean entropy of the labels.
    pub bayes_log_loss_expected: f64,
    /// Mean log loss of the base rate as the constant prediction.
    pub constant_log_loss: f64,
    /// Bytes written.
    pub bytes: u64,
}

/// Sums over rows; added in the order of the chunks, so that they are the same with any number of threads.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    rows: u64,
    positives: u64,
    loss: f64,
    entropy: f64,
}

/// Generates rows into the file `out`, which appears whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn generate(config: &GenerateConfig, out: &Path) -> Result<GenerateSummary, DataError> {
    let failed = |error| DataError::write(out, error);
    let model = PlantedModel::new(config.seed);
    let mut file = AtomicFile::create(out)?;
    let mut sums = Sums::default();
    let mut bytes = 0;
    if matches!(config.format, Format::Vw | Format::Criteo) {
        each_chunk(
            config,
            &model,
            &mut sums,
            |text| text,
            |text| {
                bytes += text.len() as u64;
                file.write_all(&text).map_err(failed)
            },
        )?;
    } else if let Some(mut sink) = RowSink::new(config.format, &mut file).map_err(failed)? {
        let hashed = |text: Vec<u8>| hashed_rows(&text, config.bits);
        each_chunk(config, &model, &mut sums, hashed, |rows| sink.push_rows(&rows?).map_err(failed))?;
        bytes = sink.finish().map_err(failed)?.1.bytes;
    }
    file.commit()?;
    Ok(sums.summary(bytes))
}

/// Makes the chunks on all cores, passes each through `prepare` there, and gives them to `write` in order.
fn each_chunk<T: Send>(
    config: &GenerateConfig,
    model: &PlantedModel,
    sums: &mut Sums,
    prepare: impl Fn(Vec<u8>) -> T + Sync,
    mut write: impl FnMut(T) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let chunks = config.rows.div_ceil(CHUNK_ROWS);
    for first in (0..chunks).step_by(CHUNKS_AT_ONCE as usize) {
        let group = first..chunks.min(first + CHUNKS_AT_ONCE);
        let made: Vec<(T, Sums)> = group
            .into_par_iter()
            .map(|chunk| {
                let (text, sums) = make_chunk(config, model, chunk);
                (prepare(text), sums)
            })
            .collect();
        for (prepared, chunk_sums) in made {
            write(prepared)?;
            sums.add(&chunk_sums);
        }
    }
    Ok(())
}

fn make_chunk(config: &GenerateConfig, model: &PlantedModel, chunk: u64) -> (Vec<u8>, Sums) {
    let rows = CHUNK_ROWS.min(config.rows - chunk * CHUNK_ROWS);
    let mut random = random::Random::of(&[config.seed, config.stream, chunk]);
    let mut text = Vec::with_capacity(rows as usize * 320);
    let mut sums = Sums { rows, ..Sums::default() };
    let mut ranks = [0; FIELDS];
    for _ in 0..rows {
        let probability = model.draw_row(&mut random, &mut ranks);
        let is_positive = random.unit() < probability;
        sums.count(probability, is_positive);
        push_row(config.format, is_positive, &ranks, &mut text);
    }
    (text, sums)
}

/// The rows that a reader would make of Vowpal Wabbit text, so that all formats have the same keys.
fn hashed_rows(text: &[u8], bits: u8) -> Result<RowBatch, DataError> {
    let mut rows = RowBatch::default();
    match VwParser::new(bits.min(BITS_MAX)).parse(text, usize::MAX, &mut rows) {
        Ok(_) => Ok(rows),
        Err(bad) => Err(DataError::Line { path: "generated rows".into(), line: 0, reason: bad.reason }),
    }
}

impl Sums {
    fn count(&mut self, probability: f64, is_positive: bool) {
        let (loss_1, loss_0) = (-libm::log(probability), -libm::log(1.0 - probability));
        self.positives += u64::from(is_positive);
        self.loss += if is_positive { loss_1 } else { loss_0 };
        self.entropy += probability * loss_1 + (1.0 - probability) * loss_0;
    }

    fn add(&mut self, other: &Sums) {
        self.rows += other.rows;
        self.positives += other.positives;
        self.loss += other.loss;
        self.entropy += other.entropy;
    }

    fn summary(&self, bytes: u64) -> GenerateSummary {
        let rows = self.rows.max(1) as f64;
        let base_rate = self.positives as f64 / rows;
        let part = |share: f64| if share > 0.0 { -share * libm::log(share) } else { 0.0 };
        GenerateSummary {
            rows: self.rows,
            base_rate,
            bayes_log_loss: self.loss / rows,
            bayes_log_loss_expected: self.entropy / rows,
            constant_log_loss: part(base_rate) + part(1.0 - base_rate),
            bytes,
        }
    }
}

#[cfg(test)]
mod tests;
