//! `parashard doctor`: what of this machine a job would use, and whether it works.
//!
//! Looks, tries, and changes nothing. Every warning and failure comes with the command that mends it.

mod carrier;
mod launcher;
mod memory;
mod processor;
mod report;
mod source;
mod verbs;

use super::output::print;
use crate::error::{ExitCode, Failure};
use clap::Args;
use report::{Mark, Report, Section};

/// Arguments of `parashard doctor`.
#[derive(Debug, Clone, Args)]
pub(super) struct DoctorArguments {
    /// Print one JSON object instead of the report.
    #[arg(long)]
    json: bool,
}

/// Prints the report; the exit code says whether a job can run here.
pub(super) fn run(arguments: &DoctorArguments) -> Result<u8, Failure> {
    let report = examine();
    print(&if arguments.json { report.to_json() } else { report.to_text() })?;
    Ok(if report.is_usable { ExitCode::Done } else { ExitCode::CannotStart } as u8)
}

fn examine() -> Report {
    let verbs = verbs::look();
    let has_verbs = verbs.is_usable();
    let (tcp, shared) = (carrier::tcp_loopback(), carrier::shared_memory());
    let passed = [("verbs", has_verbs), ("shm", shared.mark() == Mark::Ok), ("tcp", tcp.mark() == Mark::Ok)];
    let section = |title, findings| Section { title, findings };
    let mut tests = vec![tcp, carrier::tcp_address(), shared];
    tests.extend(verbs.test);
    Report {
        head: head(),
        sections: vec![
            section("processor", processor::findings()),
            section("memory", memory::findings(verbs.has_device)),
            section("process", launcher::findings()),
            section("RDMA", verbs.devices),
            section("self-test", tests),
        ],
        carriers: passed.iter().filter(|(_, is_passed)| *is_passed).map(|(name, _)| *name).collect(),
        // Control goes by TCP on every fabric.
        is_usable: passed[2].1,
    }
}

fn head() -> String {
    let kernel = source::text("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("parashard {} on Linux {kernel}, {cores} processors", env!("CARGO_PKG_VERSION"))
}
