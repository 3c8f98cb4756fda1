//! A slow worker's unfinished share is given to others: each example is learnt from once, and nobody waits long.

use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;

const ROWS: usize = 6000;

/// Trains with three workers that sleep so long for each row. Fails unless every row counts once, and some of what
/// the last one had was given to others; gives the rows that it has learnt from.
fn train(consistency: &str, passes: u64, sleep_us: &str, more: &[&str]) -> u64 {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(ROWS, 3)));
    let (common, count) = (["train", "--train", "data.svm", "--servers", "2", "--workers", "3"], passes.to_string());
    let work = ["--minibatch", "16", "--passes", &count, "--consistency", consistency];
    let rest = ["--simulate-compute-us", sleep_us, "--model", "model", "--json", "summary.json"];
    let outcome = scratch.run(&[&common[..], &work, &rest, more].concat());
    outcome.expect_code(0);
    let summary = summary(&scratch.path("summary.json"));
    let examples = ROWS as u64 * passes;
    assert_eq!(summary["examples"].as_u64(), Some(examples), "{summary}");
    let workers = summary["workers"].as_array().expect("workers").iter();
    let each: Vec<u64> = workers.map(|worker| worker["examples"].as_u64().expect("a number")).collect();
    println!("{consistency} {more:?}: {:?}, {} cut, rows {each:?}", outcome.took, summary["units_cut"]);
    assert_eq!(each.iter().sum::<u64>(), examples);
    let number = |name: &str| summary[name].as_u64().expect("a number");
    assert!(number("units_cut") + number("units_taken_back") > 0, "{summary}");
    scratch.assert_clean();
    each[2]
}

#[test]
fn the_rest_of_a_slow_workers_unit_is_done_by_others() {
    for more in [&[][..], &["--in-process"]] {
        // A third of all rows would take it two minutes.
        let slow = train("eventual", 3, "200,200,20000", more);
        assert!(slow < ROWS as u64 / 4, "it has done {slow} rows");
    }
}

#[test]
fn where_delays_are_bounded_nobody_waits_for_one_that_waits_for_work() {
    for consistency in ["bounded:0", "bounded:4", "auto"] {
        train(consistency, 1, "0,0,2000", &[]);
    }
}
