//! Memory that a job may use: available, locked, in huge pages, and what a control group leaves of it.

use super::report::Finding;
use super::source::{self, readable_bytes};
use crate::transport::verbs::{LockedMemory, MemoryLockLimit};
use serde_json::json;
use std::path::{Path, PathBuf};

const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";
const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
/// Less than this is too little to register for a job of any size.
const LOCKED_BYTES_MIN: u64 = 1 << 30;
/// A control group with less than this ends jobs of ordinary size.
const GROUP_BYTES_MIN: u64 = 1 << 30;
/// Control groups write numbers near 2^63 for no limit.
const GROUP_BYTES_MAX: u64 = 1 << 60;

/// What was found; how much may be locked matters only where there is an RDMA device.
pub(super) fn findings(has_device: bool) -> Vec<Finding> {
    let mut findings = vec![available(), control_group(), locked(LockedMemory::now(), has_device)];
    findings.push(explicit_huge_pages());
    findings.push(transparent_huge_pages(source::text(TRANSPARENT).as_deref()));
    findings
}

fn available() -> Finding {
    let text = source::text("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
    };
    match (bytes("MemAvailable:"), bytes("MemTotal:")) {
        (Some(free), Some(all)) => {
            Finding::ok("available", format!("{} of {}", readable_bytes(free), readable_bytes(all)))
                .with(json!({ "bytes": free, "total_bytes": all }))
        }
        _ => Finding::ok("available", "not told by this kernel"),
    }
}

fn control_group() -> Finding {
    let groups = source::text("/proc/self/cgroup").unwrap_or_default();
    let limit = limit_files(&groups).iter().filter_map(source::number).filter(|&bytes| bytes < GROUP_BYTES_MAX).min();
    let Some(bytes) = limit else {
        return Finding::ok("control group", "no memory limit").with(json!({ "bytes": null }));
    };
    let text = format!("memory limit {}", readable_bytes(bytes));
    let mend = "ask for more: srun --mem=8G, docker run --memory=8g, systemd-run -p MemoryMax=8G";
    if bytes < GROUP_BYTES_MIN {
        return Finding::warn("control group", text, mend).with(json!({ "bytes": bytes }));
    }
    Finding::ok("control group", text).with(json!({ "bytes": bytes }))
}

/// The files that may hold this process's memory limit: of its group and of all above it, as the
/// smallest counts, in either version of control groups.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let below = Path::new(path.trim_start_matches('/'));
        files.extend(below.ancestors().map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

fn locked(locked: LockedMemory, has_device: bool) -> Finding {
    const NAME: &str = "locked memory";
    let mend = "ulimit -l unlimited; for all logins a line `* - memlock unlimited` in \
                /etc/security/limits.d/rdma.conf; under Slurm PropagateResourceLimitsExcept=MEMLOCK in slurm.conf";
    match locked.limit {
        MemoryLockLimit::Unlimited => Finding::ok(NAME, "no limit").with(json!({ "limit_bytes": null })),
        MemoryLockLimit::Bytes(bytes) => {
            let limit = readable_bytes(bytes);
            let finding = match (bytes < LOCKED_BYTES_MIN, has_device) {
                (true, true) => Finding::warn(NAME, format!("limit {limit}: too little to register"), mend),
                (true, false) => {
                    Finding::ok(NAME, format!("limit {limit}; too little for RDMA, of which there is none"))
                }
                (false, _) => Finding::ok(NAME, format!("limit {limit}")),
            };
            finding.with(json!({ "limit_bytes": bytes }))
        }
    }
}

fn explicit_huge_pages() -> Finding {
    let mut data = Vec::new();
    let mut each = Vec::new();
    for name in source::names(HUGE_PAGES) {
        let count = |file: &str| source::number(format!("{HUGE_PAGES}/{name}/{file}")).unwrap_or(0);
        let (all, free) = (count("nr_hugepages"), count("free_hugepages"));
        let kibibytes = name.strip_prefix("hugepages-").and_then(|rest| rest.strip_suffix("kB")?.parse::<u64>().ok());
        let Some(bytes) = kibibytes.map(|kibibytes| kibibytes << 10) else { continue };
        data.push(json!({ "page_bytes": bytes, "configured": all, "free": free }));
        if all > 0 {
            each.push(format!("{free} of {all} of {} free", readable_bytes(bytes)));
        }
    }
    let text = if each.is_empty() {
        "none configured; sysctl vm.nr_hugepages=N sets some apart".to_owned()
    } else {
        each.join(", ")
    };
    Finding::ok("huge pages", text).with(json!(data))
}

fn transparent_huge_pages(setting: Option<&str>) -> Finding {
    const NAME: &str = "transparent huge pages";
    let Some(setting) = setting else { return Finding::ok(NAME, "not in this kernel") };
    let chosen = setting.split(['[', ']']).nth(1).unwrap_or(setting);
    match chosen {
        "never" => Finding::warn(NAME, "off", format!("echo madvise | sudo tee {TRANSPARENT}")),
        chosen => Finding::ok(NAME, chosen),
    }
    .with(json!({ "enabled": chosen }))
}

#[cfg(test)]
mod tests {
    use super::super::report::Mark;
    use super::*;

    #[test]
    fn limits_are_looked_for_in_a_group_and_all_above_it() {
        let files = limit_files("0::/user.slice/job\n");
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            names,
            [
                "/sys/fs/cgroup/user.slice/job/memory.max",
                "/sys/fs/cgroup/user.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        let old = limit_files("4:memory:/a\n1:cpu,cpuacct:/b\n");
        assert_eq!(old.len(), 2);
        assert!(old[0].ends_with("memory/a/memory.limit_in_bytes"));
        assert!(limit_files("nonsense").is_empty());
    }

    #[test]
    fn a_small_lock_limit_is_a_warning_only_where_there_is_a_device() {
        let small = LockedMemory { pinned_bytes: 0, limit: MemoryLockLimit::Bytes(64 << 10) };
        assert_eq!(locked(small, true).mark(), Mark::Warn);
        assert_eq!(locked(small, false).mark(), Mark::Ok);
        let none = LockedMemory { pinned_bytes: 0, limit: MemoryLockLimit::Unlimited };
        assert_eq!(locked(none, true).mark(), Mark::Ok);
    }

    #[test]
    fn huge_pages_that_are_off_are_a_warning() {
        assert_eq!(transparent_huge_pages(Some("always madvise [never]")).mark(), Mark::Warn);
        assert_eq!(transparent_huge_pages(Some("always [madvise] never")).mark(), Mark::Ok);
        assert_eq!(transparent_huge_pages(None).mark(), Mark::Ok);
    }
}
