//! Each benchmark, tiny: it runs, and its rows have the names and fields that readers look for.

use super::{Arguments, exit_code, run};
use crate::cluster::{LocalJob, Mode, table};
use crate::options::{Wait, Way};
use crate::pin::Placement;
use clap::Parser;
use parashard::node::Layout;
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Runs a benchmark with `--quick` and gives its rows; CSV and SVG are checked beside.
fn rows(arguments: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, csv, svg) = (path("rows.json"), path("rows.csv"), path("rows.svg"));
    let files = ["--quick", "--no-pin", "--runs", "2", "--json", &json, "--csv", &csv, "--svg", &svg];
    let mut words: Vec<&str> = ["parashard-bench"].iter().chain(arguments).chain(&files).copied().collect();
    // No program lies beside this one.
    if ["latency", "bandwidth", "push-pull", "sparse"].contains(&arguments[0]) && !arguments.contains(&"--scheduler") {
        words.push("--in-process");
    }
    let arguments = Arguments::try_parse_from(words).expect("good arguments");
    run(&arguments).expect("the benchmark runs");
    let rows: Vec<Value> = serde_json::from_str(&read(&json)).expect("an array of rows");
    assert!(!rows.is_empty());
    for name in ["name", "size", "median", "p99", "unit", "limit", "share_of_limit", "machine"] {
        assert!(rows.iter().all(|row| row.get(name).is_some()), "{name} is missing");
    }
    check_csv(&read(&csv), rows.len());
    check_svg(&read(&svg));
    rows
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).expect("the benchmark has written it")
}

fn check_csv(text: &str, rows: usize) {
    assert_eq!(text.lines().count(), rows + 1, "{text}");
    let commas = |line: &str| {
        // What stands between quotes is one cell.
        line.split('"').step_by(2).flat_map(|part| part.matches(',')).count()
    };
    let head = text.lines().next().expect("a head");
    assert!(head.starts_with("name,size,median,p99,unit"), "{head}");
    assert!(text.lines().all(|line| commas(line) == commas(head)), "{text}");
}

/// Every element is closed in its order.
fn check_svg(text: &str) {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
        match (tag.starts_with('/'), tag.ends_with('/') || tag.starts_with(['?', '!'])) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{tag}"),
            (false, false) => open.push(name),
            (false, true) => {}
        }
    }
    assert!(open.is_empty() && text.starts_with("<svg"), "open: {open:?}");
    assert!(!text.contains("NaN") && !text.contains("inf"), "a place that is no number");
}

/// All rows of a name, in which each of the fields is a number above zero.
fn named<'a>(rows: &'a [Value], name: &str, fields: &[&str]) -> Vec<&'a Value> {
    let named: Vec<&Value> = rows.iter().filter(|row| row["name"] == name).collect();
    assert!(!named.is_empty(), "no row {name}");
    for field in fields {
        let is_number = |row: &&Value| row[*field].as_f64().is_some_and(|number| number > 0.0);
        assert!(named.iter().all(is_number), "{name}: {field} in {named:?}");
    }
    named
}

#[test]
fn sparse_has_a_row_for_each_way_and_depth() {
    let rows = rows(&["sparse", "--sizes", "1000,2000"]);
    let firsts = ["push_first", "push_first_cached"];
    let again = ["push_cached", "push_handle", "push", "pull_cached", "pull_handle", "pull"];
    for name in again.into_iter().chain(firsts) {
        let named = named(&rows, name, &["keys", "mkeys_per_s", "median", "limit", "share_of_limit", "depth"]);
        assert_eq!(named.len(), if firsts.contains(&name) { 2 } else { 4 });
        // Whoever takes the first row of a name and size takes the one with one outstanding.
        assert!(named[0]["depth"] == 1 && named[0]["keys"] == 1000, "{named:?}");
    }
}

#[test]
fn latency_waits_both_ways_beside_plain_sockets() {
    let rows = rows(&["latency"]);
    for name in ["push_1key", "pull_1key", "push_100keys", "pull_100keys", "raw_tcp"] {
        let named = named(&rows, name, &["p50_us", "p99_us"]);
        assert_eq!(named.iter().map(|row| row["wait"].as_str()).collect::<Vec<_>>(), [Some("spin"), Some("block")]);
    }
    named(&rows, "push_1key", &["p50_ratio", "p99_ratio", "share_of_limit"]);
}

#[test]
fn bandwidth_has_the_limit_in_each_row() {
    let rows = rows(&["bandwidth", "--sizes", "4096,65536"]);
    for name in ["push", "pull"] {
        let named = named(&rows, name, &["bytes", "gb_per_s", "limit_gb_per_s", "share_of_limit", "depth"]);
        assert_eq!(named.len(), 4);
        assert!(named[0]["depth"] == 1 && named[0]["bytes"] == 4096);
    }
}

#[test]
fn ways_stand_side_by_side_each_with_its_limit() {
    let rows = rows(&["bandwidth", "--sizes", "65536", "--transport", "auto,tcp,shm"]);
    let named = named(&rows, "push", &["gb_per_s", "limit", "share_of_limit"]);
    let links: Vec<_> = named.iter().filter(|row| row["depth"] == 1).map(|row| row["link"].as_str()).collect();
    assert_eq!(links, [Some("local"), Some("tcp"), Some("shm")]);
    let limits: Vec<_> = named.iter().filter(|row| row["depth"] == 1).map(|row| row["limit_name"].as_str()).collect();
    assert_eq!(limits, [Some("plain ring"), Some("raw stream"), Some("plain ring")]);
}

