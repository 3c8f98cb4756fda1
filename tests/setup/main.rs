//! The set-up script and the suite runner, run as a person runs them.
//!
//! The set-up script is run with `--dry-run --fresh` on os-release files of the systems it knows:
//! the commands it prints are compared word for word. Nothing is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn set_up(system: &str, arguments: &[&str]) -> Output {
    Command::new(root().join(".ci/setup.sh"))
        .args(["--fresh", "--os-release"])
        .arg(root().join("tests/setup/os-release").join(system))
        .args(arguments)
        .output()
        .expect("the script runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const APT: &str = "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
                   gcc libc6-dev pkg-config ca-certificates";
const MACHINE: &str = " qemu-system-x86 busybox-static iproute2 ibverbs-utils perftest cpio kmod binutils pigz \
                       xz-utils ibverbs-providers";
const DNF: &str = "dnf install -y gcc glibc-devel pkgconf-pkg-config ca-certificates";

/// What root has to run on each system for `goal`, one command a line.
fn expected(system: &str, goal: &str) -> String {
    let lint = |packages: &str| if goal == "demo" { String::new() } else { format!(" {packages}") };
    let machine = if system.starts_with("debian") { MACHINE } else { "" };
    let lint_packages = lint(&format!("libibverbs-dev{machine}"));
    let apt_install = format!(
        "apt-get update
{APT}{} libhwloc-dev libudev-dev",
        lint_packages
    );
    let dnf_install = format!("{DNF}{}", lint("rdma-core-devel"));
    let apt = |rust: &str, linters: &str| format!("{apt_install} {rust}{}\n", lint(linters));
    match system {
        "debian-12" | "debian-13" => apt("cargo-web rustc-web", "rustfmt-web rust-web-clippy"),
        "ubuntu-25.10" => {
            let components = lint("--component rustfmt,clippy");
            format!(
                "{apt_install} rustup\n\
                 rustup toolchain install stable --profile minimal{components}\n"
            )
        }
        "ubuntu-22.04" | "ubuntu-24.04" => apt("cargo-1.89 rustc-1.89", "rustfmt-1.89 rust-1.89-clippy"),
        "rhel-8" => {
            format!("dnf -y module enable rust-toolset:rhel8\n{dnf_install} rust-toolset{}\n", lint("rustfmt clippy"))
        }
        "rhel-9" | "rocky-9" => format!("{dnf_install} rust-toolset{}\n", lint("rustfmt clippy")),
        other => unreachable!("no expectation for {other}"),
    }
}

const SYSTEMS: [&str; 8] =
    ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "ubuntu-25.10", "rhel-8", "rhel-9", "rocky-9"];

#[test]
fn a_dry_run_prints_the_commands_of_each_known_system() {
    for system in SYSTEMS {
        for goal in ["demo", "test"] {
            let output = set_up(system, &["--dry-run", "--privilege", "root", "--for", goal]);
            assert_eq!(stdout(&output), expected(system, goal), "{system}, {goal}");
            assert!(output.status.success(), "{system}, {goal}: {}", stderr(&output));
        }
    }
}

#[test]
fn sudo_stands_before_what_needs_root_and_before_nothing_else() {
    let output = set_up("ubuntu-25.10", &["--dry-run", "--privilege", "sudo"]);
    let lines: Vec<bool> = stdout(&output).lines().map(|line| line.starts_with("sudo ")).collect();
    assert_eq!(lines, [true, true, false]);
}

#[test]
fn without_root_one_line_says_what_to_run_and_the_exit_code_is_5() {
    for system in SYSTEMS {
        let output = set_up(system, &["--privilege", "none"]);
        assert_eq!(output.status.code(), Some(5), "{system}");
        let lines: Vec<String> =
            stderr(&output).lines().filter(|line| line.starts_with("sudo ")).map(str::to_owned).collect();
        let commands: Vec<String> = expected(system, "demo")
            .lines()
            .filter(|line| !line.starts_with("rustup"))
            .map(|line| format!("sudo {line}"))
            .collect();
        assert_eq!(lines, [commands.join(" && ")], "{system}");
        assert_eq!(stdout(&output), "", "{system}");
    }
}

#[test]
fn an_unknown_system_is_told_what_is_missing() {
    for system in ["unknown", "there-is-no-such-file"] {
        let output = set_up(system, &["--dry-run", "--privilege", "root"]);
        assert_eq!(output.status.code(), Some(5));
        let message = stderr(&output);
        assert!(message.contains("none that the script knows") && message.contains("Rust 1.89"), "{message}");
        assert!(message.contains("missing: gcc"), "{message}");
    }
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    for arguments in [["--for", "lunch"], ["--privilege", "king"], ["--dry", "run"]] {
        assert_eq!(set_up("debian-12", &arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// Runs the suite runner on a list of its own.
fn run_suites(list: &str, names: &[&str]) -> (Output, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    std::fs::write(&path, list).expect("a list");
    let output = Command::new(root().join("tests/run-suites"))
        .arg(&path)
        .args(names)
        .env("PARASHARD_TEST_LOGS", folder.path().join("logs"))
        .output()
        .expect("the runner runs");
    (output, path, folder)
}

fn last_line(output: &Output) -> String {
    stdout(output).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_runner_adds_up_the_result_lines_of_all_suites() {
    let list = "\
# a comment
one | 10 | - | echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out'
two | 10 | - | true
gone | 10 | no/such/path | false
";
    let (output, ..) = run_suites(list, &[]);
    assert_eq!(last_line(&output), "4 passed, 0 failed, 1 skipped");
    assert!(output.status.success());
    assert!(!stdout(&output).contains("gone"), "{}", stdout(&output));
}

#[test]
fn the_runner_names_a_failed_suite_shows_its_log_and_fails() {
    let list = "good | 10 | - | true\nbad | 10 | - | echo the reason; false\nlate | 1 | - | sleep 30\n";
    let (output, ..) = run_suites(list, &[]);
    let text = stdout(&output);
    assert!(text.contains("failed: bad late") && text.contains("the reason"), "{text}");
    assert!(text.contains("not done after 1 s"), "{text}");
    assert_eq!(last_line(&output), "1 passed, 2 failed, 0 skipped");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_suite_that_dies_after_green_results_still_fails() {
    let list = "crash | 10 | - | echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; exit 101\n";
    let (output, ..) = run_suites(list, &[]);
    assert_eq!(last_line(&output), "3 passed, 1 failed, 0 skipped");
    assert!(!output.status.success());
}

#[test]
fn nothing_runs_after_a_suite_that_the_others_need() {
    let (output, ..) = run_suites("+build | 10 | - | false\nunit | 10 | - | true\n", &[]);
    assert_eq!(last_line(&output), "0 passed, 1 failed, 0 skipped");
}

#[test]
fn chosen_suites_run_alone_and_a_wrong_name_is_an_error() {
    let list = "one | 10 | - | true\ntwo | 10 | - | false\n";
    let (output, ..) = run_suites(list, &["one"]);
    assert_eq!(last_line(&output), "1 passed, 0 failed, 0 skipped");
    let (output, ..) = run_suites(list, &["three"]);
    assert!(!output.status.success());
}
