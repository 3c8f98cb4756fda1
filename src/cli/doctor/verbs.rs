//! RDMA: the library, adapters, devices with ports and GID tables, the choice, and its loopback test.

use super::report::{Finding, Mark};
use super::source;
use crate::transport::verbs::{
    Device, DeviceLimits, GidEntry, Library, LinkLayer, LocalPort, Port, VerbsConfig, VerbsError,
};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const DEVICES: &str = "/sys/class/infiniband";
/// More than any device grants.
const INLINE_WANTED_BYTES: u32 = 4096;

/// What was found of RDMA.
pub(super) struct VerbsFindings {
    /// The library, devices and choice.
    pub(super) devices: Vec<Finding>,
    /// The test of the chosen port, if there is one.
    pub(super) test: Option<Finding>,
    /// Whether the kernel has a device.
    pub(super) has_device: bool,
}

impl VerbsFindings {
    pub(super) fn is_usable(&self) -> bool {
        self.test.as_ref().is_some_and(|test| test.mark() == Mark::Ok)
    }
}

/// Looks at everything there is, and tries the port that a node would take which is bound to no NUMA node.
pub(super) fn look(config: &VerbsConfig) -> VerbsFindings {
    let names = source::names(DEVICES);
    let has_device = !names.is_empty();
    let mut findings = VerbsFindings { devices: vec![adapters(&names)], test: None, has_device };
    let library = match Library::load() {
        Ok(library) => library,
        Err(error) => {
            findings.devices.push(missing_library(&error, has_device));
            return findings;
        }
    };
    findings.devices.push(Finding::ok("library", loaded_file()));
    if !has_device {
        return findings;
    }
    let choice = LocalPort::choose(library, config, None);
    match library.device_names() {
        Ok(known) => {
            findings.devices.extend(unknown_devices(&names, &known));
            for name in &known {
                findings.devices.extend(device(library, name, choice.as_ref().ok()));
            }
        }
        Err(error) => findings.devices.push(Finding::fail("devices", error.to_string(), "sudo modprobe ib_uverbs")),
    }
    match choice {
        Ok(local) => {
            findings.devices.push(chosen(&local));
            findings.test = Some(loopback(&local));
        }
        Err(error) => findings.devices.push(failed("choice", &error)),
    }
    findings
}

fn failed(name: &str, error: &VerbsError) -> Finding {
    let text = error.to_string();
    // Messages say what is wrong, then what to do.
    let (wrong, mend) = text.split_once("; ").unwrap_or((&text, "sudo dmesg | tail"));
    Finding::fail(name, wrong, mend)
}

fn missing_library(error: &VerbsError, has_device: bool) -> Finding {
    let mend = "sudo apt-get install libibverbs1 ibverbs-providers, or sudo dnf install libibverbs";
    let text = error.to_string();
    let wrong = text.split("; ").next().unwrap_or_default();
    if has_device {
        return Finding::fail("library", wrong, mend);
    }
    Finding::warn("library", format!("{wrong} (needed for RDMA alone)"), mend)
}

/// The file that the dynamic linker took; its name ends in the version.
fn loaded_file() -> String {
    let maps = source::text("/proc/self/maps").unwrap_or_default();
    let path =
        maps.lines().filter_map(|line| line.split_whitespace().last()).find(|path| path.contains("/libibverbs."));
    let Some(path) = path else { return "found".to_owned() };
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| Path::new(path).to_owned());
    real.display().to_string()
}

/// Adapters without a driver look like no adapters; the PCI bus knows better.
fn adapters(devices: &[String]) -> Finding {
    if !devices.is_empty() {
        return Finding::ok("adapters", devices.join(", ")).with(json!(devices));
    }
    let files = source::names("/sys/bus/pci/devices");
    let found = files.iter().find(|name| {
        let read = |file: &str| source::text(format!("/sys/bus/pci/devices/{name}/{file}")).unwrap_or_default();
        is_adapter(&read("class"), &read("vendor"))
    });
    match found {
        Some(place) => Finding::warn(
            "adapters",
            format!("one at PCI {place} without an RDMA driver"),
            "sudo modprobe -a ib_uverbs mlx5_ib; for RoCE in software: sudo modprobe rdma_rxe && \
             sudo rdma link add rxe0 type rxe netdev DEVICE",
        ),
        None => Finding::ok("adapters", "none: jobs go by shared memory and TCP").with(json!([])),
    }
}