#[test]
fn a_transport_alone_moves_frames_on_each_way() {
    let rows = rows(&["bandwidth", "--apply", "none", "--sizes", "4096,1048576", "--transport", "tcp,shm,auto"]);
    let named = named(&rows, "transfer", &["bytes", "gb_per_s", "limit", "share_of_limit"]);
    assert_eq!(named.len(), 6);
}

#[test]
fn a_push_and_a_pull_of_the_same_are_measured_dense_and_sparse() {
    let rows = rows(&["push-pull"]);
    for name in ["push_pull_dense", "push_pull_sparse"] {
        named(&rows, name, &["keys", "gb_per_s", "mkeys_per_s", "limit"]);
    }
}

#[test]
fn peers_are_measured_or_skipped_with_a_word() {
    let rows = rows(&["sparse", "--peers", "--sizes", "1000"]);
    named(&rows, "push_cached", &["mkeys_per_s"]);
    if crate::peer::find("redis-server").is_some() {
        named(&rows, "redis_incrbyfloat", &["keys", "mkeys_per_s"]);
        named(&rows, "redis_mget", &["keys", "mkeys_per_s"]);
    }
}

#[test]
fn a_job_that_runs_already_is_joined() {
    let placement = Placement::choose(None, true).expect("always possible");
    let tables = vec![table(0, "weights", 1 << 40, Layout::Sparse)];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, "07".repeat(32)).expect("a file");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own file");
    let mode = Mode { wait: Wait::Block, way: Way::Tcp, in_process: true };
    let job = LocalJob::start(tables, &[7; 32], mode, &placement).expect("the job starts");
    let secret = path.display().to_string();
    let job_id = format!("{:x}", job.config.job.0);
    let rows = rows(&[
        "latency",
        "--scheduler",
        &job.config.scheduler,
        "--job",
        &job_id,
        "--secret-file",
        &secret,
        "--table",
        "weights",
    ]);
    named(&rows, "push_1key", &["p50_us"]);
    assert!(rows.iter().all(|row| row["limit"].is_null()), "the limit of another network is not known");
}

#[test]
fn aggregation_is_held_against_a_hash_map_and_the_triad() {
    let rows = rows(&["aggregate"]);
    for name in ["remembered", "first_sight", "hashbrown", "two_pointer", "first_push", "dense"] {
        named(&rows, name, &["request", "ns_per_key", "limit", "share_of_limit"]);
    }
    named(&rows, "remembered", &["store", "x_hashbrown"]);
    named(&rows, "dense", &["store", "gb_per_s"]);
}

#[test]
fn a_claim_is_timed_for_each_number_of_slices() {
    let rows = rows(&["clock"]);
    let slices: Vec<_> = named(&rows, "claim", &["ns_per_claim", "bytes_max", "bytes_per_range"])
        .iter()
        .map(|row| &row["slices"])
        .collect();
    assert_eq!(slices, [1, 16, 256]);
}

#[test]
fn filters_are_held_against_plain_frames() {
    let rows = rows(&["filters", "--passes", "2"]);
    let fields = ["sent_pass_1", "sent_later", "received_later", "examples_per_s", "train_log_loss", "speed_to_none"];
    let plain = named(&rows, "none", &fields)[0]["sent_later"].as_f64();
    let lossless = named(&rows, "key_cache,pack_keys,nonzero", &fields)[0]["sent_later"].as_f64();
    assert!(lossless < plain, "{lossless:?} of {plain:?} bytes");
}

#[test]
fn a_set_of_filters_that_training_refuses_is_left_out() {
    let rows = rows(&["filters", "--passes", "1", "--set", "gzip", "--set", "key_cache"]);
    let names: Vec<_> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["none", "key_cache"]);
}

#[test]
fn each_rule_has_its_waiting_and_its_curve_with_a_slow_worker_and_without() {
    let rows = rows(&["consistency"]);
    for name in ["one_slow", "none_slow"] {
        let fields = ["median", "waiting_share", "virtual_waiting_share", "objective_half_time", "objective_full_time"];
        let rules: Vec<_> = named(&rows, name, &fields).iter().map(|row| row["rule"].as_str()).collect();
        assert_eq!(rules, [Some("bounded:0"), Some("bounded:16"), Some("eventual")]);
    }
    assert!(rows.iter().all(|row| row["curve_seconds"].as_array().is_some_and(|points| points.len() == 2)));
}

#[test]
fn errors_have_their_exit_codes() {
    let code = |words: &[&str]| {
        let words = ["parashard-bench"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).expect("good arguments");
        let error = run(&arguments).expect_err("it must fail");
        assert!(!format!("{error:#}").contains('\n'), "{error:#}");
        exit_code(&error)
    };
    assert_eq!(code(&["push-pull", "--quick", "--pin", "0,1000"]), 2);
    assert_eq!(code(&["sparse", "--quick", "--in-process", "--transport", "tcp,shm"]), 2);
    let latency = ["latency", "--quick", "--in-process", "--runs", "1", "--wait", "block"];
    assert_eq!(code(&[&latency[..], &["--json", "/no/such/folder/rows.json"]].concat()), 5);
    for words in
        [&["sparse", "--runs", "0"][..], &["latency", "--peers", "--scheduler", "a:1", "--job", "1", "--table", "t"]]
    {
        let words = ["parashard-bench"].iter().chain(words);
        assert_eq!(Arguments::try_parse_from(words).expect_err("wrong usage").exit_code(), 2);
    }
}
