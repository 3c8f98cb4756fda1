//! Instruction set, NUMA nodes and clocks.

use super::report::Finding;
use super::source;
use crate::simd;
use serde_json::json;
use std::time::{Duration, Instant, SystemTime};

const CLOCK_SOURCES: &str = "/sys/devices/system/clocksource/clocksource0";
/// Clock sources that are read without leaving the process.
const FAST_CLOCKS: [&str; 5] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase"];
/// Readings of the clock that are timed.
const READINGS: u32 = 10_000;
/// 2024-01-01: before it no build of this program existed.
const EARLIEST_TIME: Duration = Duration::from_secs(1_704_067_200);

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![kernels(), numa_nodes()];
    findings.extend([clock_source(), steady_clock(), wall_clock()]);
    findings
}

fn kernels() -> Finding {
    let level = simd::level();
    let data = json!({ "level": level.to_string() });
    match std::env::var("PARASHARD_SIMD") {
        Ok(name) => Finding::warn(
            "instruction set",
            format!("{level}, as PARASHARD_SIMD={name} says"),
            "unset PARASHARD_SIMD, for the widest that the processor has",
        ),
        Err(_) => Finding::ok("instruction set", format!("{level}, the widest that the processor has")),
    }
    .with(data)
}

fn numa_nodes() -> Finding {
    let nodes: Vec<(u32, String)> = source::names("/sys/devices/system/node")
        .iter()
        .filter_map(|name| {
            let number = name.strip_prefix("node")?.parse().ok()?;
            Some((number, source::text(format!("/sys/devices/system/node/{name}/cpulist")).unwrap_or_default()))
        })
        .collect();
    let data: Vec<_> = nodes.iter().map(|(number, cpus)| json!({ "node": number, "cpus": cpus })).collect();
    let each: Vec<String> = nodes.iter().map(|(number, cpus)| format!("node {number} with CPUs {cpus}")).collect();
    let text = if each.is_empty() { "one, as far as the kernel tells".to_owned() } else { each.join(", ") };
    Finding::ok("NUMA", text).with(json!(data))
}

fn clock_source() -> Finding {
    let current = source::text(format!("{CLOCK_SOURCES}/current_clocksource"));
    let available = source::text(format!("{CLOCK_SOURCES}/available_clocksource")).unwrap_or_default();
    judged_clock_source(current.as_deref(), &available)
}

fn judged_clock_source(current: Option<&str>, available: &str) -> Finding {
    let Some(current) = current else { return Finding::ok("clock source", "not told by this kernel") };
    let better = available.split_whitespace().find(|name| FAST_CLOCKS.contains(name));
    let data = json!({ "current": current, "available": available.split_whitespace().collect::<Vec<_>>() });
    match better {
        Some(better) if !FAST_CLOCKS.contains(&current) => Finding::warn(
            "clock source",
            format!("{current}: each reading is a system call"),
            format!("echo {better} | sudo tee {CLOCK_SOURCES}/current_clocksource"),
        ),
        _ => Finding::ok("clock source", current),
    }
    .with(data)
}

/// Reads the clock often, and once around a sleep.
fn steady_clock() -> Finding {
    let begin = Instant::now();
    let (mut last, mut is_forward) = (begin, true);
    for _ in 0..READINGS {
        let now = Instant::now();
        is_forward &= now >= last;
        last = now;
    }
    let reading_ns = (last - begin).as_nanos() / u128::from(READINGS);
    let pause = Duration::from_millis(5);
    let begin = Instant::now();
    std::thread::sleep(pause);
    let slept = begin.elapsed();
    let data = json!({ "reading_ns": reading_ns as u64, "forward": is_forward });
    let mend = "give the machine a working clock source: cat /sys/devices/system/clocksource/clocksource0/*";
    if !is_forward || slept < pause {
        return Finding::fail("steady clock", format!("went back, or {slept:?} in a pause of {pause:?}"), mend)
            .with(data);
    }
    Finding::ok("steady clock", format!("runs forward, {reading_ns} ns a reading")).with(data)
}

fn wall_clock() -> Finding {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(time) if time > EARLIEST_TIME => Finding::ok("wall clock", format!("set, {} s since 1970", time.as_secs())),
        _ => {
            Finding::warn("wall clock", "before 2024: dates in reports will be wrong", "sudo timedatectl set-ntp true")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Mark;
    use super::*;

    #[test]
    fn a_slow_clock_is_a_warning_only_where_a_faster_one_is_to_be_had() {
        assert_eq!(judged_clock_source(Some("tsc"), "tsc hpet acpi_pm").mark(), Mark::Ok);
        assert_eq!(judged_clock_source(Some("hpet"), "tsc hpet acpi_pm").mark(), Mark::Warn);
        assert_eq!(judged_clock_source(Some("hpet"), "hpet acpi_pm").mark(), Mark::Ok);
        assert_eq!(judged_clock_source(None, "").mark(), Mark::Ok);
    }
}
