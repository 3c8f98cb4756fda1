//! The suite on real RDMA verbs.
//!
//! On a machine with a device the tests of `guest` run on it. Elsewhere this program boots a virtual
//! machine that brings one (Soft-RoCE in Debian's stock kernel, see `machine/`), runs itself in it, and
//! reports each of the guest's tests under its name. `job` runs the program `parashard` there.
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
        (false, false) => machine_trials(),
    };
    libtest_mimic::run(&arguments, trials).exit();
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
    let on_device = guest::tests().map(|(name, _)| Trial::test(name, move || outcome_in_machine(name)));
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
