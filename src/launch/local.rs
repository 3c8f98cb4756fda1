//! A job on this machine: scheduler, servers and workers as children of this process.
//!
//! Each child gets a process group of its own, so that a terminal's Ctrl-C reaches the launcher
//! alone, and the read end of a pipe as its standard input: the lifeline. Whatever ends the launcher
//! closes the pipes, and a child whose pipe ends goes too. The launcher watches its children, tells
//! the scheduler when one ends early, passes signals to it, and kills whoever has not left
//! `LEAVE_TIMEOUT` after the scheduler, or after a second signal.
//!
//! A child that has ended stays a zombie until this process reads its status, so that a process id
//! is never another process's while anybody here may still signal it.

use super::job_dir::{JOB_DIR_VARIABLE, JobDir};
use super::member::{LEAVE_TIMEOUT, Member, end_words, remove_drafts, tell_error};
use super::signal::watch_stop_signals;
use crate::error::{ExitCode, Failure};
use crate::node::{LIFELINE_VARIABLE, LauncherWord, NodeError, SECRET_VARIABLE, start_thread};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long the kernel may take to end a killed child.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
/// What this process's environment may hold of another job's nodes; the children are told otherwise.
const FOREIGN_VARIABLES: [&str; 8] = [
    SECRET_VARIABLE,
    "PARASHARD_SECRET_FILE",
    "PARASHARD_JOB",
    "PARASHARD_SCHEDULER",
    "PARASHARD_LISTEN",
    "PARASHARD_ADVERTISE",
    "PARASHARD_HOST_ID",
    "PARASHARD_RANK",
];

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
    /// Environment for all of them, beside this process's own.
    pub environment: Vec<(String, OsString)>,
    /// What the scheduler writes; an unfinished file is removed when the scheduler cannot do so itself.
    pub targets: Vec<PathBuf>,
}

enum News {
    /// A child has ended; its status can be read.
    Ended(Member),
    Signal(u8),
}

struct Family {
    children: BTreeMap<Member, Child>,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
}

/// Runs the job to its end and returns its exit code. Every child is gone then, and so is the job's folder.
///
/// # Errors
/// When the folder cannot be made or the children cannot be started.
pub fn run_local(job: &LocalJob) -> Result<u8, NodeError> {
    let (sender, news) = mpsc::channel();
    let mut family = Family { children: BTreeMap::new(), news, sender };
    // Before there is anything to clean up, so that no signal can leave it behind.
    let signals = family.sender.clone();
    // The receiver lives as long as the launcher.
    watch_stop_signals(move |signal| drop(signals.send(News::Signal(signal))))?;
    let dir = JobDir::create()?;
    let outcome = family.start_all(job, &dir).map(|()| family.watch(job, &dir));
    if outcome.is_err() {
        // What has started knows of nothing worth saving, and has nothing to say.
        family.kill_all();
    }
    family.bring_home();
    dir.remove();
    outcome
}

