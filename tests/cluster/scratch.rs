//! A folder for one test, and the processes that run in it.

use crate::outcome::Outcome;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any job of these tests takes on a busy machine.
const JOB_TIMEOUT: Duration = Duration::from_secs(60);

/// A test's own folder. Processes are told by its path, which is in their environment.
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
}

/// A process that was started, with its output in files.
pub(crate) struct Running {
    child: Child,
    output: [PathBuf; 2],
    begin: Instant,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("tmp")).expect("a folder");
        Scratch { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the job's temporary files go.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path("tmp")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("writes");
        path
    }

    /// `parashard` with these arguments, in this folder, without this process's own settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parashard"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PARASHARD_") {
                command.env_remove(name);
            }
        }
        command.env("TMPDIR", self.temporary());
        command
    }

    /// Starts it; `name` tells its output files from others.
    pub(crate) fn start(&self, name: &str, command: &mut Command) -> Running {
        let output = ["out", "err"].map(|stream| self.path(&format!("{name}.{stream}")));
        let file = |path: &Path| Stdio::from(File::create(path).expect("an output file"));
        let begin = Instant::now();
        let child = command.stdout(file(&output[0])).stderr(file(&output[1])).spawn().expect("starts");
        Running { child, output, begin }
    }

    /// Runs `parashard` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.start("job", &mut self.command(arguments)).wait()
    }

    /// Process ids of this test's processes of this subcommand, in the order of their ranks.
    pub(crate) fn pids(&self, subcommand: &str) -> Vec<u32> {
        let mut found: Vec<(String, u32)> = self
            .processes()
            .into_iter()
            .filter_map(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let mut words = line.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
                (words.nth(1)? == subcommand).then(|| (words.nth(1).unwrap_or_default(), pid))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, pid)| pid).collect()
    }

    /// Waits until there are `count` processes of this subcommand.
    pub(crate) fn await_pids(&self, subcommand: &str, count: usize) -> Vec<u32> {
        let deadline = Instant::now() + JOB_TIMEOUT;
        loop {
            let pids = self.pids(subcommand);
            if pids.len() == count {
                return pids;
            }
            assert!(Instant::now() < deadline, "{} of {count} {subcommand} processes came", pids.len());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Every process with this folder in its environment; one that has ended has none.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = self.folder.path().as_os_str().as_encoded_bytes().to_vec();
        let numbers = fs::read_dir("/proc").expect("proc").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment.windows(mark.len()).any(|window| window == mark)
            })
            .collect()
    }

    /// Nothing of the job runs any more, and nothing of it is left behind.
    pub(crate) fn assert_clean(&self) {
        assert!(self.processes().is_empty(), "a process is left behind");
        let left: Vec<_> = fs::read_dir(self.temporary()).expect("a folder").flatten().collect();
        assert!(left.is_empty(), "temporary files are left behind: {left:?}");
        let drafts = fs::read_dir(self.folder.path()).expect("a folder").flatten().map(|entry| entry.file_name());
        let drafts: Vec<_> = drafts.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
        assert!(drafts.is_empty(), "drafts are left behind: {drafts:?}");
    }

    /// Waits until no process of the job runs, at most `limit`, and checks that nothing is left.
    pub(crate) fn await_clean(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && !self.processes().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.assert_clean();
    }

    /// The one job folder, when it is there.
    pub(crate) fn job_dir(&self) -> Option<PathBuf> {
        let mut entries = fs::read_dir(self.temporary()).expect("a folder").flatten();
        entries.find(|entry| entry.file_name().to_string_lossy().starts_with("parashard-")).map(|entry| entry.path())
    }

    /// Waits until the scheduler listens; gives its address.
    pub(crate) fn await_address(&self) -> String {
        let deadline = Instant::now() + JOB_TIMEOUT;
        loop {
            let address = self.job_dir().and_then(|dir| fs::read_to_string(dir.join("scheduler")).ok());
            if let Some(address) = address {
                return address;
            }
            assert!(Instant::now() < deadline, "no scheduler came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Scratch {
    /// A test that fails leaves no job behind.
    fn drop(&mut self) {
        self.processes().into_iter().for_each(|pid| send_signal(pid, "KILL"));
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Outcome {
        let deadline = Instant::now() + JOB_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("is a child") {
                let [stdout, stderr] = self.output.map(|path| fs::read_to_string(path).expect("text"));
                return Outcome { status, stdout, stderr, took: self.begin.elapsed() };
            }
            if Instant::now() >= deadline {
                let stderr = fs::read_to_string(&self.output[1]).unwrap_or_default();
                // The test fails in any case.
                let _ = self.child.kill();
                panic!("not done after {JOB_TIMEOUT:?}; standard error:\n{stderr}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Sends a signal by its name without SIG.
pub(crate) fn send_signal(pid: u32, name: &str) {
    let number = match name {
        "HUP" => rustix::process::Signal::HUP,
        "INT" => rustix::process::Signal::INT,
        "TERM" => rustix::process::Signal::TERM,
        "KILL" => rustix::process::Signal::KILL,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        _ => panic!("no signal {name} here"),
    };
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    // It may have ended in this moment.
    let _ = rustix::process::kill_process(pid, number);
}
