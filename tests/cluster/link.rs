//! The ways that data can take between processes of one host, and what happens to them.

use crate::by_hand::free_port;
use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::{Scratch, send_signal};
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How the memory of a link is called among a process's mappings.
const RING: &str = "memfd:parashard-ring";
/// Where the queue of messages begins in each half of a ring, how long its messages are, and how many.
const QUEUE: u64 = 4096;
const MESSAGE_BYTES: u64 = 1024;
const MESSAGES: u64 = 32;

fn train(scratch: &Scratch, transport: &str, passes: &str) -> Vec<u8> {
    let outcome = scratch.run(&[&arguments(passes)[..], &["--transport", transport]].concat());
    outcome.expect_code(0).expect_quiet();
    scratch.assert_clean();
    fs::read(scratch.path("model")).expect("a model")
}

fn arguments(passes: &str) -> [&str; 17] {
    [
        "train",
        "--train",
        "data.svm",
        "--consistency",
        "sequential",
        "--servers",
        "2",
        "--workers",
        "2",
        "--passes",
        passes,
        "--save-state",
        "true",
        "--model",
        "model",
        "--json",
        "summary.json",
    ]
}

#[test]
fn every_transport_gives_the_same_model_and_says_which_way_it_took() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(6000, 3)));
    let reference = train(&scratch, "tcp", "2");
    assert_eq!(summary(&scratch.path("summary.json"))["links"], serde_json::json!({"tcp": 4}));
    for transport in ["shm", "auto"] {
        assert!(train(&scratch, transport, "2") == reference, "{transport}");
        assert_eq!(summary(&scratch.path("summary.json"))["links"], serde_json::json!({"shm": 4}));
    }
}

#[test]
fn a_forced_transport_that_is_not_there_ends_the_job_with_one_line() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(200, 3)));
    let outcome = scratch.run(&[&arguments("1")[..], &["--transport", "verbs"]].concat());
    if outcome.status.success() {
        // This machine has a device.
        assert_eq!(summary(&scratch.path("summary.json"))["links"], serde_json::json!({"verbs": 4}));
        return;
    }
    outcome.expect_error(5, &["--transport verbs"]);
    assert!(!scratch.path("model").exists());
    scratch.assert_clean();
}

#[test]
fn a_worker_that_insists_on_what_its_server_does_not_allow_ends_with_its_reason() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(200, 3)));
    scratch.write_secret("secret");
    let address = format!("127.0.0.1:{}", free_port());
    let identity = ["--job", "2f", "--secret-file", "secret"];
    let start = |name: &str, own: &[&str]| scratch.start(name, &mut scratch.command(&[own, &identity].concat()));
    let scheduler = start("scheduler", &["scheduler", "--train", "data.svm", "--model", "model", "--listen", &address]);
    let server = start("server", &["server", "--rank", "0", "--scheduler", &address, "--transport", "tcp"]);
    let worker = start("worker", &["worker", "--rank", "0", "--scheduler", &address, "--transport", "shm"]);
    worker.wait().expect_error(5, &["--transport shm cannot be met with server 0 shard 0"]);
    for other in [scheduler, server] {
        let code = other.wait().status.code();
        assert!(matches!(code, Some(4 | 5)), "{code:?}");
    }
    scratch.assert_clean();
}

/// The places of a process's rings.
fn rings(pid: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let rings = maps.lines().filter(|line| line.contains(RING)).filter_map(|line| {
        let (begin, end) = line.split_whitespace().next()?.split_once('-')?;
        Some((u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    rings.collect()
}

/// Writes over counters and envelopes of all rings of a process. Bodies stay as they are: they are
/// guarded by the memory alone. Returns how many rings it met.
fn scribble(pid: u32) -> usize {
    let Ok(mut memory) = fs::OpenOptions::new().write(true).open(Path::new("/proc").join(pid.to_string()).join("mem"))
    else {
        return 0;
    };
    let mut write =
        |place: u64, bytes: &[u8]| memory.seek(SeekFrom::Start(place)).and_then(|_| memory.write_all(bytes));
    let rings = rings(pid);
    let mut met = 0;
    for (begin, end) in rings {
        let halves = [begin, begin + (end - begin) / 2];
        let envelopes =
            halves.into_iter().flat_map(|half| (0..MESSAGES).map(move |i| half + QUEUE + i * MESSAGE_BYTES));
        // The process may have let the ring go meanwhile.
        let written = envelopes.map(|place| write(place, &[0xff; 64])).collect::<Result<Vec<()>, _>>();
        let written =
            written.and_then(|_| halves.into_iter().try_for_each(|half| write(half, &0x00a5_a5a5u32.to_le_bytes())));
        met += usize::from(written.is_ok());
    }
    met
}

#[test]
fn rings_that_are_written_over_are_noticed_and_made_anew() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(6000, 3)));
    let reference = train(&scratch, "shm", "60");
    fs::remove_file(scratch.path("model")).expect("it was written");
    let running = scratch.start("job", &mut scratch.command(&[&arguments("60")[..], &["--transport", "shm"]].concat()));
    let worker = scratch.await_pids("worker", 2)[0];
    let (mut met, begin) = (0, Instant::now());
    while !scratch.path("model").exists() && met < 20 && begin.elapsed() < Duration::from_secs(20) {
        met += scribble(worker);
        std::thread::sleep(Duration::from_millis(10));
    }
    let outcome = running.wait();
    outcome.expect_code(0);
    assert!(met >= 4, "only {met} rings were met while the job ran");
    let cuts = outcome.stderr.lines().filter(|line| line.contains("cutting the connection")).count();
    assert!(cuts > 0, "nothing was noticed: {}", outcome.stderr);
    assert!(fs::read(scratch.path("model")).expect("a model") == reference, "after {cuts} cuts");
    scratch.assert_clean();
}

#[test]
fn a_killed_peer_of_a_ring_leaves_nothing() {
    for subcommand in ["server", "worker"] {
        let scratch = Scratch::new();
        scratch.write("data.svm", libsvm(&rows(2000, 1)));
        let arguments = [&arguments("1000000")[..], &["--transport", "shm"]].concat();
        let running = scratch.start("job", &mut scratch.command(&arguments));
        let pids = scratch.await_pids(subcommand, 2);
        let begin = Instant::now();
        while rings(pids[1]).len() < 2 {
            assert!(begin.elapsed() < Duration::from_secs(30), "no rings came");
            std::thread::sleep(Duration::from_millis(2));
        }
        send_signal(pids[1], "KILL");
        let killed_at = Instant::now();
        let outcome = running.wait();
        assert!(killed_at.elapsed() < Duration::from_secs(10), "ended {:?} after the death", killed_at.elapsed());
        outcome.expect_error(4, &[&format!("{subcommand} 1"), "killed by signal 9"]);
        scratch.assert_clean();
    }
}
