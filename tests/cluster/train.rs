//! A job that goes well.

use crate::outcome::summary;
use crate::rows::{libsvm, rows, vowpal};
use crate::scratch::Scratch;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const ROWS: usize = 2000;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn every_format_trains_and_nothing_is_left() {
    let scratch = Scratch::new();
    let rows = rows(ROWS, 1);
    scratch.write("plain.svm", libsvm(&rows));
    scratch.write("plain.vw", vowpal(&rows));
    scratch.write("packed.svm.gz", gzip(&libsvm(&rows)));
    scratch.write("packed.vw.zst", zstd::encode_all(vowpal(&rows).as_bytes(), 1).expect("memory"));
    for name in ["plain.svm", "plain.vw", "packed.svm.gz", "packed.vw.zst"] {
        let outcome = scratch.run(&[
            "train",
            "--train",
            name,
            "--test",
            name,
            "--servers",
            "2",
            "--workers",
            "2",
            "--l1",
            "0.1",
            "--model",
            "model",
            "--json",
            "summary.json",
        ]);
        outcome.expect_code(0).expect_quiet();
        for word in ["examples", "passes", "train log loss", "test log loss", "test auc", "nonzero weights", "worker 1"]
        {
            assert!(outcome.stdout.contains(word), "{name}: no {word} in\n{}", outcome.stdout);
        }
        let figures = summary(&scratch.path("summary.json"));
        assert_eq!(figures["examples"], ROWS, "{name}");
        assert_eq!(figures["passes"], 1, "{name}");
        for field in
            ["seconds", "examples_per_second", "train_log_loss", "test_log_loss", "bytes_pushed", "bytes_pulled"]
        {
            assert!(figures[field].as_f64().is_some_and(|value| value > 0.0), "{name}: {field} in {figures}");
        }
        assert!(figures["test_auc"].as_f64().is_some_and(|auc| auc > 0.75), "{name}: {figures}");
        assert!(figures["nonzero_weights"].as_u64().is_some_and(|count| count > 10), "{name}: {figures}");
        assert!(scratch.path("model").is_file());
        fs::remove_file(scratch.path("model")).expect("removes");
        scratch.assert_clean();
    }
}

#[test]
fn only_the_owner_can_look_into_the_job_while_it_runs() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(ROWS, 1)));
    let running = scratch.start(
        "job",
        &mut scratch.command(&["train", "--train", "data.svm", "--passes", "1000000", "--model", "model"]),
    );
    scratch.await_address();
    let dir = scratch.job_dir().expect("the job's folder");
    assert_eq!(fs::metadata(&dir).expect("a folder").permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&dir).expect("a folder").flatten() {
        assert_eq!(entry.metadata().expect("a file").permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    let secret = fs::read_to_string(dir.join("secret")).expect("the owner reads it");
    for pid in scratch.processes() {
        for file in ["cmdline", "environ"] {
            let content = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&content).contains(secret.trim()), "the secret is in {file}");
        }
    }
    crate::scratch::send_signal(running.pid(), "TERM");
    running.wait().expect_code(143);
    scratch.assert_clean();
}

#[test]
fn another_jobs_settings_in_the_environment_do_not_confuse_a_local_job() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(200, 1)));
    let mut command = scratch.command(&["train", "--train", "data.svm", "--servers", "2", "--model", "model"]);
    command.env("PARASHARD_JOB", "77").env("PARASHARD_SCHEDULER", "127.0.0.1:9").env("PARASHARD_RANK", "5");
    command.env("PARASHARD_LISTEN", "127.0.0.1:1").env("PARASHARD_SECRET", "00");
    scratch.start("job", &mut command).wait().expect_code(0).expect_quiet();
    scratch.assert_clean();
}

#[test]
fn a_reader_of_the_output_that_goes_away_does_no_harm() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(200, 1)));
    let mut child = scratch
        .command(&["train", "--train", "data.svm", "--model", "model", "--json", "summary.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    assert_eq!(summary(&scratch.path("summary.json"))["examples"], 200);
    assert!(scratch.path("model").is_file());
    scratch.assert_clean();
}

#[test]
fn a_simulated_computation_takes_its_time_and_is_told() {
    const TIMES_US: [u64; 2] = [20, 80];
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(ROWS, 1)));
    let common = ["train", "--train", "data.svm", "--workers", "2", "--model", "model", "--json", "summary.json"];
    let outcome = scratch.run(&[&common[..], &["--simulate-compute-us", "20,80"]].concat());
    outcome.expect_code(0).expect_quiet();
    assert!(outcome.stdout.contains("20, 80 us an example"), "{}", outcome.stdout);
    let figures = summary(&scratch.path("summary.json"));
    assert_eq!(figures["simulate_compute_us"], serde_json::json!(TIMES_US));
    for (worker, time_us) in figures["workers"].as_array().expect("a list").iter().zip(TIMES_US) {
        let examples = worker["examples"].as_u64().expect("a count");
        let seconds = worker["seconds_computing"].as_f64().expect("seconds");
        assert!(seconds >= (examples * time_us) as f64 / 1e6, "{worker}");
    }
    let three = scratch.run(&[&common[..], &["--simulate-compute-us", "20,80,20"]].concat());
    three.expect_error(2, &["--simulate-compute-us", "one number, or 2"]);
}

#[test]
fn without_warm_up_the_first_minibatch_is_as_large_as_any() {
    let scratch = Scratch::new();
    // One unit, and no more rows than a minibatch has: all are predicted before any is learnt.
    scratch.write("data.svm", libsvm(&rows(1000, 1)));
    let common = ["train", "--train", "data.svm", "--minibatch", "1000", "--model", "model", "--json", "summary.json"];
    let loss = |more: &[&str]| {
        scratch.run(&[&common[..], more].concat()).expect_code(0).expect_quiet();
        summary(&scratch.path("summary.json"))["train_log_loss"].as_f64().expect("a loss")
    };
    assert!((loss(&["--warm-up", "false"]) - std::f64::consts::LN_2).abs() < 1e-6);
    assert!(loss(&[]) < 0.68);
}