impl Family {
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
                command.args(["server", "--rank", &rank, "--shards", &shards])
            }
            Member::Worker(rank) => command.args(["worker", "--rank", &rank.to_string()]),
        };
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
        command.env(JOB_DIR_VARIABLE, dir.path()).env(LIFELINE_VARIABLE, "stdin");
        command.envs(job.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).process_group(0);
        let child = command.spawn().map_err(|source| NodeError::File {
            what: "cannot start",
            path: job.program.clone(),
            source,
        })?;
        let pid = Pid::from_child(&child);
        self.children.insert(member, child);
        self.watch_child(member, pid)
    }

    /// Tells of the child's end and leaves it to the owner to read its status.
    fn watch_child(&self, member: Member, pid: Pid) -> Result<(), NodeError> {
        let sender = self.sender.clone();
        start_thread("watch", move || {
            let ended = || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            while ended().is_err_and(|error| error == rustix::io::Errno::INTR) {}
            // The receiver lives as long as the launcher.
            let _ = sender.send(News::Ended(member));
        })
    }

    /// Waits for the scheduler's end; returns its exit code.
    fn watch(&mut self, job: &LocalJob, dir: &JobDir) -> u8 {
        let mut deadline = None;
        let mut last_signal = 0;
        loop {
            match self.next_news(deadline) {
                Some(News::Ended(Member::Scheduler)) => {
                    let status = self.take_status(Member::Scheduler);
                    return scheduler_code(&status, job, dir);
                }
                Some(News::Ended(member)) => {
                    let reason = describe(&self.take_status(member));
                    self.tell_ended(job, member, dir.failure(member), &reason);
                }
                Some(News::Signal(signal)) => {
                    if last_signal > 0 {
                        deadline.get_or_insert(Instant::now() + LEAVE_TIMEOUT);
                    }
                    last_signal = signal;
                    self.tell(&LauncherWord::Stop { signal });
                }
                // Asked twice and still there: it stands still, or waits for a disk.
                None => {
                    self.kill(Member::Scheduler);
                    clean_up(job, dir);
                    tell_error(&format!("stopped by signal {last_signal}; the scheduler did not answer"));
                    return 128u8.saturating_add(last_signal);
                }
            }
        }
    }

    fn next_news(&self, deadline: Option<Instant>) -> Option<News> {
        match deadline {
            Some(deadline) => self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
            // The sender in this family keeps the channel open.
            None => self.news.recv().ok(),
        }
    }

    /// Tells the scheduler of a process that has ended: why, if it could tell, and else how.
    fn tell_ended(&mut self, job: &LocalJob, member: Member, failure: Option<Failure>, reason: &str) {
        end_words(member, job.shards, failure.as_ref(), reason).iter().for_each(|word| self.tell(word));
    }

    fn tell(&mut self, word: &LauncherWord) {
        if let Some(lifeline) = self.children.get_mut(&Member::Scheduler).and_then(|child| child.stdin.as_mut()) {
            // A scheduler that is gone is told of by its own end.
            let _ = lifeline.write_all(word.to_string().as_bytes());
        }
    }

    /// Reads the status of a child that has ended, and forgets it.
    fn take_status(&mut self, member: Member) -> std::io::Result<ExitStatus> {
        match self.children.remove(&member) {
            Some(mut child) => child.wait(),
            None => Err(std::io::Error::other("it is no child of this process")),
        }
    }

    /// Lets go of the children that are left, waits for them, and kills those that do not leave.
    fn bring_home(&mut self) {
        self.children.values_mut().for_each(|child| drop(child.stdin.take()));
        self.await_ends(Instant::now() + LEAVE_TIMEOUT);
        self.kill_all();
        self.await_ends(Instant::now() + KILL_TIMEOUT);
    }

    fn await_ends(&mut self, deadline: Instant) {
        while !self.children.is_empty() {
            match self.next_news(Some(deadline)) {
                // How a child ends that has been let go is of no interest.
                Some(News::Ended(member)) => drop(self.take_status(member)),
                Some(News::Signal(_)) => {}
                None => return,
            }
        }
    }

    fn kill_all(&mut self) {
        let members: Vec<Member> = self.children.keys().copied().collect();
        members.into_iter().for_each(|member| self.kill(member));
    }

    fn kill(&mut self, member: Member) {
        if let Some(child) = self.children.get_mut(&member) {
            tracing::info!(?member, "does not leave, killing it");
            // It may have ended by itself in this moment.
            let _ = child.kill();
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

/// The job's exit code as the scheduler tells it. Of its violent death it can neither tell nor clean up.
fn scheduler_code(status: &std::io::Result<ExitStatus>, job: &LocalJob, dir: &JobDir) -> u8 {
    match status.as_ref().ok().and_then(ExitStatus::code) {
        Some(code) => u8::try_from(code).unwrap_or(ExitCode::NodeLost as u8),
        None => {
            clean_up(job, dir);
            tell_error(&format!("scheduler is lost: {}; start the job again", describe(status)));
            ExitCode::NodeLost as u8
        }
    }
}

/// Removes what a scheduler has left that was killed while it wrote.
fn clean_up(job: &LocalJob, dir: &JobDir) {
    if let Ok(id) = dir.job() {
        remove_drafts(&job.targets, id);
    }
}
