//! A job whose roles are threads of one process keeps what the job of processes promises.

use crate::outcome::{Outcome, summary};
use crate::rows::{libsvm, rows};
use crate::scratch::{Running, Scratch, send_signal};
use std::time::Duration;

/// How a person tells that training is under way: the scheduler's first unit is done in this time.
const WARM_UP: Duration = Duration::from_millis(700);

fn train(scratch: &Scratch, more: &[&str]) -> Outcome {
    let common = ["train", "--train", "data.svm", "--l1", "0.1", "--model", "model", "--json", "summary.json"];
    scratch.run(&[&common[..], more].concat())
}

fn model(scratch: &Scratch, more: &[&str]) -> Vec<u8> {
    train(scratch, more).expect_code(0).expect_quiet();
    scratch.assert_clean();
    std::fs::read(scratch.path("model")).expect("a model")
}

#[test]
fn threads_and_processes_make_the_same_sequential_model() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(6000, 3)));
    let sequential = ["--consistency", "sequential", "--save-state", "--passes", "2", "--workers", "2"];
    let reference = model(&scratch, &sequential);
    assert!(reference.len() > 4000, "most keys are in the model");
    for cast in [&["--servers", "1"][..], &["--servers", "2", "--shards", "2"]] {
        let threads = model(&scratch, &[&sequential[..], &["--in-process"], cast].concat());
        assert!(threads == reference, "{cast:?}");
    }
}

#[test]
fn the_summary_has_the_same_lines_and_fields() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    let cast = ["--test", "data.svm", "--servers", "2", "--workers", "2"];
    let words = |text: &str| text.lines().map(|line| line.chars().take(18).collect::<String>()).collect::<Vec<_>>();
    let fields = |scratch: &Scratch| {
        let summary = summary(&scratch.path("summary.json"));
        let names = summary.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        (names, summary["examples"].clone())
    };
    let processes = train(&scratch, &cast);
    let of_processes = fields(&scratch);
    let threads = train(&scratch, &[&cast[..], &["--in-process"]].concat());
    threads.expect_code(0).expect_quiet();
    assert_eq!(words(&threads.stdout), words(&processes.stdout));
    assert_eq!(fields(&scratch), of_processes);
    scratch.assert_clean();
}

fn endless(scratch: &Scratch) -> Running {
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    let common = ["train", "--in-process", "--train", "data.svm", "--model", "model", "--json", "summary.json"];
    let cast = ["--passes", "1000000", "--servers", "2", "--workers", "2"];
    scratch.start("job", &mut scratch.command(&[&common[..], &cast].concat()))
}

#[test]
fn a_signal_ends_the_job_in_order_with_its_model() {
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        std::thread::sleep(WARM_UP);
        assert_eq!(scratch.processes(), [running.pid()], "there is one process");
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
fn a_signal_at_any_moment_of_the_start_ends_the_job_with_one_line() {
    for wait_ms in [5, 10, 20, 40, 80] {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        std::thread::sleep(Duration::from_millis(wait_ms));
        send_signal(running.pid(), "TERM");
        let outcome = running.wait();
        // Before the program hears of signals, the system ends it.
        if outcome.status.code().is_some() {
            outcome.expect_error(143, &["signal 15"]);
        }
        scratch.assert_clean();
    }
}

#[test]
fn two_signals_at_once_end_the_job_at_once() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    std::thread::sleep(WARM_UP);
    send_signal(running.pid(), "INT");
    std::thread::sleep(Duration::from_millis(1));
    send_signal(running.pid(), "INT");
    running.wait().expect_error(130, &["signal 2"]);
    scratch.assert_clean();
}

#[test]
fn a_killed_process_leaves_nothing_but_what_a_kill_must() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    std::thread::sleep(WARM_UP);
    send_signal(running.pid(), "KILL");
    running.wait();
    scratch.assert_clean();
}

#[test]
fn bad_input_is_one_line_with_its_exit_code() {
    let scratch = Scratch::new();
    let text = libsvm(&rows(40, 1));
    let mut lines: Vec<&str> = text.lines().collect();
    lines[20] = "1 3:nan";
    scratch.write("data.svm", lines.join("\n") + "\n");
    let cast = ["--in-process", "--servers", "2", "--workers", "2"];
    train(&scratch, &cast).expect_error(3, &["data.svm:21: ", "nan"]);
    scratch.assert_clean();
    // With the end of the keys given, nobody reads the file before a worker does.
    train(&scratch, &[&cast[..], &["--key-end", "500"]].concat()).expect_error(3, &["data.svm:21: ", "nan"]);
    scratch.assert_clean();
    let absent = ["train", "--in-process", "--train", "absent.svm"];
    scratch.run(&absent).expect_error(3, &["absent.svm"]);
    let nowhere = ["train", "--in-process", "--train", "data.svm", "--model", "no/such/folder/model"];
    scratch.run(&nowhere).expect_error(5, &["cannot write the model"]);
    scratch.assert_clean();
}

#[test]
fn a_scheduler_alone_does_not_take_the_flag() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(40, 1)));
    let scheduler = ["scheduler", "--in-process", "--train", "data.svm", "--job", "7"];
    scratch.run(&scheduler).expect_error(2, &["--in-process"]);
}
