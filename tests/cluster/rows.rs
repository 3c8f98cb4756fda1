//! Small training data with a planted model, the same for the same seed.

use std::fmt::Write;

/// Keys lie below this.
pub(crate) const KEY_END: u64 = 500;

/// A row: whether it is positive, and its keys in order.
pub(crate) type Row = (bool, Vec<u64>);

/// `count` rows of eight keys each.
pub(crate) fn rows(count: usize, seed: u64) -> Vec<Row> {
    let mut state = seed;
    let mut draw = move |end: u64| {
        // A linear congruence, the constants of which are Knuth's.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let row = |_| {
        let mut keys: Vec<u64> = (0..8).map(|_| draw(KEY_END)).collect();
        keys.sort_unstable();
        keys.dedup();
        let score: i64 = keys.iter().map(|key| (key % 7) as i64 - 3).sum();
        (score > 0, keys)
    };
    (0..count).map(row).collect()
}

pub(crate) fn libsvm(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut text, (positive, keys)| {
        text.push_str(if *positive { "1" } else { "-1" });
        keys.iter().for_each(|key| write!(text, " {key}:1").expect("memory"));
        text + "\n"
    })
}

pub(crate) fn vowpal(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut text, (positive, keys)| {
        text.push_str(if *positive { "1 |f" } else { "-1 |f" });
        keys.iter().for_each(|key| write!(text, " k{key}").expect("memory"));
        text + "\n"
    })
}
