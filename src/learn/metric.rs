//! What a model is judged by: log loss, area under the curve, calibration. All exact.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows with one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreCount {
    /// The score in an order-preserving form; see [`ordered_bits`].
    pub score: u32,
    /// Rows with label 1.
    pub positive: u32,
    /// Rows with label 0.
    pub negative: u32,
}

/// A number that orders as `score` does, with -0 and 0 made equal.
#[must_use]
pub fn ordered_bits(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The score that has these ordered bits.
#[must_use]
pub fn score_of(ordered_bits: u32) -> f32 {
    f32::from_bits(if ordered_bits >> 31 == 1 { ordered_bits & !(1 << 31) } else { !ordered_bits })
}

/// Collects scored rows; its size grows with the number of different scores.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    counts: BTreeMap<u32, (u64, u64)>,
    loss_sum: f64,
    probability_sum: f64,
}

/// Figures of a scored data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Number of rows.
    pub rows: u64,
    /// Mean log loss.
    pub log_loss: f64,
    /// Area under the receiver operating characteristic; ties count half. Absent when one label is missing.
    pub auc: Option<f64>,
    /// Share of rows with label 1.
    pub base_rate: f64,
    /// Mean predicted probability over the base rate; 1 is calibrated. Absent without label 1.
    pub calibration: Option<f64>,
}

impl Scores {
    /// Adds one row.
    pub fn add(&mut self, margin: f32, label: f32) {
        let count = self.counts.entry(ordered_bits(margin)).or_default();
        *(if label > 0.5 { &mut count.0 } else { &mut count.1 }) += 1;
        self.loss_sum += super::logistic::log_loss(margin, label);
        self.probability_sum += f64::from(super::logistic::probability(margin));
    }

    /// Adds what another node has counted.
    pub fn merge(&mut self, counts: &[ScoreCount], loss_sum: f64, probability_sum: f64) {
        for count in counts {
            let own = self.counts.entry(count.score).or_default();
            own.0 += u64::from(count.positive);
            own.1 += u64::from(count.negative);
        }
        self.loss_sum += loss_sum;
        self.probability_sum += probability_sum;
    }

    /// Sum of log losses, and of predicted probabilities.
    #[must_use]
    pub fn sums(&self) -> (f64, f64) {
        (self.loss_sum, self.probability_sum)
    }

    /// All counts in order of score.
    pub fn counts(&self) -> impl Iterator<Item = ScoreCount> {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.counts.iter().map(move |(&score, &(positive, negative))| ScoreCount {
            score,
            positive: narrow(positive),
            negative: narrow(negative),
        })
    }

    /// Number of different scores.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The figures; none without rows.
    #[must_use]
    pub fn quality(&self) -> Option<Quality> {
        let (mut positives, mut negatives) = (0u64, 0u64);
        // Pairs that are ordered right, counted twice so that half a pair is a whole number.
        let mut right_twice = 0u128;
        for &(positive, negative) in self.counts.values() {
            right_twice += u128::from(positive) * (2 * u128::from(negatives) + u128::from(negative));
            positives += positive;
            negatives += negative;
        }
        let rows = positives + negatives;
        if rows == 0 {
            return None;
        }
        let pairs = u128::from(positives) * u128::from(negatives);
        Some(Quality {
            rows,
            log_loss: self.loss_sum / rows as f64,
            auc: (pairs > 0).then(|| right_twice as f64 / (2 * pairs) as f64),
            base_rate: positives as f64 / rows as f64,
            calibration: (positives > 0).then(|| self.probability_sum / positives as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_area_equals_the_share_of_ordered_pairs(rows in prop::collection::vec((-3i8..4, any::<bool>()), 2..60)) {
            let mut scores = Scores::default();
            rows.iter().for_each(|&(score, label)| scores.add(f32::from(score), f32::from(u8::from(label))));
            let (mut right, mut pairs) = (0.0, 0.0);
            for &(high, _) in rows.iter().filter(|row| row.1) {
                for &(low, _) in rows.iter().filter(|row| !row.1) {
                    pairs += 1.0;
                    right += if high > low { 1.0 } else if high == low { 0.5 } else { 0.0 };
                }
            }
            let auc = scores.quality().expect("rows").auc;
            prop_assert_eq!(auc.is_some(), pairs > 0.0);
            if let Some(auc) = auc {
                prop_assert!((auc - right / pairs).abs() < 1e-12);
            }
        }

        #[test]
        fn ordered_bits_order_as_floats_do(left: f32, right: f32) {
            if left < right {
                prop_assert!(ordered_bits(left) < ordered_bits(right));
            }
            prop_assert_eq!(score_of(ordered_bits(left)), left);
        }
    }

    #[test]
    fn what_nodes_counted_apart_merges_to_the_same_figures() {
        let (mut whole, mut merged, mut part) = (Scores::default(), Scores::default(), Scores::default());
        for row in 0..100 {
            let (margin, label) = ((row % 7) as f32 - 3.0, f32::from(u8::from(row % 3 == 0)));
            whole.add(margin, label);
            part.add(margin, label);
            if row % 10 == 9 {
                let (loss, probability) = part.sums();
                merged.merge(&part.counts().collect::<Vec<_>>(), loss, probability);
                part = Scores::default();
            }
        }
        assert_eq!(whole.quality().expect("rows").auc, merged.quality().expect("rows").auc);
    }
}