/// InfiniBand controllers by class, Mellanox's network controllers by vendor.
fn is_adapter(class: &str, vendor: &str) -> bool {
    class.starts_with("0x0207") || (class.starts_with("0x02") && vendor == "0x15b3")
}

/// Devices of the kernel that the library does not offer.
fn unknown_devices(kernel: &[String], library: &[String]) -> Option<Finding> {
    let missing: Vec<&str> = kernel.iter().filter(|name| !library.contains(name)).map(String::as_str).collect();
    let mend = "sudo apt-get install ibverbs-providers, or sudo dnf install libibverbs; sudo modprobe ib_uverbs";
    (!missing.is_empty()).then(|| {
        let text = format!("{} cannot be used: no provider, or iWARP", missing.join(", "));
        Finding::warn("devices", text, mend)
    })
}

fn device(library: Library, name: &str, choice: Option<&LocalPort>) -> Vec<Finding> {
    let device = match library.open(name) {
        Ok(device) => device,
        Err(error) => return vec![failed(name, &error)],
    };
    let mut findings = vec![described(&device)];
    for number in 1..=device.port_count() {
        let outcome = device.port(number).and_then(|port| Ok((device.gid_table(&port)?, port)));
        match outcome {
            Ok((table, port)) => {
                let chosen = choice.filter(|local| local.device.name() == name && local.port.number == number);
                let interface = table.first().and_then(|entry| entry.interface.as_deref());
                findings.push(port_finding(name, &port, interface));
                findings.extend(table.iter().map(|entry| gid_finding(name, &port, entry, chosen)));
            }
            Err(error) => findings.push(failed(&format!("{name}:{number}"), &error)),
        }
    }
    findings
}

fn described(device: &Arc<Device>) -> Finding {
    let limits = device.limits();
    let inline_bytes = device.inline_bytes_max(INLINE_WANTED_BYTES);
    let place = device.numa_node().map_or_else(|| "no NUMA node".to_owned(), |node| format!("NUMA node {node}"));
    let firmware = if device.firmware().is_empty() { "none" } else { device.firmware() };
    let granted = match &inline_bytes {
        Ok(bytes) => bytes.to_string(),
        Err(error) => return failed(device.name(), error),
    };
    let text = format!(
        "{place}, firmware {firmware}; {} work requests a queue, {} pieces each, {granted} bytes inline, \
         {} completions a queue, {} shared receives, regions of {}{}",
        limits.qp_wr_max,
        limits.sge_max,
        limits.cqe_max,
        limits.srq_wr_max,
        source::readable_bytes(limits.mr_bytes_max),
        if limits.has_mw_type_2 { ", memory windows" } else { "" },
    );
    Finding::ok(device.name(), text).with(limits_data(limits, inline_bytes.ok(), device.numa_node()))
}

fn limits_data(limits: &DeviceLimits, inline_bytes: Option<u32>, numa_node: Option<u32>) -> Value {
    json!({
        "numa_node": numa_node, "inline_bytes_max": inline_bytes, "qp_count_max": limits.qp_count_max,
        "qp_wr_max": limits.qp_wr_max, "sge_max": limits.sge_max, "cqe_max": limits.cqe_max,
        "srq_wr_max": limits.srq_wr_max, "mr_count_max": limits.mr_count_max, "mr_bytes_max": limits.mr_bytes_max,
        "rd_atom_max": limits.rd_atom_max, "has_mw_type_2": limits.has_mw_type_2,
    })
}

