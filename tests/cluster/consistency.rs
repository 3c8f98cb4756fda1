//! How stale workers read: between `sequential` and `eventual`.

use crate::client::{Job, keys, table};
use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;
use parashard::node::{Consistency, DType, TableSpec};
use serde_json::Value;
use std::time::Duration;

const DELAY: i64 = 2;
const ROUNDS: i64 = 30;

fn bounded() -> Vec<TableSpec> {
    let consistency = Consistency::BoundedDelay { delay_max: DELAY as u32 };
    vec![TableSpec { consistency, ..table(0, "counts", DType::I64) }]
}

#[test]
fn a_fast_worker_runs_ahead_of_a_slow_one_by_the_delay_at_most() {
    let seen = Job::start(bounded(), 1, 2).run(2, |cluster| {
        let table = cluster.table::<i64>("counts").expect("a table");
        // A key for each worker.
        let (keys, own) = (keys(5_000), cluster.rank() as usize);
        let mut seen = Vec::new();
        for round in 0..ROUNDS {
            let values = table.pull(&keys).expect("fits").wait().expect("answered");
            assert!(values.iter().all(|&value| value >= round - DELAY), "at {round}: {values:?}", values = &values[..]);
            assert!(values[own] == round, "its own pushes were on their way, on one connection");
            seen.push(round - values[1 - own]);
            if own == 1 {
                std::thread::sleep(Duration::from_millis(3));
            }
            let mut counts = vec![0i64; 2];
            counts[own] = 1;
            table.push(&keys, counts).expect("fits").wait().expect("applied");
            table.tick().expect("goes on");
        }
        table.finish().expect("ends");
        cluster.settle().expect("acknowledged");
        seen
    });
    assert!(seen[0].contains(&DELAY), "the fast one never used the delay: {:?}", seen[0]);
}

#[test]
fn a_pull_may_have_a_rule_of_its_own() {
    Job::start(bounded(), 1, 2).run(2, |cluster| {
        let table = cluster.table::<i64>("counts").expect("a table");
        let keys = keys(5_000);
        if cluster.rank() == 1 {
            std::thread::sleep(Duration::from_millis(300));
        } else {
            (0..10).for_each(|_| table.tick().expect("goes on"));
            let mut late = table.pull(&keys).expect("fits");
            let eventual = table.reading(Consistency::Eventual);
            assert_eq!(*eventual.pull(&keys).expect("fits").wait().expect("answered"), [0, 0]);
            assert!(!late.is_done(), "it does not wait for the other worker");
            assert!(table.pull_ahead(&keys, DELAY as u32 + 1).expect("fits").is_none());
            drop(late);
        }
        table.finish().expect("ends");
        cluster.settle().expect("acknowledged");
    });
}

fn train(consistency: &str) -> Value {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(6000, 3)));
    let outcome = scratch.run(&[
        "train",
        "--train",
        "data.svm",
        "--test",
        "data.svm",
        "--consistency",
        consistency,
        "--passes",
        "6",
        "--minibatch",
        "100",
        "--l1",
        "0.1",
        "--servers",
        "2",
        "--workers",
        "2",
        "--model",
        "model",
        "--json",
        "summary.json",
    ]);
    outcome.expect_code(0).expect_quiet();
    scratch.assert_clean();
    summary(&scratch.path("summary.json"))
}

/// The delays that were in force, in order.
fn delays(summary: &Value) -> Vec<u64> {
    let delays = summary["delays"].as_array().expect("a list");
    delays.iter().map(|delay| delay["delay_max"].as_u64().expect("a delay")).collect()
}

#[test]
fn a_bounded_job_learns_and_tells_where_its_workers_spent_their_time() {
    let summary = train("bounded:4");
    assert_eq!((&summary["consistency"], summary["examples"].as_u64()), (&Value::from("bounded:4"), Some(36_000)));
    assert!(summary["test_auc"].as_f64().is_some_and(|auc| auc > 0.75), "{summary}");
    assert_eq!(delays(&summary), [4]);
    for worker in summary["workers"].as_array().expect("a list") {
        for field in ["seconds_computing", "seconds_waiting", "seconds_sending"] {
            assert!(worker[field].as_f64().is_some_and(|seconds| seconds > 0.0), "{field} in {worker}");
        }
    }
}

#[test]
fn an_annealed_delay_goes_down_to_its_end() {
    let delays = delays(&train("bounded:8..0"));
    assert!(delays[0] == 8 && delays.len() > 2, "{delays:?}");
    assert!(delays.windows(2).all(|pair| pair[0] > pair[1]), "{delays:?}");
}

#[test]
fn a_job_may_choose_its_delay_by_waiting() {
    let summary = train("auto");
    assert!(summary["test_auc"].as_f64().is_some_and(|auc| auc > 0.75), "{summary}");
    assert_eq!(delays(&summary)[0], 1);
}
