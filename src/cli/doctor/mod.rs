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

use super::link::LinkOptions;
use super::output::print;
use crate::error::{ExitCode, Failure};
use crate::node::{LinkSettings, TransportChoice};
use clap::Args;
use report::{Mark, Report, Section};

/// Arguments of `parashard doctor`.
#[derive(Debug, Clone, Args)]
pub(super) struct DoctorArguments {
    /// Print one JSON object instead of the report.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    link: LinkOptions,
}

/// Prints the report; the exit code says whether a job with this choice of transport can run here.
pub(super) fn run(arguments: &DoctorArguments) -> Result<u8, Failure> {
    let report = examine(&arguments.link.settings()?);
    print(&if arguments.json { report.to_json() } else { report.to_text() })?;
    Ok(if report.is_usable { ExitCode::Done } else { ExitCode::CannotStart } as u8)
}

fn examine(settings: &LinkSettings) -> Report {
    let verbs = verbs::look(&settings.verbs);
    let has_verbs = verbs.is_usable();
    let (tcp, shared) = (carrier::tcp_loopback(), carrier::shared_memory());
    let passed = [("verbs", has_verbs), ("shm", shared.mark() == Mark::Ok), ("tcp", tcp.mark() == Mark::Ok)];
    let carriers: Vec<&'static str> =
        passed.iter().filter(|(_, is_passed)| *is_passed).map(|(name, _)| *name).collect();
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
        is_usable: can_carry(settings.choice, &carriers),
        choice: settings.choice.to_string(),
        carriers,
    }
}

/// Whether what passed its test is enough for a job. Control goes by TCP whatever carries the data.
fn can_carry(choice: TransportChoice, carriers: &[&str]) -> bool {
    let is_there = |name: &str| carriers.contains(&name);
    is_there("tcp") && (choice == TransportChoice::Auto || is_there(&choice.to_string()))
}

fn head() -> String {
    let kernel = source::text("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("parashard {} on Linux {kernel}, {cores} processors", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_needs_tcp_and_what_it_was_told_to_use() {
        assert!(can_carry(TransportChoice::Auto, &["tcp"]));
        assert!(!can_carry(TransportChoice::Auto, &["verbs", "shm"]));
        assert!(!can_carry(TransportChoice::Verbs, &["shm", "tcp"]));
        assert!(can_carry(TransportChoice::Verbs, &["verbs", "shm", "tcp"]));
        assert!(can_carry(TransportChoice::Shm, &["shm", "tcp"]));
    }
}