fn port_finding(device: &str, port: &Port, interface: Option<&str>) -> Finding {
    let name = format!("{device}:{}", port.number);
    let text = format!(
        "{}, {}, {}, MTU {} of {}",
        port.state,
        port.link_layer,
        port.rate.as_deref().unwrap_or("speed unknown"),
        port.active_mtu,
        port.mtu_max
    );
    let data = json!({
        "state": port.state.to_string(), "link_layer": port.link_layer.to_string(), "gigabits": port.gigabits(),
        "lid": port.lid, "active_mtu": port.active_mtu.bytes(), "mtu_max": port.mtu_max.bytes(),
    });
    let finding = match (port.state.is_active(), port.link_layer) {
        (true, _) => Finding::ok(name, text),
        (false, LinkLayer::Ethernet) => {
            let interface = interface.unwrap_or("DEVICE (`rdma link` names it)");
            Finding::warn(name, text, format!("sudo ip link set up dev {interface}"))
        }
        (false, LinkLayer::InfiniBand) => {
            Finding::warn(name, text, "plug the cable in and start a subnet manager: sudo systemctl start opensm")
        }
    };
    finding.with(data)
}

fn gid_finding(device: &str, port: &Port, entry: &GidEntry, chosen: Option<&LocalPort>) -> Finding {
    let is_chosen = chosen.and_then(|local| local.gid.as_ref()).is_some_and(|gid| gid.index == entry.index);
    let interface = entry.interface.as_deref().unwrap_or("no interface");
    let mark = if is_chosen { "  <- chosen" } else { "" };
    let name = format!("{device}:{} GID {}", port.number, entry.index);
    Finding::ok(name, format!("{}, {}, {interface}{mark}", entry.gid, entry.kind)).with(json!({
        "index": entry.index, "gid": entry.gid.to_string(), "type": entry.kind.to_string(),
        "interface": entry.interface, "chosen": is_chosen,
    }))
}

fn chosen(local: &LocalPort) -> Finding {
    let address = match &local.gid {
        Some(entry) => format!("GID {} ({}, {})", entry.index, entry.gid, entry.kind),
        None => format!("LID {}", local.port.lid),
    };
    let (device, port) = (local.device.name(), local.port.number);
    let text = format!("{device}:{port}, {address}, MTU {}, traffic class {}", local.mtu, local.traffic_class);
    Finding::ok("choice", text).with(json!({
        "device": device, "port": port, "gid_index": local.gid.as_ref().map(|entry| entry.index),
        "lid": local.port.lid, "mtu": local.mtu.bytes(), "traffic_class": local.traffic_class,
    }))
}

fn loopback(local: &LocalPort) -> Finding {
    const NAME: &str = "verbs loopback";
    match local.test_loopback() {
        Ok(times) => {
            let text = format!(
                "{} bytes by WRITE_WITH_IMM in {:.3} ms and back by READ in {:.3} ms, same bytes",
                times.bytes,
                times.write.as_secs_f64() * 1e3,
                times.read.as_secs_f64() * 1e3
            );
            let data = json!({
                "bytes": times.bytes, "write_seconds": times.write.as_secs_f64(),
                "read_seconds": times.read.as_secs_f64(),
            });
            Finding::ok(NAME, text).with(data)
        }
        Err(error) => failed(NAME, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_told_by_class_and_vendor() {
        assert!(is_adapter("0x020700", "0x8086"));
        assert!(is_adapter("0x020000", "0x15b3"));
        assert!(!is_adapter("0x020000", "0x8086"));
        assert!(!is_adapter("0x010802", "0x15b3"));
    }

    #[test]
    fn a_device_without_a_provider_is_named() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(unknown_devices(&names(&["rxe0"]), &names(&["rxe0"])).is_none());
        let finding = unknown_devices(&names(&["mlx5_0", "siw0"]), &names(&["mlx5_0"])).unwrap();
        assert!(format!("{finding:?}").contains("siw0 cannot be used"));
    }

    #[test]
    fn a_failure_is_split_into_what_is_wrong_and_what_to_do() {
        let finding = failed("choice", &VerbsError::NoDevice);
        assert_eq!(finding.mark(), Mark::Fail);
        assert!(format!("{finding:?}").contains("value: \"no RDMA device here\""), "{finding:?}");
    }
}
