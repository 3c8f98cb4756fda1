//! The launcher is asked to end the job.

use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::{Running, Scratch, send_signal};
use std::time::{Duration, Instant};

fn endless(scratch: &Scratch) -> Running {
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    let command = [
        "train",
        "--train",
        "data.svm",
        "--servers",
        "2",
        "--workers",
        "2",
        "--passes",
        "1000000",
        "--model",
        "model",
        "--json",
        "summary.json",
    ];
    scratch.start("job", &mut scratch.command(&command))
}

#[test]
fn a_signal_ends_the_job_in_order_with_its_model() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        scratch.await_address();
        std::thread::sleep(Duration::from_millis(500));
        send_signal(running.pid(), name);
        let outcome = running.wait();
        outcome.expect_error(128 + number, &[&format!("signal {number}")]);
        assert!(outcome.stdout.contains("nonzero weights"), "the table is told: {}", outcome.stdout);
        assert!(summary(&scratch.path("summary.json"))["examples"].as_u64().is_some_and(|count| count > 0));
        assert!(scratch.path("model").is_file());
        scratch.assert_clean();
    }
}

#[test]
fn a_signal_before_the_training_ends_the_job_too() {
    for wait_ms in [0, 5, 20] {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        scratch.await_pids("scheduler", 1);
        std::thread::sleep(Duration::from_millis(wait_ms));
        send_signal(running.pid(), "TERM");
        let outcome = running.wait();
        assert!(outcome.took < Duration::from_secs(10), "took {:?}", outcome.took);
        outcome.expect_error(143, &["signal 15"]);
        scratch.assert_clean();
    }
}

#[test]
fn a_second_signal_ends_the_job_at_once() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    scratch.await_address();
    let workers = scratch.await_pids("worker", 2);
    std::thread::sleep(Duration::from_millis(300));
    // A worker that stands still would hold an end in order up.
    send_signal(workers[0], "STOP");
    send_signal(running.pid(), "INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!scratch.pids("scheduler").is_empty(), "the end in order waits for the worker");
    send_signal(running.pid(), "INT");
    let begin = Instant::now();
    running.wait().expect_error(130, &["signal 2"]);
    assert!(begin.elapsed() < Duration::from_secs(7), "took {:?}", begin.elapsed());
    assert!(!scratch.path("model").exists());
    scratch.assert_clean();
}

#[test]
fn a_scheduler_that_stands_still_cannot_hold_the_launcher() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    scratch.await_address();
    std::thread::sleep(Duration::from_millis(200));
    send_signal(scratch.await_pids("scheduler", 1)[0], "STOP");
    send_signal(running.pid(), "TERM");
    std::thread::sleep(Duration::from_millis(100));
    send_signal(running.pid(), "TERM");
    let begin = Instant::now();
    running.wait().expect_error(143, &["signal 15"]);
    assert!(begin.elapsed() < Duration::from_secs(8), "took {:?}", begin.elapsed());
    scratch.assert_clean();
}
