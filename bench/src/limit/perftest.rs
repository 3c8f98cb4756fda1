//! What perftest gets out of an RDMA device: both ends on this machine, pinned as client and server are.

use crate::peer::{Program, find, free_port, run};
use crate::pin::Placement;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Bytes that one measurement moves, about, and the bounds of its rounds.
const BYTES: u64 = 32 << 20;
const ROUNDS: (u64, u64) = (20, 2_000);
/// Round trips of a measurement of latency.
const TRIPS: u64 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(60);

/// The programs of perftest and the device that they use.
pub(crate) struct Perftest {
    device: String,
    gid_index: Option<String>,
}

impl Perftest {
    /// The device that `PARASHARD_VERBS_DEVICE` names, else the first.
    ///
    /// # Errors
    /// A line that says what is missing.
    pub(crate) fn find() -> std::result::Result<Perftest, String> {
        for program in ["ib_write_bw", "ib_read_bw", "ib_send_lat"] {
            if find(program).is_none() {
                return Err(format!("skipped: {program} is not installed; it comes with perftest"));
            }
        }
        let mut devices: Vec<String> = std::fs::read_dir("/sys/class/infiniband")
            .map(|folder| folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        devices.sort();
        let named = std::env::var("PARASHARD_VERBS_DEVICE").ok();
        let named = named.and_then(|name| name.split(':').next().map(str::to_owned));
        let device = named.or_else(|| devices.first().cloned());
        let device = device.ok_or("skipped: perftest finds no RDMA device")?;
        Ok(Perftest { device, gid_index: std::env::var("PARASHARD_GID_INDEX").ok() })
    }

    /// GB/s of `ib_write_bw` or `ib_read_bw`, the average of its rounds.
    pub(crate) fn gb_per_s(&self, program: &'static str, bytes: u64, placement: &Placement) -> Result<f64> {
        let rounds = (BYTES / bytes).clamp(ROUNDS.0, ROUNDS.1);
        let columns = self.measure(program, bytes, rounds, &["--report_gbits"], placement)?;
        // Bytes, rounds, peak, average.
        Ok(columns.get(3).context("it told no average")? / 8.0)
    }

    /// Microseconds there and back of `ib_send_lat`: its typical time, which is of one way, twice; and the
    /// 99th percentile.
    pub(crate) fn round_trip_us(&self, bytes: u64, placement: &Placement) -> Result<(f64, f64)> {
        let columns = self.measure("ib_send_lat", bytes, TRIPS, &[], placement)?;
        // Bytes, rounds, least, most, typical, average, deviation, 99 %, 99.9 %.
        let typical = columns.get(4).context("it told no typical time")?;
        Ok((2.0 * typical, 2.0 * columns.get(7).context("it told no percentile")?))
    }

    fn measure(
        &self,
        program: &'static str,
        bytes: u64,
        rounds: u64,
        more: &[&str],
        placement: &Placement,
    ) -> Result<Vec<f64>> {
        let path = find(program).with_context(|| format!("{program} is gone"))?;
        let port = free_port()?;
        let mut server =
            placement.start_on_server(|| Program::start(program, self.command(&path, bytes, rounds, port, more)))?;
        server.wait_for_port(port)?;
        let mut client = self.command(&path, bytes, rounds, port, more);
        client.arg("127.0.0.1");
        let text = run(program, client, TIMEOUT)?;
        figures(&text, bytes).with_context(|| format!("{program} wrote no line for {bytes} bytes"))
    }

    fn command(&self, path: &PathBuf, bytes: u64, rounds: u64, port: u16, more: &[&str]) -> Command {
        let mut command = Command::new(path);
        command.args(["--ib-dev", &self.device, "--size", &bytes.to_string(), "--iters", &rounds.to_string()]);
        // Without the first it stops at a processor whose clock changes.
        command.args(["-F", "--port", &port.to_string()]).args(more);
        if let Some(index) = &self.gid_index {
            command.args(["--gid-index", index]);
        }
        command
    }
}

/// The numbers of the line that begins with the size.
fn figures(text: &str, bytes: u64) -> Option<Vec<f64>> {
    let numbers = |line: &str| line.split_whitespace().map_while(|word| word.parse::<f64>().ok()).collect::<Vec<_>>();
    text.lines().map(numbers).find(|numbers| numbers.len() > 3 && numbers[0] == bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_size_is_read() {
        let text = "\
 Number of qps   : 1\t\tTransport type : IB
 #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
 65536      500              1.04               0.91               0.001736
---------------------------------------------------------------------------------------
";
        assert_eq!(figures(text, 65536).and_then(|columns| columns.get(3).copied()), Some(0.91));
        assert_eq!(figures(text, 4096), None);
    }
}
