//! Under `sequential` the model is a function of data, seed and number of workers alone.

use crate::by_hand::Job;
use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;
use std::time::{Duration, Instant};

const WORKERS: usize = 2;
/// Passes of a job that runs long enough for many connections to be broken.
const LONG: &str = "24";
/// So that it does on every machine: 144,000 examples by two workers take at least 1.4 s.
const SLOWLY: [&str; 2] = ["--simulate-compute-us", "20"];
/// Connections that must have been broken while the job ran.
const BROKEN_MIN: usize = 20;

/// Data that are cut into several units.
fn prepare() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(6000, 3)));
    scratch
}

/// Saves the update state too, so that every number of the servers is compared.
fn arguments(passes: &'static str) -> Vec<&'static str> {
    vec![
        "--train",
        "data.svm",
        "--consistency",
        "sequential",
        "--passes",
        passes,
        "--l1",
        "0.1",
        "--save-state",
        "--model",
        "model",
        "--json",
        "summary.json",
    ]
}

fn model(scratch: &Scratch, servers: &str, shards: &str, simd: Option<&str>, passes: &'static str) -> Vec<u8> {
    let cast = ["train", "--servers", servers, "--shards", shards, "--workers", "2"];
    let mut command = scratch.command(&[&cast[..], &arguments(passes)].concat());
    command.envs(simd.map(|level| ("PARASHARD_SIMD", level)));
    scratch.start("job", &mut command).wait().expect_code(0).expect_quiet();
    scratch.assert_clean();
    std::fs::read(scratch.path("model")).expect("a model")
}

#[test]
fn servers_shards_and_simd_do_not_change_a_byte_of_the_model() {
    let scratch = prepare();
    let reference = model(&scratch, "1", "1", None, "2");
    assert!(reference.len() > 4000, "most keys are in the model");
    for (servers, shards, simd) in
        [("1", "1", None), ("2", "1", None), ("4", "2", None), ("1", "1", Some("scalar")), ("4", "2", Some("scalar"))]
    {
        assert!(model(&scratch, servers, shards, simd, "2") == reference, "{servers}x{shards}, SIMD {simd:?}");
    }
}

#[test]
fn broken_connections_do_not_change_a_byte_of_the_model() {
    let scratch = prepare();
    let reference = model(&scratch, "2", "1", None, LONG);
    scratch.write_secret("secret");
    let mut proxies = Vec::new();
    let slowly = [&arguments(LONG)[..], &SLOWLY].concat();
    let job = Job::start(&scratch, 2, WORKERS, &slowly, Some(&mut proxies));
    let (mut broken, mut round) = (0, 0);
    let begin = Instant::now();
    while !scratch.pids("scheduler").is_empty() && begin.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(20));
        broken += proxies[round % proxies.len()].break_connections();
        round += 1;
    }
    let (scheduler, nodes) = job.wait();
    scheduler.expect_code(0).expect_quiet();
    for node in &nodes {
        node.expect_code(0);
    }
    let retries = summary(&scratch.path("summary.json"))["retries"].as_u64();
    println!("{broken} connections broken, {retries:?} segments sent again");
    assert!(broken >= BROKEN_MIN, "only {broken} connections were broken while the job ran");
    assert!(retries.is_some_and(|count| count > 0), "nothing was sent again, though {broken} were broken");
    assert!(std::fs::read(scratch.path("model")).expect("a model") == reference, "after {broken} broken connections");
    scratch.assert_clean();
}
