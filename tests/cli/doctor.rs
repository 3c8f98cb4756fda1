//! `doctor`: on the machine that runs the tests, and where a job cannot run.

use crate::program::{done, program};
use serde_json::Value;
use std::process::Command;

fn findings(report: &Value) -> Vec<&Value> {
    let sections = report["sections"].as_object().expect("sections");
    sections.values().flat_map(|section| section.as_array().expect("a list of findings")).collect()
}

fn report() -> Value {
    serde_json::from_str(&done(&["doctor", "--json"])).expect("one JSON object")
}

#[test]
fn a_machine_that_runs_tests_is_usable_by_tcp_and_shared_memory() {
    let report = report();
    assert_eq!(report["usable"], true);
    let carriers: Vec<&str> = report["carriers"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(carriers.ends_with(&["shm", "tcp"]), "{carriers:?}");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn everything_that_is_promised_is_looked_at_and_every_warning_says_how_to_mend_it() {
    let report = report();
    let findings = findings(&report);
    let named = |name: &str| findings.iter().any(|finding| finding["name"] == name);
    for name in [
        "instruction set",
        "NUMA",
        "clock source",
        "steady clock",
        "available",
        "control group",
        "locked memory",
        "huge pages",
        "transparent huge pages",
        "Slurm",
        "MPI",
        "open files",
        "adapters",
        "library",
        "tcp loopback",
        "tcp address",
        "shared memory",
    ] {
        assert!(named(name), "{name} is missing: {report}");
    }
    for finding in &findings {
        let is_ok = finding["mark"] == "ok";
        assert_eq!(is_ok, finding["mend"].is_null(), "{finding}");
    }
}

#[test]
fn without_a_device_no_port_is_chosen_and_no_loopback_is_tried() {
    if std::fs::read_dir("/sys/class/infiniband").is_ok_and(|mut devices| devices.next().is_some()) {
        println!("this machine has an RDMA device");
        return;
    }
    let report = report();
    let findings = findings(&report);
    assert!(!findings.iter().any(|finding| finding["name"] == "choice" || finding["name"] == "verbs loopback"));
    let forced = program().args(["doctor", "--transport", "verbs"]).output().expect("runs");
    assert_eq!(forced.status.code(), Some(5), "{}", String::from_utf8_lossy(&forced.stdout));
    let adapters = findings.iter().find(|finding| finding["name"] == "adapters").expect("a finding");
    let text = adapters["value"].as_str().expect("text");
    assert!(text.contains("jobs go by shared memory and TCP") || text.contains("without an RDMA driver"), "{text}");
}

#[test]
fn the_report_is_aligned_marked_and_ends_with_a_verdict() {
    let text = done(&["doctor"]);
    let last = text.lines().last().expect("lines");
    assert!(
        last.starts_with("usable with transport auto: ") && last.contains("tcp") && last.contains(" warnings, "),
        "{text}"
    );
    let columns: Vec<usize> = text
        .lines()
        .filter(|line| ["  ok    ", "  warn  ", "  fail  "].iter().any(|mark| line.starts_with(mark)))
        .map(|line| 8 + line[8..].find("  ").expect("a value behind the name"))
        .collect();
    assert!(columns.len() > 15 && columns.iter().all(|&column| column < 34), "{text}");
}

#[test]
fn the_environment_of_slurm_and_mpi_is_told() {
    let mut command = program();
    command.args(["doctor"]).env("SLURM_JOB_ID", "4711").env("SLURM_NTASKS", "16").env("PMIX_RANK", "3");
    let text = String::from_utf8(command.output().expect("runs").stdout).expect("text");
    assert!(text.contains("job 4711, task ") && text.contains(" of 16 on "), "{text}");
    assert!(text.contains("rank 3 of ?, started by PMIx"), "{text}");
}

#[test]
fn without_any_network_the_machine_is_not_usable_and_the_exit_code_is_5() {
    // In a network namespace of its own even loopback is down.
    let allowed = Command::new("unshare").args(["-rn", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("network namespaces are not allowed here");
        return;
    }
    let output = Command::new("unshare")
        .args(["-rn", env!("CARGO_BIN_EXE_parashard"), "doctor"])
        .env_remove("PARASHARD_SIMD")
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("fail  tcp loopback") && text.contains("mend it: sudo ip link set lo up"), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("not usable with transport auto: ")), "{text}");
}

#[test]
fn a_setting_without_meaning_is_a_usage_error() {
    let mut command = program();
    let output = command.arg("doctor").env("PARASHARD_VERBS_MTU", "1500").output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("PARASHARD_VERBS_MTU is `1500`; set it to 256"));
}

#[test]
fn the_program_demands_no_library_of_rdma() {
    let output = Command::new("readelf").args(["-d", env!("CARGO_BIN_EXE_parashard")]).output().expect("readelf");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("NEEDED") && !text.contains("ibverbs"), "{text}");
}

#[test]
fn without_the_library_the_program_runs_and_says_how_to_install_it() {
    // In a mount namespace of its own an empty file lies over each copy of the library.
    let script = "for file in $(ldconfig -p 2>/dev/null | awk '/libibverbs.so.1 /{print $NF}'); do \
                  mount --bind /dev/null \"$(realpath \"$file\")\" || exit 99; done; exec \"$0\" doctor";
    let path = format!("{}:/sbin:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_parashard")])
        .env("PATH", path)
        .env_remove("PARASHARD_SIMD")
        .output();
    let Ok(output) = output else { return println!("there is no unshare here") };
    let text = String::from_utf8_lossy(&output.stdout);
    if text.is_empty() {
        return println!("mount namespaces are not allowed here: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("libibverbs.so.1 cannot be loaded"), "{text}");
    assert!(text.contains("mend it: sudo apt-get install libibverbs1 ibverbs-providers"), "{text}");
}
