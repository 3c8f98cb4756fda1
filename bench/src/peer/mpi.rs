//! One-sided MPI by `bench/peers/mpi_rma.c`: rank 0 on the client's core, rank 1 on the server's.

use super::program::{find, run};
use crate::pin::Placement;
use crate::timing::Series;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long one launch may take.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(120);

/// What is asked of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MpiKind {
    Sparse,
    Dense,
}

/// One size of one operation.
pub(crate) struct MpiPoint {
    /// `accumulate`, `get`, or the same with `_first`: the datatype is made in the timing.
    pub(crate) operation: String,
    /// Keys or bytes.
    pub(crate) size: u64,
    pub(crate) series: Series,
}

/// One MPI that is installed, with the fabric between its ranks.
pub(crate) struct Mpi {
    pub(crate) name: &'static str,
    launcher: PathBuf,
    program: PathBuf,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const OPENMPI: &[&str] = &["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
const OPENMPI_TCP: &[&str] = &[
    "--allow-run-as-root",
    "--oversubscribe",
    "--bind-to",
    "none",
    "--mca",
    "pml",
    "ob1",
    "--mca",
    "btl",
    "self,tcp",
    "--mca",
    "btl_tcp_if_include",
    "lo",
    "--mca",
    "osc",
    "^sm,ucx",
];
const MPICH: &[&str] = &["-bind-to", "none"];
/// The two fabrics below MPICH, each told to use TCP alone.
const MPICH_TCP: &[(&str, &str)] = &[
    ("MPIR_CVAR_NOLOCAL", "1"),
    ("UCX_TLS", "tcp,self"),
    ("UCX_NET_DEVICES", "lo"),
    ("FI_PROVIDER", "tcp"),
    ("FI_TCP_IFACE", "lo"),
];

impl Mpi {
    /// OpenMPI and MPICH, each over its own shared memory and over TCP on loopback; and for each that
    /// is not there a line that says so.
    pub(crate) fn find_all() -> (Vec<Mpi>, Vec<String>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (name, launcher) in [("openmpi", "mpirun.openmpi"), ("mpich", "mpirun.mpich")] {
            match find(launcher).zip(built(name)) {
                Some((launcher, program)) if name == "openmpi" => {
                    let mpi = |name, arguments| Mpi {
                        name,
                        launcher: launcher.clone(),
                        program: program.clone(),
                        arguments,
                        environment: &[],
                    };
                    found.extend([mpi("openmpi_shm", OPENMPI), mpi("openmpi_tcp", OPENMPI_TCP)]);
                }
                Some((launcher, program)) => {
                    let mpi = |name, environment| Mpi {
                        name,
                        launcher: launcher.clone(),
                        program: program.clone(),
                        arguments: MPICH,
                        environment,
                    };
                    found.extend([mpi("mpich_shm", &[]), mpi("mpich_tcp", MPICH_TCP)]);
                }
                None => missing.push(format!("skipped: {name} is not installed; run bench/peers/install.sh")),
            }
        }
        (found, missing)
    }

    /// Adds one run of all sizes to `points`, which are empty or from an earlier run.
    pub(crate) fn run(
        &self,
        kind: MpiKind,
        sizes: &[u64],
        time: Duration,
        placement: &Placement,
        points: &mut Vec<MpiPoint>,
    ) -> Result<()> {
        let (client, server) = placement
            .cores()
            .map_or(("-1".to_owned(), "-1".to_owned()), |(client, server)| (client.to_string(), server.to_string()));
        let mut command = Command::new(&self.launcher);
        command.args(self.arguments).args(["-n", "2"]).arg(&self.program).args([client, server]);
        command.arg(time.as_millis().to_string()).arg(if kind == MpiKind::Sparse { "sparse" } else { "dense" });
        command.args(sizes.iter().map(u64::to_string)).envs(self.environment.iter().copied());
        let text = placement.start_on_all(|| run(self.name, command, LAUNCH_TIMEOUT))?;
        for line in text.lines() {
            add_line(points, line).with_context(|| format!("{} printed '{line}'", self.name))?;
        }
        Ok(())
    }
}

/// `name size median_ns p99_ns`
fn add_line(points: &mut Vec<MpiPoint>, line: &str) -> Option<()> {
    let mut words = line.split_whitespace();
    let (operation, size) = (words.next()?, words.next()?.parse().ok()?);
    let (median, p99): (f64, f64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let index = points.iter().position(|point| point.operation == operation && point.size == size);
    let index = index.unwrap_or_else(|| {
        points.push(MpiPoint { operation: operation.to_owned(), size, series: Series::default() });
        points.len() - 1
    });
    points[index].series.add(median, p99, median);
    Some(())
}

/// The program that bench/peers/install.sh has built: in target/peers, which is above this program.
fn built(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().map(|folder| folder.join("peers").join(format!("mpi_rma.{name}"))).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_runs_come_together_by_operation_and_size() {
        let mut points = Vec::new();
        for line in ["get 100 5.0 6.0", "get 1000 50.0 60.0", "get 100 7.0 8.0", "get 100 6.0 9.0"] {
            add_line(&mut points, line).expect("a good line");
        }
        assert_eq!(points.len(), 2);
        assert_eq!((points[0].series.p50_ns(), points[0].series.p99_ns()), (Some(6.0), Some(8.0)));
        assert!(add_line(&mut points, "warning: no such device").is_none());
    }
}
