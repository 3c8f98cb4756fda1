//! Which features form a block: those whose keys hash to the same number, so that all workers agree
//! without a word. A row has less than one other feature of a feature's block on average; then a step on
//! a whole block is nearly as long as one on each feature alone.

use super::column::LocalData;
use crate::client::{ClientError, KeyList};

/// Blocks for each feature of a row.
const BLOCKS_PER_FEATURE: f64 = 2.0;
const BLOCKS_MAX: u64 = 256;

/// How many blocks suit rows of so many active features: a power of two.
pub(super) fn block_count(features_per_row: f64) -> u64 {
    let wanted = (features_per_row * BLOCKS_PER_FEATURE).clamp(1.0, BLOCKS_MAX as f64);
    (wanted as u64).next_power_of_two()
}

/// The features of one block that this worker has.
pub(super) struct Block {
    pub(super) features: Vec<u32>,
    pub(super) keys: KeyList,
}

/// The blocks of some passes.
pub(super) struct Plan {
    pub(super) blocks: Vec<Block>,
}

impl Plan {
    /// Blocks of the active features.
    ///
    /// # Errors
    /// None that can happen: keys are ascending.
    pub(super) fn new(data: &LocalData, active: &[bool], count: u64) -> Result<Plan, ClientError> {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); count as usize];
        let active = active.iter().enumerate().filter(|(_, active)| **active);
        active.for_each(|(feature, _)| members[block_of(data.keys[feature], count)].push(feature as u32));
        let block = |features: Vec<u32>| {
            let keys = features.iter().map(|&feature| data.keys[feature as usize]).collect();
            KeyList::new(keys).map(|keys| Block { features, keys })
        };
        Ok(Plan { blocks: members.into_iter().map(block).collect::<Result<_, ClientError>>()? })
    }

    /// The blocks in this pass's order.
    pub(super) fn order(&self, seed: u64, pass: u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|&block| mixed(mixed(seed ^ (u64::from(pass) << 32)) ^ block as u64));
        order
    }
}

/// For each entry of the columns, its size times the sum of sizes of its row's entries in the same block
/// and, where weights come late, of as many other blocks on average: the bend of a row times this, summed over a
/// column, bounds the curvature that a step on all of these features meets.
pub(super) fn overlaps(data: &LocalData, count: u64, delay: u32) -> Vec<f32> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); count as usize];
    let features = data.keys.iter().enumerate();
    features.for_each(|(feature, &key)| members[block_of(key, count)].push(feature as u32));
    let late = if count > 1 { f64::from(delay.min(count as u32 - 1)) / (count - 1) as f64 } else { 0.0 };
    let mut sizes = vec![0.0f32; data.rows.count()];
    (0..data.rows.count()).for_each(|row| data.rows.for_each(row, |_, value| sizes[row] += value.abs() * late as f32));
    let mut overlaps = vec![0.0f32; data.columns.entry_count()];
    let mut own = vec![0.0f32; data.rows.count()];
    for members in members {
        let features = || members.iter().map(|&feature| feature as usize);
        features().for_each(|feature| data.columns.for_each(feature, |row, value| own[row] += value.abs()));
        for feature in features() {
            let mut entry = data.columns.span(feature).start;
            data.columns.for_each(feature, |row, value| {
                overlaps[entry] = value.abs() * (own[row] + sizes[row]);
                entry += 1;
            });
        }
        features().for_each(|feature| data.columns.for_each(feature, |row, _| own[row] = 0.0));
    }
    overlaps
}

fn block_of(key: u64, count: u64) -> usize {
    (mixed(key) % count) as usize
}

/// The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mixed(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::data::LocalBatch;
    use crate::learn::dbpg::column::Loader;

    fn data() -> LocalData {
        let mut batch = LocalBatch { unique: (0..40).map(|key| key * 3 + 1).collect(), ..LocalBatch::default() };
        for row in 0..25u32 {
            batch.labels.push(1.0);
            batch.local.extend((0..8).map(|place| (row * 7 + place * 5) % 40));
            batch.values.extend((0..8).map(|place| (row + place) as f32 * 0.5 - 6.0));
            batch.offsets.push(batch.local.len() as u32);
        }
        let mut loader = Loader::default();
        loader.add(batch);
        loader.finish()
    }

    #[test]
    fn every_active_feature_is_in_one_block_and_every_block_in_an_order() {
        let data = data();
        let active: Vec<bool> = (0..40).map(|feature| feature % 3 != 0).collect();
        let plan = Plan::new(&data, &active, 8).expect("ascending keys");
        let mut features: Vec<u32> = plan.blocks.iter().flat_map(|block| block.features.clone()).collect();
        features.sort_unstable();
        assert_eq!(features, (0..40).filter(|feature| feature % 3 != 0).collect::<Vec<u32>>());
        let (one, other) = (plan.order(1, 0), plan.order(1, 1));
        assert_ne!(one, other);
        for mut order in [one, other] {
            order.sort_unstable();
            assert_eq!(order, (0..8).collect::<Vec<usize>>());
        }
    }

    #[test]
    fn overlaps_are_products_with_the_rows_of_the_block() {
        let data = data();
        let all = Plan::new(&data, &[true; 40], 4).expect("ascending keys");
        let overlaps = overlaps(&data, 4, 0);
        for block in &all.blocks {
            for &feature in &block.features {
                let mut entry = data.columns.span(feature as usize).start;
                data.columns.for_each(feature as usize, |row, value| {
                    let mut sum = 0.0;
                    data.rows.for_each(row, |other, size| {
                        sum += if block.features.contains(&(other as u32)) { size.abs() } else { 0.0 };
                    });
                    assert!((overlaps[entry] - value.abs() * sum).abs() < 1e-3);
                    entry += 1;
                });
            }
        }
    }

    #[test]
    fn longer_rows_have_more_blocks() {
        assert_eq!([0.2, 3.0, 44.0, 1e6].map(block_count), [1, 8, 128, 256]);
    }
}
