//! What iperf3 gives one stream over loopback, pinned as client and server are.

use crate::peer::{Program, free_port, run};
use crate::pin::Placement;
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// iperf3, where it is installed.
pub(crate) struct Iperf3 {
    program: std::path::PathBuf,
    seconds: u32,
}

impl Iperf3 {
    /// `None` when it is not installed.
    pub(crate) fn find(seconds: u32) -> Option<Iperf3> {
        Some(Iperf3 { program: crate::peer::find("iperf3")?, seconds })
    }

    /// GB/s that the receiver saw.
    pub(crate) fn gb_per_s(&self, placement: &Placement) -> Result<f64> {
        let port = free_port()?;
        let mut server = Command::new(&self.program);
        server.args(["--server", "--one-off", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        let mut server = placement.start_on_server(|| Program::start("iperf3", server))?;
        server.wait_for_port(port)?;
        let mut client = Command::new(&self.program);
        client.args(["--client", "127.0.0.1", "--port", &port.to_string(), "--json"]);
        client.args(["--time", &self.seconds.to_string()]);
        let text = run("iperf3", client, Duration::from_secs(u64::from(self.seconds) + 20))?;
        let report: Value = serde_json::from_str(&text).context("iperf3 wrote no JSON")?;
        let bits = report.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
        Ok(bits.context("iperf3 told no rate")? / 8e9)
    }
}
