//! A disk that is full when the model is written.

use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;
use std::process::Command;

/// An old model, and data whose new model is far larger than a few kilobytes.
fn prepare(scratch: &Scratch, model: &str) {
    let wide: Vec<_> = rows(3000, 1)
        .into_iter()
        .enumerate()
        .map(|(index, (positive, keys))| (positive, keys.iter().map(|key| key + 500 * index as u64).collect()))
        .collect();
    scratch.write("data.svm", libsvm(&wide));
    scratch.write(model, "the old model");
}

const TRAIN: [&str; 7] = ["train", "--train", "data.svm", "--servers", "2", "--l1", "0"];

#[test]
fn a_limit_on_the_size_of_files_leaves_the_old_model_alone() {
    let scratch = Scratch::new();
    prepare(&scratch, "model");
    // The shell's limit is in units of 1024 bytes.
    let program = env!("CARGO_BIN_EXE_parashard");
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -f 16 && exec \"$0\" \"$@\"", program]).args(TRAIN).args(["--model", "model"]);
    command.current_dir(scratch.path("")).env("TMPDIR", scratch.temporary());
    let outcome = scratch.start("job", &mut command).wait();
    outcome.expect_error(5, &["model", "File too large"]);
    assert_eq!(std::fs::read_to_string(scratch.path("model")).expect("a file"), "the old model");
    scratch.assert_clean();
}

#[test]
fn a_full_disk_leaves_the_old_model_alone() {
    let scratch = Scratch::new();
    let disk = scratch.path("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("not shown here: mounting a small disk is not permitted");
        return;
    }
    prepare(&scratch, "disk/model");
    let outcome = scratch.run(&[&TRAIN[..], &["--model", "disk/model"]].concat());
    let left: Vec<_> = std::fs::read_dir(&disk).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    let old = std::fs::read_to_string(disk.join("model"));
    let unmounted = Command::new("umount").arg(&disk).output().expect("runs");
    assert!(unmounted.status.success(), "{unmounted:?}");
    outcome.expect_error(5, &["model", "No space left"]);
    assert_eq!((left.len(), old.expect("a file").as_str()), (1, "the old model"), "{left:?}");
    scratch.assert_clean();
}
