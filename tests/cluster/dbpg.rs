//! Block proximal gradient reaches the optimum, whatever the number of servers, and its model reads like
//! any other.

use crate::outcome::summary;
use crate::rows::{KEY_END, Row, libsvm, rows};
use crate::scratch::Scratch;
use serde_json::Value;

const L1: f64 = 1.5;

/// The least objective, by coordinate descent in f64 with steps that are safe everywhere.
fn optimum(rows: &[Row], l2: f64) -> f64 {
    let mut columns = vec![Vec::new(); KEY_END as usize];
    rows.iter().enumerate().for_each(|(row, (_, keys))| keys.iter().for_each(|&key| columns[key as usize].push(row)));
    let (mut weights, mut margins) = (vec![0.0f64; columns.len()], vec![0.0f64; rows.len()]);
    for _ in 0..600 {
        for (weight, column) in weights.iter_mut().zip(&columns) {
            let slope = |row: usize| 1.0 / (1.0 + (-margins[row]).exp()) - f64::from(u8::from(rows[row].0));
            let gradient: f64 = column.iter().map(|&row| slope(row)).sum();
            let curvature = 0.25 * column.len() as f64;
            let target = curvature * *weight - gradient;
            let moved = (target.abs() - L1).max(0.0).copysign(target) / (curvature + l2).max(f64::MIN_POSITIVE);
            column.iter().for_each(|&row| margins[row] += moved - *weight);
            *weight = moved;
        }
    }
    let loss = |(margin, row): (&f64, &Row)| (1.0 + (if row.0 { -margin } else { *margin }).exp()).ln();
    let norms: f64 = weights.iter().map(|weight| L1 * weight.abs() + l2 / 2.0 * weight * weight).sum();
    margins.iter().zip(rows).map(loss).sum::<f64>() + norms
}

fn train(scratch: &Scratch, servers: &str, workers: &str, more: &[&str]) -> (Value, Vec<u8>) {
    let fixed = ["train", "--train", "data.svm", "--test", "data.svm", "--no-bias"];
    let l1 = if more.contains(&"--l1") { &[][..] } else { &["--l1", "1.5"][..] };
    let cast = ["--servers", servers, "--workers", workers, "--model", "model", "--json", "summary.json"];
    scratch.run(&[&fixed[..], l1, &cast, more].concat()).expect_code(0).expect_quiet();
    scratch.assert_clean();
    (summary(&scratch.path("summary.json")), std::fs::read(scratch.path("model")).expect("a model"))
}

fn number(summary: &Value, name: &str) -> f64 {
    summary[name].as_f64().unwrap_or_else(|| panic!("{name} is missing in {summary}"))
}

fn assert_optimal(summary: &Value, expected: f64, what: &str) {
    let (objective, violation) = (number(summary, "objective"), number(summary, "kkt_violation"));
    assert!(objective <= expected * (1.0 + 1e-5), "{what}: objective {objective}, possible {expected}");
    assert!(objective >= expected * (1.0 - 1e-5), "{what}: objective {objective} below the optimum {expected}");
    assert!(violation <= 0.01 * L1, "{what}: violation {violation}");
}

#[test]
fn the_optimum_is_reached_with_any_delay_and_number_of_workers() {
    let scratch = Scratch::new();
    let rows = rows(3000, 5);
    scratch.write("data.svm", libsvm(&rows));
    let (lasso, elastic) = (optimum(&rows, 0.0), optimum(&rows, 2.0));
    for (workers, consistency) in [("1", "sequential"), ("3", "sequential"), ("2", "eventual")] {
        let what = format!("{workers} workers, {consistency}");
        let more = ["--algorithm", "dbpg", "--consistency", consistency];
        assert_optimal(&train(&scratch, "2", workers, &more).0, lasso, &what);
        let (summary, _) = train(&scratch, "1", workers, &[&more[..], &["--l2", "2"]].concat());
        assert_optimal(&summary, elastic, &format!("{what}, with l2"));
    }
    let (summary, _) = train(&scratch, "1", "2", &["--algorithm", "prox", "--tolerance", "0.01"]);
    assert_optimal(&summary, lasso, "batch proximal gradient");
}

