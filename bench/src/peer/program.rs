//! Programs that a benchmark starts and ends.

use anyhow::{Context, Result, bail};
use parashard::error::{ExitCode, Failure};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A program that runs until it is dropped.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    /// Starts it without standard streams. `setpriv`, where it is installed, ends it with this process
    /// however that ends.
    pub(crate) fn start(name: &'static str, command: Command) -> Result<Program> {
        let mut command = with_parent(command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| cannot_start(name, &error.to_string()))?;
        Ok(Program { name, child })
    }

    /// Waits until it listens on a port of loopback, without leaving it a connection.
    pub(crate) fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                return Err(cannot_start(self.name, &format!("it ended at once, {status}")).into());
            }
            if is_listening(port) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(cannot_start(self.name, &format!("it does not listen on port {port}")).into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end; its standard output.
///
/// # Errors
/// When it cannot be started, takes longer than `timeout`, or fails; with the last line of its errors.
pub(crate) fn run(name: &'static str, command: Command, timeout: Duration) -> Result<String> {
    let mut command = with_parent(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_start(name, &error.to_string()))?;
    let output = child.stdout.take().map(read_all).context("a piped standard output")?;
    let errors = child.stderr.take().map(read_all).context("a piped standard error")?;
    let begin = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if begin.elapsed() > timeout => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{name} has not ended after {} s", timeout.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let (output, errors) = (output.join().unwrap_or_default(), errors.join().unwrap_or_default());
    if !status.success() {
        let reason = errors.lines().chain(output.lines()).rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        bail!("{name} failed with {status}: {}", reason.trim());
    }
    Ok(output)
}

/// A program on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn cannot_start(name: &str, reason: &str) -> Failure {
    Failure::new(ExitCode::CannotStart, format!("cannot start {name}: {reason}"))
}

/// The command under `setpriv`, so that the kernel ends it with the thread that started it.
fn with_parent(command: Command) -> Command {
    // The small one of busybox knows nothing of it.
    let is_small = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path.ends_with("busybox"));
    let Some(setpriv) = find("setpriv").filter(|path| !is_small(path)) else { return command };
    let mut wrapped = Command::new(setpriv);
    wrapped.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

/// Whether somebody listens there. A look at the system's table: a server that serves one client
/// would take a call for it.
fn is_listening(port: u16) -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else {
        return TcpStream::connect(("127.0.0.1", port)).is_ok();
    };
    let address = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        local.ends_with(&address) && state == "0A"
    })
}

/// Reads on a thread, so that a full pipe stops nobody.
fn read_all(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth telling.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
