//! A job on this machine: scheduler, servers and workers as children of this process.
//!
//! Each child gets a process group of its own, so that a terminal's Ctrl-C reaches the launcher
//! alone, and the read end of a pipe as its standard input: the lifeline. Whatever ends the launcher
//! closes the pipes, and a child whose pipe ends goes too. The launcher watches its children, tells
//! the scheduler when one ends early, passes signals to it, and kills whoever has not left
//! [`LEAVE_TIMEOUT`] after the scheduler.

use super::job_dir::{JOB_DIR_VARIABLE, JobDir};
use crate::error::ExitCode;
use crate::id::NodeId;
use crate::node::{LauncherWord, NodeError};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long children may stay after the scheduler has left.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// What to start.
#[derive(Debug, Clone)]
pub struct LocalJob {
    /// The `parashard` program.
    pub program: PathBuf,
    /// Number of server processes.
    pub servers: u32,
    /// Shards of each.
    pub shards: u8,
    /// Number of worker processes.
    pub workers: u32,
    /// Arguments of the scheduler, behind its subcommand.
    pub scheduler_arguments: Vec<OsString>,
    /// Arguments of servers and workers, behind subcommand and rank.
    pub node_arguments: Vec<OsString>,
    /// Environment for all of them, beside this process's own.
    pub environment: Vec<(String, OsString)>,
}

/// A child by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Scheduler,
    Server(u32),
    Worker(u32),
}

enum News {
    Ended(Member, std::io::Result<ExitStatus>),
    Signal(i32),
}

struct Family {
    lifelines: BTreeMap<Member, ChildStdin>,
    pids: BTreeMap<Member, u32>,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
}

/// Runs the job to its end and returns its exit code. Every child is gone then.
///
/// # Errors
/// When the children cannot be started.
pub fn run_local(job: &LocalJob, dir: &JobDir) -> Result<u8, NodeError> {
    let (sender, news) = mpsc::channel();
    let mut family = Family { lifelines: BTreeMap::new(), pids: BTreeMap::new(), news, sender };
    family.watch_signals()?;
    let started = family.start_all(job, dir);
    let outcome = started.map(|()| family.watch(job));
    // Closing the lifelines ends whoever is still there.
    family.lifelines.clear();
    family.bring_home();
    outcome
}

impl Family {
    fn watch_signals(&self) -> Result<(), NodeError> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|source| NodeError::System { what: "watch signals", source })?;
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            // The receiver lives as long as the launcher.
            signals.forever().all(|signal| sender.send(News::Signal(signal)).is_ok())
        });
        Ok(())
    }

    fn start_all(&mut self, job: &LocalJob, dir: &JobDir) -> Result<(), NodeError> {
        self.start(job, dir, Member::Scheduler)?;
        (0..job.servers).try_for_each(|rank| self.start(job, dir, Member::Server(rank)))?;
        (0..job.workers).try_for_each(|rank| self.start(job, dir, Member::Worker(rank)))
    }

    fn start(&mut self, job: &LocalJob, dir: &JobDir, member: Member) -> Result<(), NodeError> {
        let mut command = Command::new(&job.program);
        match member {
            Member::Scheduler => command.arg("scheduler").args(&job.scheduler_arguments),
            Member::Server(rank) => {
                let (rank, shards) = (rank.to_string(), job.shards.to_string());
                command.args(["server", "--rank", &rank, "--shards", &shards]).args(&job.node_arguments)
            }
            Member::Worker(rank) => command.args(["worker", "--rank", &rank.to_string()]).args(&job.node_arguments),
        };
        command.env(JOB_DIR_VARIABLE, dir.path()).envs(job.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|source| NodeError::File {
            what: "cannot start",
            path: job.program.clone(),
            source,
        })?;
        self.pids.insert(member, child.id());
        if let Some(lifeline) = child.stdin.take() {
            self.lifelines.insert(member, lifeline);
        }
        self.watch_child(member, child);
        Ok(())
    }

    fn watch_child(&self, member: Member, mut child: Child) {
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            let status = child.wait();
            // The receiver lives as long as the launcher.
            let _ = sender.send(News::Ended(member, status));
        });
    }

    /// Waits for the scheduler's end; returns its exit code.
    fn watch(&mut self, job: &LocalJob) -> u8 {
        loop {
            match self.news.recv() {
                Ok(News::Ended(Member::Scheduler, status)) => {
                    self.forget(Member::Scheduler);
                    return scheduler_code(&status);
                }
                Ok(News::Ended(member, status)) => {
                    self.forget(member);
                    self.tell_died(job, member, &describe(&status));
                }
                Ok(News::Signal(signal)) => {
                    let signal = u8::try_from(signal).unwrap_or(u8::MAX);
                    self.tell(&LauncherWord::Stop { signal });
                }
                // The sender in this family keeps the channel open.
                Err(_) => return ExitCode::NodeLost as u8,
            }
        }
    }

    fn tell_died(&mut self, job: &LocalJob, member: Member, reason: &str) {
        let nodes = match member {
            Member::Scheduler => return,
            Member::Server(rank) => (0..job.shards).map(|shard| NodeId::server(rank, shard)).collect(),
            Member::Worker(rank) => vec![NodeId::worker(rank)],
        };
        for node in nodes {
            self.tell(&LauncherWord::Died { node: node.0, reason: reason.to_owned() });
        }
    }

    fn tell(&mut self, word: &LauncherWord) {
        if let Some(lifeline) = self.lifelines.get_mut(&Member::Scheduler) {
            // A scheduler that is gone is told of by its own end.
            let _ = lifeline.write_all(word.to_string().as_bytes());
        }
    }

    fn forget(&mut self, member: Member) {
        self.lifelines.remove(&member);
        self.pids.remove(&member);
    }

    /// Waits for the children that are left, and kills those that do not leave.
    fn bring_home(&mut self) {
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        let mut killed = false;
        while !self.pids.is_empty() {
            match self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(News::Ended(member, _)) => self.forget(member),
                Ok(News::Signal(_)) => {}
                Err(_) if killed => return,
                Err(_) => {
                    killed = true;
                    self.kill_all();
                    // The kernel reports the ends of killed children without delay.
                    while let Ok(news) = self.news.recv_timeout(Duration::from_secs(1)) {
                        if let News::Ended(member, _) = news {
                            self.forget(member);
                        }
                        if self.pids.is_empty() {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn kill_all(&self) {
        for (member, &pid) in &self.pids {
            tracing::warn!(?member, "does not leave, killing it");
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended by itself in this moment.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

fn describe(status: &std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => format!("its process was killed by signal {signal}"),
            (None, Some(code)) => format!("its process ended with exit code {code}"),
            (None, None) => "its process ended".to_owned(),
        },
        Err(error) => format!("its process cannot be watched: {error}"),
    }
}

/// The job's exit code as the scheduler tells it; its violent death is told here, since it cannot.
fn scheduler_code(status: &std::io::Result<ExitStatus>) -> u8 {
    match status.as_ref().ok().and_then(ExitStatus::code) {
        Some(code) => u8::try_from(code).unwrap_or(ExitCode::NodeLost as u8),
        None => {
            eprintln!("parashard: error: scheduler is lost: {}; start the job again", describe(status));
            ExitCode::NodeLost as u8
        }
    }
}