#[test]
fn sequential_repeats_itself_on_any_number_of_servers_and_the_model_can_be_used() {
    let scratch = Scratch::new();
    let rows = rows(4000, 6);
    scratch.write("data.svm", libsvm(&rows));
    let sequential = ["--algorithm", "dbpg", "--consistency", "sequential"];
    let (summary, model) = train(&scratch, "1", "2", &sequential);
    for servers in ["1", "2", "3"] {
        assert!(train(&scratch, servers, "2", &sequential).1 == model, "{servers} servers changed the model");
    }
    let evaluated = scratch.run(&["evaluate", "--model", "model", "--data", "data.svm", "--json", "scores.json"]);
    evaluated.expect_code(0);
    let scores: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("scores.json")).expect("scores")).expect("one");
    let test = number(&summary, "test_log_loss");
    let own = scores
        .as_object()
        .and_then(|object| object.values().find_map(|value| value.as_f64().filter(|loss| (loss - test).abs() < 1e-4)));
    assert!(own.is_some(), "{scores} has no log loss of {test}");
}

#[test]
fn the_kkt_filter_keeps_features_from_moving_and_not_from_the_optimum() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(3000, 8)));
    let sequential = ["--algorithm", "dbpg", "--consistency", "sequential", "--l1", "8"];
    let (with, _) = train(&scratch, "2", "2", &sequential);
    let (without, _) = train(&scratch, "2", "2", &[&sequential[..], &["--no-kkt-filter"]].concat());
    let [objective, other] = [&with, &without].map(|summary| number(summary, "objective"));
    assert!((objective / other - 1.0).abs() < 1e-5, "{objective} with the filter, {other} without");
    let details = |summary: &Value| summary["passes_detail"].as_array().expect("a list of passes").clone();
    assert_eq!(details(&with).len() as f64, number(&with, "passes"));
    for pass in details(&without) {
        assert_eq!(pass["features_sent"], pass["features"], "without the filter every feature takes part");
    }
    let sent = |passes: Vec<Value>| passes.iter().map(|pass| number(pass, "features_sent")).collect::<Vec<f64>>();
    let last = sent(details(&with)).pop().expect("a pass");
    let features = number(&details(&with)[0], "features");
    assert!(last <= 0.5 * features, "{last} of {features} features take part in the last pass");
    let bytes: f64 = details(&with).iter().map(|pass| number(pass, "bytes_pushed")).sum();
    assert!(bytes > 0.0 && bytes <= number(&with, "bytes_pushed"), "{bytes} bytes in passes");
}

#[test]
fn a_pass_that_gains_little_is_the_end_where_that_is_asked_for() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(3000, 9)));
    let sequential = ["--algorithm", "dbpg", "--consistency", "sequential", "--tolerance", "1e-6"];
    let (full, _) = train(&scratch, "1", "2", &sequential);
    let (early, _) = train(&scratch, "1", "2", &[&sequential[..], &["--objective-tolerance", "1e-3"]].concat());
    assert!(number(&early, "passes") < number(&full, "passes"), "{early} is not earlier than {full}");
    let gap = number(&early, "objective") / number(&full, "objective") - 1.0;
    assert!((0.0..=1e-2).contains(&gap), "an objective {gap} above the optimum");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(10, 7)));
    for more in [
        &["--bias"][..],
        &["--filters", "fixed_point:8"],
        &["--tolerance", "0"],
        &["--objective-tolerance", "0"],
        &["--save-state"],
    ] {
        let fixed = ["train", "--train", "data.svm", "--algorithm", "dbpg"];
        scratch.run(&[&fixed[..], more].concat()).expect_code(2);
    }
}
