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
