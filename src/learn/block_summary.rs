//! The passes of block proximal gradient as the user sees them: what each moved, and what the filter by
//! optimality (KKT) kept from moving.

use super::dbpg::{Moved, PassTraffic};
use super::progress::BlockPass;
use super::summary::{grouped, megabytes};
use serde_json::{Value, json};

/// Passes that the table shows: so many of the first and of the last.
const PASSES_SHOWN: [usize; 2] = [1, 3];
/// The last passes are one of so many.
const LAST_PASSES: usize = 4;

/// Every pass as an object.
pub(super) fn details(passes: &[BlockPass]) -> Vec<Value> {
    (1..).zip(passes).map(|(number, pass)| detail(number, pass)).collect()
}

fn detail(number: usize, pass: &BlockPass) -> Value {
    let (solution, traffic) = (pass.solution, pass.solution.traffic);
    let all = traffic.all();
    json!({
        "pass": number,
        "objective": solution.objective,
        "kkt_violation": solution.kkt_violation,
        "nonzero_weights": solution.nonzero_weights,
        "features": traffic.features,
        "features_active": traffic.features_active,
        "features_sent": traffic.blocks.features,
        "features_checked": traffic.checks.features,
        "features_stepped": traffic.steps.features,
        "bytes_pushed": all.bytes_pushed,
        "bytes_asked": all.bytes_asked,
        "bytes_pulled": all.bytes_pulled,
        "blocks": bytes(traffic.blocks),
        "checks": bytes(traffic.checks),
        "steps": bytes(traffic.steps),
        "seconds": traffic.seconds,
        "train_seconds": pass.train_seconds,
    })
}

fn bytes(moved: Moved) -> Value {
    json!({
        "bytes_pushed": moved.bytes_pushed,
        "bytes_asked": moved.bytes_asked,
        "bytes_pulled": moved.bytes_pulled,
    })
}

/// Share of the features of all passes that no block and no look at all features sent; none where looks sent more.
fn dropped(passes: &[BlockPass]) -> f64 {
    let sum = |of: fn(&PassTraffic) -> u64| passes.iter().map(|pass| of(&pass.solution.traffic)).sum::<u64>();
    let sent = sum(|traffic| traffic.blocks.features + traffic.checks.features);
    (1.0 - sent as f64 / sum(|traffic| traffic.features).max(1) as f64).max(0.0)
}

fn last(passes: &[BlockPass]) -> &[BlockPass] {
    &passes[passes.len() - passes.len().div_ceil(LAST_PASSES)..]
}

/// What the filter dropped, in all passes and in the last quarter of them.
pub(super) fn shares_dropped(passes: &[BlockPass]) -> (f64, f64) {
    (dropped(passes), dropped(last(passes)))
}

/// Lines of the table: the name of a pass, and what it did.
pub(super) fn lines(passes: &[BlockPass]) -> Vec<(String, String)> {
    let is_shown = |number: usize| number <= PASSES_SHOWN[0] || number + PASSES_SHOWN[1] > passes.len();
    let shown = (1..).zip(passes).filter(|(number, _)| is_shown(*number));
    shown.map(|(number, pass)| (format!("pass {number}"), line(pass))).collect()
}

fn line(pass: &BlockPass) -> String {
    let (solution, traffic) = (pass.solution, pass.solution.traffic);
    let Moved { bytes_pushed, bytes_asked, bytes_pulled, .. } = traffic.all();
    let checked = if traffic.checks.features > 0 { ", then all looked at" } else { "" };
    format!(
        "objective {:.4}, KKT violation {:.6}, {} of {} features sent{checked}, pushed {}, pulled {}, {:.2} s",
        solution.objective,
        solution.kkt_violation,
        grouped(traffic.blocks.features),
        grouped(traffic.features),
        megabytes(bytes_pushed + bytes_asked),
        megabytes(bytes_pulled),
        traffic.seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::dbpg::Solution;

    fn passes(sent: &[(u64, u64)]) -> Vec<BlockPass> {
        let pass = |&(blocks, checks): &(u64, u64)| {
            let moved = |features| Moved { features, bytes_pushed: 10 * features, ..Moved::default() };
            let traffic = PassTraffic {
                features: 100,
                blocks: moved(blocks),
                checks: moved(checks),
                steps: moved(7),
                ..PassTraffic::default()
            };
            BlockPass { solution: Solution { traffic, ..Solution::default() }, train_seconds: 0.5 }
        };
        sent.iter().map(pass).collect()
    }

    #[test]
    fn what_is_dropped_is_what_neither_blocks_nor_checks_sent() {
        let passes = passes(&[(100, 0), (80, 0), (40, 100), (30, 0), (20, 0), (10, 0), (10, 0), (10, 10)]);
        let unfiltered = self::passes(&[(100, 0), (100, 100)]);
        assert_eq!(shares_dropped(&unfiltered), (0.0, 0.0));
        assert_eq!(shares_dropped(&passes), (1.0 - 410.0 / 800.0, 1.0 - 30.0 / 200.0));
        assert_eq!(shares_dropped(&passes[..1]), (0.0, 0.0));
    }

    #[test]
    fn each_pass_has_its_own_bytes_of_every_kind() {
        let details = details(&passes(&[(100, 0), (40, 100)]));
        assert_eq!(details[1]["pass"], 2);
        assert_eq!(details[1]["features_sent"], 40);
        assert_eq!(details[1]["bytes_pushed"], 1470);
        assert_eq!(details[1]["blocks"]["bytes_pushed"], 400);
    }

    #[test]
    fn the_table_shows_the_first_pass_and_the_last_ones() {
        let names = |count| lines(&passes(&vec![(1, 0); count])).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(2), ["pass 1", "pass 2"]);
        assert_eq!(names(9), ["pass 1", "pass 7", "pass 8", "pass 9"]);
        assert!(lines(&passes(&[(1, 3)]))[0].1.contains("1 of 100 features sent, then all looked at"));
    }
}
