//! Models that travel through the scheduler: asked for, or because servers do not see its folder.

use crate::by_hand::free_port;
use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;
use std::process::Command;

const KEPT: [&str; 7] = ["--l1", "0", "--save-state", "--consistency", "sequential", "--seed", "1"];

fn train(scratch: &Scratch, model: &str, extra: &[&str]) -> Vec<u8> {
    let job = ["train", "--train", "data.svm", "--servers", "2", "--shards", "2", "--workers", "2", "--model", model];
    scratch.run(&[&job[..], &KEPT, extra].concat()).expect_code(0).expect_quiet();
    scratch.assert_clean();
    std::fs::read(scratch.path(model)).expect("a model")
}

#[test]
fn a_streamed_model_has_the_same_bytes_and_is_gone_on_from_alike() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(3000, 5)));
    let shared = train(&scratch, "shared", &[]);
    assert!(train(&scratch, "streamed", &["--stream-model"]) == shared, "saved otherwise");
    let gone_on = train(&scratch, "shared on", &["--init-model", "shared"]);
    assert!(gone_on != shared, "a second pass changes the model");
    assert!(
        train(&scratch, "streamed on", &["--init-model", "streamed", "--stream-model"]) == gone_on,
        "loaded otherwise"
    );
}

#[test]
fn an_empty_model_is_streamed_too() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(300, 5)));
    let without_weights = ["--l1", "1000000"];
    let job = ["train", "--train", "data.svm", "--stream-model"];
    scratch.run(&[&job[..], &without_weights, &["--model", "empty"]].concat()).expect_code(0).expect_quiet();
    scratch.run(&[&job[..], &["--init-model", "empty", "--model", "model"]].concat()).expect_code(0).expect_quiet();
    scratch.assert_clean();
}

/// The scheduler's folder is a disk that is mounted for it alone, as on another host.
#[test]
fn servers_that_do_not_see_the_folder_stream_their_parts() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(3000, 5)));
    train(&scratch, "shared", &[]);
    let gone_on = train(&scratch, "shared on", &["--init-model", "shared"]);
    std::fs::create_dir(scratch.path("apart")).expect("a folder");
    scratch.write_secret("secret");
    let address = format!("127.0.0.1:{}", free_port());
    let identity = ["--job", "2f", "--secret-file", "secret"];
    let in_own_namespace = "mount -t tmpfs none apart 2>mount.err || exit 99
        cp shared apart/first && \"$@\"; code=$?; cp apart/model out; exit $code";
    let program = env!("CARGO_BIN_EXE_parashard");
    let mut command = Command::new("unshare");
    command.args(["-m", "bash", "-c", in_own_namespace, "bash", program, "scheduler"]).args(identity).args(KEPT);
    command.args(["--listen", &address, "--servers", "2", "--shards", "2", "--workers", "2", "--train", "data.svm"]);
    command.args(["--init-model", "apart/first", "--model", "apart/model"]).current_dir(scratch.path(""));
    let scheduler = scratch.start("scheduler", command.env("TMPDIR", scratch.temporary()));
    let start = |role: &str, rank: &str, extra: &[&str]| {
        let own = [role, "--rank", rank, "--scheduler", &address];
        scratch.start(&format!("{role}{rank}"), &mut scratch.command(&[&own[..], &identity, extra].concat()))
    };
    let two_shards = ["--shards", "2"];
    let nodes = [
        start("server", "0", &two_shards),
        start("server", "1", &two_shards),
        start("worker", "0", &[]),
        start("worker", "1", &[]),
    ];
    let outcome = scheduler.wait();
    let why_not = std::fs::read_to_string(scratch.path("mount.err")).unwrap_or_else(|_| outcome.stderr.clone());
    if matches!(outcome.status.code(), Some(1 | 99)) && !why_not.starts_with("parashard") {
        println!("not shown here: a folder of one's own cannot be mounted: {why_not}");
        return;
    }
    outcome.expect_code(0).expect_quiet();
    for node in nodes {
        node.wait().expect_code(0).expect_quiet();
    }
    assert!(std::fs::read(scratch.path("out")).expect("a model") == gone_on, "another model");
    scratch.assert_clean();
}

/// Peak memory of the scheduler of one job, in bytes.
fn scheduler_peak(scratch: &Scratch, arguments: &[&str]) -> u64 {
    let running = scratch.start("job", &mut scratch.command(arguments));
    let scheduler = scratch.await_pids("scheduler", 1)[0];
    let mut peak_kb = 0;
    // A process that ends has no such line any more.
    while let Some(kb) = peak_of(scheduler) {
        peak_kb = kb;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    running.wait().expect_code(0).expect_quiet();
    peak_kb * 1024
}

fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn streaming_a_model_takes_the_scheduler_little_memory() {
    const KEYS_A_ROW: u64 = 1000;
    const ROWS: u64 = 2000;
    const ALLOWED: u64 = 16 << 20;
    let scratch = Scratch::new();
    let row = |row: u64| (row.is_multiple_of(2), (row * KEYS_A_ROW..(row + 1) * KEYS_A_ROW).collect());
    scratch.write("data.svm", libsvm(&(0..ROWS).map(row).collect::<Vec<_>>()));
    scratch.write("small.svm", libsvm(&[row(ROWS - 1)]));
    let job = |data, model| {
        let files = ["train", "--train", data, "--model", model];
        [&files[..], &["--l1", "0", "--save-state", "--stream-model", "--servers", "2"]].concat()
    };
    let small = scheduler_peak(&scratch, &job("small.svm", "small"));
    let large = scheduler_peak(&scratch, &job("data.svm", "large"));
    let bytes = std::fs::metadata(scratch.path("large")).expect("a model").len();
    assert!(bytes > 2 * ALLOWED, "a model of {bytes} bytes shows nothing");
    assert!(large < small + ALLOWED, "{large} bytes for a model of {bytes}, {small} for a small one");
}
