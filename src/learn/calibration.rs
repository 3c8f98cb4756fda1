//! Whether predicted probabilities come true: rows in ten parts by their score.

use super::logistic::probability;
use super::metric::{ScoreCount, Scores, score_of};
use serde::Serialize;

/// Parts that the rows are divided into.
const PARTS: u64 = 10;

/// The rows of one tenth of the scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Decile {
    /// Number of rows.
    pub rows: u64,
    /// Mean predicted probability.
    pub mean_predicted: f64,
    /// Share of rows with label 1.
    pub base_rate: f64,
}

/// Ten parts of the rows in order of score. Rows of equal score stay together, in the part of the
/// first of them, so parts may differ in size and empty ones are left out.
#[must_use]
pub fn deciles(scores: &Scores) -> Vec<Decile> {
    let rows_of = |count: &ScoreCount| u64::from(count.positive) + u64::from(count.negative);
    let total: u64 = scores.counts().map(|count| rows_of(&count)).sum();
    let mut sums = [(0u64, 0.0f64, 0u64); PARTS as usize];
    let mut before = 0;
    for count in scores.counts() {
        let part = u128::from(before) * u128::from(PARTS) / u128::from(total);
        let (rows, predicted, positives) = &mut sums[part as usize];
        *rows += rows_of(&count);
        *predicted += f64::from(probability(score_of(count.score))) * rows_of(&count) as f64;
        *positives += u64::from(count.positive);
        before += rows_of(&count);
    }
    let decile = |(rows, predicted, positives): (u64, f64, u64)| Decile {
        rows,
        mean_predicted: predicted / rows as f64,
        base_rate: positives as f64 / rows as f64,
    };
    sums.into_iter().filter(|(rows, ..)| *rows > 0).map(decile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_where_scores_differ() {
        let mut scores = Scores::default();
        (0..1000u16).for_each(|row| scores.add(f32::from(row) / 100.0 - 5.0, f32::from(row % 2)));
        let parts = deciles(&scores);
        assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [100; 10]);
        assert!(parts.windows(2).all(|pair| pair[0].mean_predicted < pair[1].mean_predicted));
        assert!(parts.iter().all(|part| (part.base_rate - 0.5).abs() < 1e-12));
    }

    #[test]
    fn equal_scores_stay_together() {
        let mut scores = Scores::default();
        (0..30).for_each(|row| scores.add(if row < 25 { -1.0 } else { 1.0 }, 1.0));
        let parts = deciles(&scores);
        assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [25, 5]);
        assert!(deciles(&Scores::default()).is_empty());
    }
}
