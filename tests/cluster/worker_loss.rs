//! With `--on-worker-loss continue` a job goes on when workers are killed, and every example counts once.

use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::{Scratch, send_signal};
use std::time::Duration;

const ROWS: usize = 6000;
const PASSES: u64 = 10;
/// So that a job cannot end before a kill, however fast the machine: 60,000 examples by three workers take 0.8 s,
/// and the last kill comes 0.34 s after the workers have started.
const SIMULATE_COMPUTE_US: &str = "40";

fn arguments(consistency: &str) -> Vec<String> {
    let passes = PASSES.to_string();
    let words = [
        "train",
        "--train",
        "data.svm",
        "--test",
        "test.svm",
        "--servers",
        "2",
        "--workers",
        "3",
        "--passes",
        &passes,
        "--l1",
        "0.1",
        "--minibatch",
        "64",
        "--simulate-compute-us",
        SIMULATE_COMPUTE_US,
        "--save-state",
        "--model",
        "model",
        "--json",
        "summary.json",
        "--on-worker-loss",
        "continue",
        "--consistency",
        consistency,
    ];
    words.map(str::to_owned).to_vec()
}

fn prepare() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(ROWS, 3)));
    scratch.write("test.svm", libsvm(&rows(500, 4)));
    scratch
}

/// Runs a job and kills these of its three workers one after the other; gives the model.
fn model(consistency: &str, killed: &[usize], pause: Duration) -> Vec<u8> {
    let scratch = prepare();
    let arguments = arguments(consistency);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = scratch.start("job", &mut scratch.command(&arguments));
    let workers = scratch.await_pids("worker", 3);
    for &rank in killed {
        std::thread::sleep(pause);
        assert!(scratch.processes().contains(&workers[rank]), "{consistency}: the job is over too early");
        send_signal(workers[rank], "KILL");
    }
    let outcome = running.wait();
    outcome.expect_code(0).expect_quiet();
    let summary = summary(&scratch.path("summary.json"));
    println!("{consistency}: {:?}, {} {}", outcome.took, summary["losses"], summary["seconds"]);
    assert_eq!(summary["examples"].as_u64(), Some(ROWS as u64 * PASSES), "{consistency}: {summary}");
    assert_eq!(summary["test_examples"].as_u64(), Some(500), "{consistency}");
    // What a killed process had adopted is lost a second time, and counts once.
    assert_eq!(summary["workers_lost"].as_u64(), Some(killed.len() as u64), "{consistency}: {summary}");
    scratch.assert_clean();
    std::fs::read(scratch.path("model")).expect("a model")
}

#[test]
fn a_killed_worker_leaves_its_examples_to_others() {
    for consistency in ["eventual", "bounded:2"] {
        for round in 0..3 {
            model(consistency, &[round], Duration::from_millis(120 + 70 * round as u64));
        }
        model(consistency, &[2, 0], Duration::from_millis(150));
    }
}

#[test]
fn a_killed_worker_does_not_change_a_byte_of_a_sequential_model() {
    let reference = model("sequential", &[], Duration::ZERO);
    for round in 0..4 {
        let found = model("sequential", &[round % 3], Duration::from_millis(130 + 60 * round as u64));
        assert!(found == reference, "round {round}");
    }
    assert!(model("sequential", &[1, 2], Duration::from_millis(170)) == reference, "two lost");
}

#[test]
fn a_job_without_workers_ends() {
    let scratch = prepare();
    let arguments = arguments("eventual");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = scratch.start("job", &mut scratch.command(&arguments));
    let workers = scratch.await_pids("worker", 3);
    std::thread::sleep(Duration::from_millis(200));
    workers.into_iter().for_each(|worker| send_signal(worker, "KILL"));
    running.wait().expect_error(4, &["no worker is left", "killed by signal 9"]);
    scratch.assert_clean();
}
