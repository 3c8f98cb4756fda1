//! The planted model: which values of which fields carry a weight.

use super::super::criteo::INTEGER_FIELDS;
use super::FIELDS;
use super::popularity::{HEAD_RANKS, Popularity};
use super::random::Random;

/// Values of each field: bins of the 13 integers, then the 26 categories of Criteo's Kaggle set.
const VALUES: [u32; FIELDS] = [
    50, 95, 105, 45, 145, 110, 80, 65, 100, 10, 40, 45, 70, //
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306,
    10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];
/// Fields with at most so many values carry weights more often, and smaller ones.
const SMALL_FIELD: u32 = 100;
const INTERCEPT: f64 = -1.1211;

/// Weights of all values; those of popular ones are kept, others are drawn anew each time.
#[derive(Debug)]
pub(super) struct PlantedModel {
    seed: u64,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    popularity: Popularity,
    head_weights: Vec<f64>,
}

impl PlantedModel {
    /// The model that belongs to `seed`.
    pub(super) fn new(seed: u64) -> PlantedModel {
        let fields = (0..FIELDS).map(|field| Field {
            popularity: Popularity::new(VALUES[field]),
            head_weights: (0..VALUES[field].min(HEAD_RANKS as u32)).map(|rank| weight(seed, field, rank)).collect(),
        });
        PlantedModel { seed, fields: fields.collect() }
    }

    /// Draws the fields of a row; gives the probability that its label is 1.
    pub(super) fn draw_row(&self, random: &mut Random, ranks: &mut [u32; FIELDS]) -> f64 {
        let mut sum = INTERCEPT;
        for (field, (drawn, rank)) in self.fields.iter().zip(ranks).enumerate() {
            *rank = drawn.popularity.draw(random);
            sum += match drawn.head_weights.get(*rank as usize) {
                Some(&weight) => weight,
                None => weight(self.seed, field, *rank),
            };
        }
        1.0 / (1.0 + libm::exp(-sum))
    }
}

/// The weight of one value; mostly zero.
fn weight(seed: u64, field: usize, rank: u32) -> f64 {
    let mut random = Random::of(&[seed, u64::MAX, field as u64, u64::from(rank)]);
    let (share, deviation) = if VALUES[field] <= SMALL_FIELD { (0.5, 0.25) } else { (0.1, 0.6) };
    if random.unit() < share { random.normal() * deviation } else { 0.0 }
}

const _: () = assert!(INTEGER_FIELDS < FIELDS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_as_many_as_published() {
        assert_eq!(VALUES[INTEGER_FIELDS..].iter().sum::<u32>(), 33_762_577);
    }
}
