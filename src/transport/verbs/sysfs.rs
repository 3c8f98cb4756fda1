//! What the kernel says of devices in `/sys`, beside what verbs can be asked.

use std::fs;
use std::path::{Path, PathBuf};

/// A file's trimmed text; none when it is missing, unreadable or empty.
fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The files of one port of a device.
#[derive(Debug, Clone)]
pub(super) struct PortFiles(PathBuf);

impl PortFiles {
    pub(super) fn of(device: &str, port: u8) -> PortFiles {
        PortFiles(Path::new("/sys/class/infiniband").join(device).join("ports").join(port.to_string()))
    }

    /// Such as `100 Gb/sec (4X EDR)`.
    pub(super) fn rate(&self) -> Option<String> {
        text(&self.0.join("rate"))
    }

    /// What carries the GID at `index`.
    pub(super) fn gid_kind(&self, index: u32) -> Option<String> {
        text(&self.0.join("gid_attrs/types").join(index.to_string()))
    }

    /// The network interface that the GID at `index` belongs to.
    pub(super) fn gid_interface(&self, index: u32) -> Option<String> {
        text(&self.0.join("gid_attrs/ndevs").join(index.to_string()))
    }
}

/// The NUMA node that a device hangs on; none for devices in software and on machines with one node.
pub(super) fn numa_node(device: &str) -> Option<u32> {
    let path = Path::new("/sys/class/infiniband").join(device).join("device/numa_node");
    text(&path)?.parse().ok()
}

/// How far `to` is from `from`: 10 for the same node, more for others.
pub(super) fn numa_distance(from: u32, to: u32) -> Option<u32> {
    let path = PathBuf::from(format!("/sys/devices/system/node/node{from}/distance"));
    text(&path)?.split_whitespace().nth(usize::try_from(to).ok()?)?.parse().ok()
}
