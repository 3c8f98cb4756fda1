//! The suite on real RDMA verbs.
//!
//! On a machine with a device the tests of `guest` run on it. Elsewhere this program boots a virtual
//! machine that brings one (Soft-RoCE in Debian's stock kernel, see `machine/`), runs itself in it, and
//! reports each of the guest's tests under its name. `job` runs the program `parashard` there. On a host
//! that can do neither the tests are ignored, and the output says why.
//!
//! Lines that begin with `report: ` are for whoever reads the output of `make test`.

/// Functions with their names.
macro_rules! tests {
    ($($name:path),* $(,)?) => { &[$((crate::name(stringify!($name)), $name as fn())),*] };
}

mod guest;
mod job;
mod machine;
mod share;

use libtest_mimic::{Arguments, Failed, Trial};
use machine::Machine;
use std::sync::OnceLock;

/// A test with its name.
type Test = (&'static str, fn());

/// The last part of a path.
const fn name(path: &'static str) -> &'static str {
    let mut begin = path.len();
    while begin > 0 && path.as_bytes()[begin - 1] != b' ' && path.as_bytes()[begin - 1] != b':' {
        begin -= 1;
    }
    path.split_at(begin).1
}

/// Set where the tests of `guest` are to run on the device that is there.
const GUEST_VARIABLE: &str = "PARASHARD_VERBS_GUEST";

fn main() {
    let mut arguments = Arguments::from_args();
    // There is one device, and two processors.
    arguments.test_threads = Some(1);
    let trials = match (std::env::var_os(GUEST_VARIABLE).is_some(), has_device()) {
        (true, _) => guest_trials(),
        (false, true) => {
            println!("report: this machine has an RDMA device: the tests run on it");
            guest_trials()
        }
        (false, false) => {
            let missing = missing();
            machine_trials().into_iter().map(|trial| trial.with_ignored_flag(missing)).collect()
        }
    };
    libtest_mimic::run(&arguments, trials).exit();
}

/// Set by the suites, after which nothing that can be installed may be missing.
const REQUIRED_VARIABLE: &str = "PARASHARD_VERBS_REQUIRED";

/// Whether the tests cannot run on this host, which is then said.
fn missing() -> bool {
    match Machine::look() {
        Err((_, true)) if std::env::var_os(REQUIRED_VARIABLE).is_some() => false,
        Err((reason, _)) => {
            println!("report: not run, as this host has no RDMA device and cannot emulate one: {reason}");
            true
        }
        Ok(()) => false,
    }
}

fn has_device() -> bool {
    std::fs::read_dir("/sys/class/infiniband").is_ok_and(|mut devices| devices.next().is_some())
}

fn guest_trials() -> Vec<Trial> {
    let trial = |(name, test): Test| {
        Trial::test(name, move || {
            test();
            println!("\nguest: {name} ok");
            Ok(())
        })
    };
    guest::tests().map(trial).collect()
}

/// The guest's tests, by what the machine says of them, and those that boot machines of their own.
fn machine_trials() -> Vec<Trial> {
    let in_machine = guest::tests().map(|(name, _)| name).chain([machine::NOTHING_HELD]);
    let on_device = in_machine.map(|name| Trial::test(name, move || outcome_in_machine(name)));
    let jobs = job::TESTS.iter().map(|&(name, test)| {
        Trial::test(name, move || {
            test();
            println!("\nreport: {name} ok");
            Ok(())
        })
    });
    on_device.chain(jobs).collect()
}

/// By what the machine printed, which ran all tests of `guest` in one boot.
fn outcome_in_machine(name: &str) -> Result<(), Failed> {
    static OUTPUT: OnceLock<Result<String, String>> = OnceLock::new();
    let output = OUTPUT.get_or_init(|| Machine::build().and_then(|machine| machine.run_guest_tests()));
    let output = output.as_ref().map_err(Failed::from)?;
    if output.lines().any(|line| line == format!("guest: {name} ok")) {
        return Ok(());
    }
    Err(format!("failed in the machine, or did not run; it printed:\n{output}").into())
}
