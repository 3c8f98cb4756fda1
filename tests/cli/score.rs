//! `predict` and `evaluate`, and what every subcommand does when it cannot go on.

use crate::program::{Folder, done, number, program, refused, run, trained};
use std::path::Path;
use std::process::Stdio;

#[test]
fn evaluation_agrees_with_the_test_of_the_training() {
    let (folder, own) = (trained(), Folder::new());
    let (model, test, json) = (folder.path("a.model"), folder.path("test.vw"), own.path("e.json"));
    let text = done(&["evaluate", "--model", &model, "--data", &test, "--json", &json]);
    let (told, found) = (folder.json("train.json"), own.json("e.json"));
    for (train, evaluate) in [("test_log_loss", "log_loss"), ("test_auc", "auc"), ("test_calibration", "calibration")] {
        let (train, evaluate) = (number(&told, train), number(&found, evaluate));
        assert!((train - evaluate).abs() < 1e-6, "{train} against {evaluate}");
    }
    let deciles = found["deciles"].as_array().expect("a table");
    let rows: f64 = deciles.iter().map(|part| number(part, "rows")).sum();
    let positives: f64 = deciles.iter().map(|part| number(part, "rows") * number(part, "base_rate")).sum();
    assert_eq!((rows, deciles.len()), (1500.0, 10));
    assert!((positives - 1500.0 * number(&found, "base_rate")).abs() < 1e-6);
    assert!(text.contains("log loss") && text.contains("observed"), "{text}");
}

#[test]
fn predictions_are_those_that_were_evaluated_in_the_order_of_the_rows() {
    let (folder, own) = (trained(), Folder::new());
    let (model, test) = (folder.path("a.model"), folder.path("test.vw"));
    let text = done(&["predict", "--model", &model, "--data", &test]);
    let rows = String::from_utf8(folder.read("test.vw")).expect("text");
    let loss = |(line, row): (&str, &str)| {
        let probability: f64 = line.parse().expect("a probability");
        if row.starts_with('1') { -probability.ln() } else { -(1.0 - probability).ln() }
    };
    assert_eq!((text.lines().count(), rows.lines().count()), (1500, 1500));
    let mean = text.lines().zip(rows.lines()).map(loss).sum::<f64>() / 1500.0;
    assert!((mean - number(&folder.json("train.json"), "test_log_loss")).abs() < 1e-5, "{mean}");

    let (first, second) = rows.split_at(rows.match_indices('\n').nth(700).expect("rows").0 + 1);
    let first = own.write("1.vw.zst", zstd::encode_all(first.as_bytes(), 1).expect("packs"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, second.as_bytes()).expect("packs");
    let second = own.write("2.vw.gz", packed.finish().expect("packs"));
    let output = own.path("p");
    assert_eq!(done(&["predict", "--model", &model, "--output", &output, "--data", &first, &second]), "");
    assert!(own.read("p") == text.as_bytes());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = trained();
    let (model, test) = (folder.path("a.model"), folder.path("test.vw"));
    for arguments in [&["predict", "--model", &model, "--data", &test][..], &["model", "export", &model]] {
        let command = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = command.expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*error), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn bad_data_are_refused_by_file_and_line() {
    let (folder, own) = (trained(), Folder::new());
    let model = folder.path("a.model");
    let good = "1 |f a b\n";
    let bad = own.write("bad.vw", format!("{}yes |f c\n{good}", good.repeat(40)));
    for command in ["predict", "evaluate"] {
        let message = refused(3, &[command, "--model", &model, "--data", &bad]);
        assert!(message.contains("bad.vw:41: "), "{message}");
        assert!(refused(3, &[command, "--model", &model, "--data", &own.path("none")]).contains("no such file"));
    }
    let output = run(&["predict", "--model", &model, "--data", &bad, "--skip-bad-lines"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 41);
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 bad lines were left out"));
    let svm = own.write("bad.svm", "1 3:1\n1 oops\n");
    assert!(refused(3, &["data", "info", &svm]).contains("bad.svm:2: "));
    assert!(refused(3, &["data", "convert", &svm, "--output", &own.path("x.psb")]).contains("bad.svm:2: "));
    let bits = refused(3, &["predict", "--model", &model, "--data", &folder.path("test.vw"), "--bits", "20"]);
    assert!(bits.contains("16 bits") && bits.contains("leave --bits out"), "{bits}");
    let empty = own.write("comments.svm", "# nothing\n\n1 2:1\n");
    done(&["evaluate", "--model", &model, "--data", &empty]);
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let folder = trained();
    let (model, test) = (folder.path("a.model"), folder.path("test.vw"));
    let commands: [&[&str]; 6] = [
        &["predict", "--model", &model, "--data", &test, "--output", "/nowhere/x"],
        &["evaluate", "--model", &model, "--data", &test, "--json", "/nowhere/x"],
        &["model", "export", &model, "--output", "/nowhere/x"],
        &["data", "generate", "--rows", "10", "--output", "/nowhere/x"],
        &["data", "convert", &test, "--output", "/nowhere/x", "--to", "block"],
        &["predict", "--model", &model, "--data", &test, "--output", "/dev/full"],
    ];
    for command in commands {
        let message = refused(5, command);
        assert!(message.contains("/nowhere/x") || message.contains("/dev/full"), "{message}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let status = program().args(["model", "info", &model]).stdout(full).stderr(Stdio::null()).status();
    assert_eq!(status.expect("runs").code(), Some(5));
}

#[test]
fn usage_errors_end_with_2() {
    let model = trained().path("a.model");
    let commands: [&[&str]; 7] = [
        &["predict"],
        &["predict", "--model", &model],
        &["model"],
        &["data", "generate", "--output", "x"],
        &["data", "generate", "--rows", "5", "--output", "x", "--format", "csv"],
        &["data", "convert", "x", "--bits", "99", "--output", "y.psb"],
        &["data", "generate", "--rows", "5", "--output", "x", "--test-rows", "5"],
    ];
    for command in commands {
        assert_eq!(run(command).status.code(), Some(2), "{command:?}");
    }
    assert!(!Path::new("x").exists());
}
