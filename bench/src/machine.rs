//! The facts of the machine that decide how a figure is to be read.

use crate::pin::Placement;
use serde_json::{Value, json};
use std::fmt;

/// What ran the benchmark.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    cpu: String,
    /// Cores that this process may use.
    cores: usize,
    memory_gb: u64,
    kernel: String,
    simd: String,
    /// Cores of client and server, or none when nothing is pinned.
    pinned: Option<(usize, usize)>,
}

impl Machine {
    pub(crate) fn look(placement: &Placement) -> Machine {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kilobytes: u64 = kilobytes.trim_end_matches(" kB").parse().unwrap_or(0);
        Machine {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: placement.count(),
            memory_gb: kilobytes.div_ceil(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            simd: parashard::simd::level().to_string(),
            pinned: placement.cores(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_gb": self.memory_gb,
            "kernel": self.kernel,
            "simd": self.simd,
            "pinned": self.pinned.map(|(client, server)| vec![client, server]),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, memory_gb, kernel, simd, .. } = self;
        write!(f, "{cpu}, {cores} cores, {memory_gb} GB, Linux {kernel}, {simd}, ")?;
        match self.pinned {
            Some((client, server)) => write!(f, "client on core {client}, server on core {server}"),
            None => write!(f, "not pinned"),
        }
    }
}
