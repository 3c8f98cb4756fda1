//! Input that makes no sense, and output that cannot be written: one clear line, and nothing is lost.

use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

/// A mistake that is seen before the training must be told this soon.
const START_LIMIT: Duration = Duration::from_secs(3);

fn with_bad_lines(scratch: &Scratch) {
    let text = libsvm(&rows(40, 1));
    let mut lines: Vec<&str> = text.lines().collect();
    lines[20] = "1 3:nan";
    lines[30] = "1 7:1 5:x";
    scratch.write("bad.svm", lines.join("\n") + "\n");
}

#[test]
fn a_bad_line_names_file_line_and_reason() {
    let scratch = Scratch::new();
    with_bad_lines(&scratch);
    let arguments = ["train", "--train", "bad.svm", "--workers", "2", "--model", "model"];
    let outcome = scratch.run(&arguments);
    outcome.expect_error(3, &["bad.svm:21: ", "nan", "--skip-bad-lines"]);
    assert!(outcome.took < START_LIMIT, "took {:?}", outcome.took);
    scratch.assert_clean();
    // With the end of the keys given, nobody reads the file before a worker does. One worker, for of two that
    // each find a bad line either may be the first to tell.
    let arguments = ["train", "--train", "bad.svm", "--workers", "1", "--model", "model", "--key-end", "500"];
    let outcome = scratch.run(&arguments);
    outcome.expect_error(3, &["bad.svm:21: ", "nan"]);
    scratch.assert_clean();
}

#[test]
fn bad_lines_are_counted_where_asked() {
    let scratch = Scratch::new();
    with_bad_lines(&scratch);
    for more in [&["--key-end", "500"][..], &[]] {
        let common = ["train", "--train", "bad.svm", "--skip-bad-lines", "--model", "model", "--json", "summary.json"];
        let outcome = scratch.run(&[&common[..], more].concat());
        outcome.expect_code(0).expect_quiet();
        assert!(outcome.stdout.contains("bad lines skipped"), "{}", outcome.stdout);
        let figures = summary(&scratch.path("summary.json"));
        assert_eq!((&figures["bad_lines_skipped"], &figures["examples"]), (&2.into(), &38.into()));
        scratch.assert_clean();
    }
}

#[test]
fn a_start_that_cannot_be_is_told_at_once() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(50, 1)));
    scratch.write("empty.svm", "");
    scratch.write("noise.model", [7; 5000]);
    let train = |more: &[&'static str]| [&["train", "--train", "data.svm"][..], more].concat();
    let cases: [(Vec<&str>, i32, &[&str]); 10] = [
        (vec!["train", "--train", "absent.svm"], 3, &["absent.svm", "no such file"]),
        (vec!["train", "--train", "empty.svm"], 3, &["empty.svm", "no data"]),
        (train(&["--test", "absent.svm"]), 3, &["absent.svm", "no such file"]),
        (train(&["--model", "absent/model"]), 5, &["absent/model", "No such file"]),
        (train(&["--model", "tmp"]), 5, &["tmp", "directory"]),
        (train(&["--json", "absent/summary"]), 5, &["absent/summary", "No such file"]),
        (train(&["--init-model", "absent.model"]), 5, &["absent.model", "No such file"]),
        (train(&["--init-model", "noise.model"]), 3, &["noise.model"]),
        (vec!["train"], 2, &["--train"]),
        (train(&["--config", "absent.toml"]), 2, &["absent.toml"]),
    ];
    for (arguments, code, words) in cases {
        let outcome = scratch.run(&arguments);
        outcome.expect_error(code, words);
        assert!(outcome.took < START_LIMIT, "{arguments:?} took {:?}", outcome.took);
        assert!(!scratch.path("model.parashard").exists());
        scratch.assert_clean();
    }
    scratch.run(&train(&["--frobnicate"])).expect_code(2);
    scratch.run(&train(&["--alpha", "nan"])).expect_code(2);
    scratch.assert_clean();
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(300, 1)));
    scratch.run(&["train", "--train", "data.svm", "--l1", "0.1", "--model", "good.model"]).expect_code(0);
    let good = std::fs::read(scratch.path("good.model")).expect("a model");
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    let mut newer = good.clone();
    newer[8..12].copy_from_slice(&9u32.to_le_bytes());
    let cases = [("cut.model", good[..good.len() - 9].to_vec()), ("damaged.model", damaged), ("newer.model", newer)];
    for (name, content) in cases {
        scratch.write(name, content);
        let outcome = scratch.run(&["train", "--train", "data.svm", "--init-model", name, "--model", "model"]);
        outcome.expect_error(3, &[name]);
        assert!(!scratch.path("model").exists());
        scratch.assert_clean();
    }
    let outcome = scratch.run(&["train", "--train", "data.svm", "--init-model", "good.model", "--model", "model"]);
    outcome.expect_code(0).expect_quiet();
    let narrow = ["train", "--train", "data.svm", "--key-end", "5000", "--init-model", "model", "--model", "wide"];
    scratch.run(&narrow).expect_code(0);
    let outcome = scratch.run(&["train", "--train", "data.svm", "--init-model", "wide", "--model", "model"]);
    outcome.expect_error(3, &["wide", "--key-end"]);
}

#[test]
fn a_busy_port_is_named() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(50, 1)));
    scratch.write_secret("secret");
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = holder.local_addr().expect("an address").to_string();
    let outcome = scratch.run(&[
        "scheduler",
        "--train",
        "data.svm",
        "--job",
        "7",
        "--secret-file",
        "secret",
        "--listen",
        &address,
    ]);
    outcome.expect_error(5, &[&address, "in use"]);
    let outcome = scratch.run(&[
        "server",
        "--rank",
        "0",
        "--job",
        "7",
        "--secret-file",
        "secret",
        "--scheduler",
        "127.0.0.1:9",
        "--listen",
        &address,
    ]);
    outcome.expect_error(5, &[&address, "in use"]);
}

#[test]
fn a_node_that_cannot_start_says_why_once() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(300, 1)));
    let program = env!("CARGO_BIN_EXE_parashard");
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\"", program]);
    command.args(["train", "--train", "data.svm", "--servers", "2", "--shards", "40", "--model", "model"]);
    command.current_dir(scratch.path("")).env("TMPDIR", scratch.temporary());
    let outcome = scratch.start("job", &mut command).wait();
    outcome.expect_error(5, &["server", "Too many open files"]);
    scratch.assert_clean();
}
