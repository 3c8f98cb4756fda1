//! A job inside this process: scheduler, servers and workers as threads.
//!
//! The caller's thread is the launcher. It hears of signals and of threads that end, as the launcher
//! of processes does, and tells the scheduler in the same words: a thread that panics is a node that
//! died. What it cannot do is kill: a thread that has not left [`LEAVE_TIMEOUT`] after the scheduler, or
//! a scheduler that long after a second signal, ends with the process, which ends when the caller does.

use super::member::{LEAVE_TIMEOUT, Member, end_words, remove_drafts, tell_error};
use super::signal::watch_stop_signals;
use crate::error::{ExitCode, Failure};
use crate::node::{NodeConfig, NodeError, SchedulerHandle, SchedulerProcess, run_server, start_thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

/// What to run.
#[derive(Debug, Clone)]
pub struct InProcessJob {
    /// Of every node; the scheduler's address is filled in when it is known.
    pub config: NodeConfig,
    /// Number of servers.
    pub servers: u32,
    /// Shards of each, one thread each.
    pub shards: u8,
    /// Number of workers.
    pub workers: u32,
    /// What the scheduler writes; an unfinished file is removed when the scheduler cannot do so itself.
    pub targets: Vec<PathBuf>,
}

/// How a scheduler runs: it calls [`Listening::tell`] when it listens, and gives the job's exit code.
pub type RunScheduler = Box<dyn FnOnce(&NodeConfig, &Listening) -> Result<u8, Failure> + Send>;

/// Says why what the job ends with cannot be written.
pub type CheckOutputs = Box<dyn FnOnce(&NodeConfig) -> Result<(), Failure>>;

/// What the roles do; servers are the same in every job.
pub struct Roles {
    /// Looks, before any role begins, whether what the job ends with can be written. A signal waits for it.
    pub check: CheckOutputs,
    /// Runs the scheduler.
    pub scheduler: RunScheduler,
    /// Runs the worker of a rank until the job has ended.
    pub worker: fn(&NodeConfig, u32) -> Result<(), Failure>,
}

/// Tells the launcher that the scheduler listens.
#[derive(Debug)]
pub struct Listening(mpsc::Sender<News>);

impl Listening {
    /// Lets servers and workers join.
    pub fn tell(&self, scheduler: &SchedulerProcess) {
        // The receiver lives as long as the launcher.
        let _ = self.0.send(News::Listening(scheduler.address().to_owned(), scheduler.handle()));
    }
}

#[derive(Debug)]
enum News {
    Listening(String, SchedulerHandle),
    Ended(Member, Ended),
    Signal(u8),
}

/// How a thread has ended: with an exit code, with a failure, or none, in a panic.
type Ended = Option<Result<u8, Failure>>;

/// Runs the job to its end and returns its exit code.
///
/// # Errors
/// When signals cannot be watched, the check fails, or a thread cannot be started.
pub fn run_in_process(job: &InProcessJob, roles: Roles) -> Result<u8, Failure> {
    let (sender, news) = mpsc::channel();
    let signals = sender.clone();
    // The receiver lives as long as the launcher.
    watch_stop_signals(move |signal| drop(signals.send(News::Signal(signal))))?;
    (roles.check)(&job.config)?;
    let mut family = Family { running: 0, handle: None, news, sender };
    let outcome = family.start_scheduler(job, roles.scheduler).and_then(|()| family.watch(job, roles.worker));
    if outcome.is_err() {
        remove_drafts(&job.targets, job.config.job);
    }
    Ok(outcome?)
}

struct Family {
    /// Threads that have not ended.
    running: usize,
    /// Of the scheduler, as soon as it listens.
    handle: Option<SchedulerHandle>,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
}

impl Family {
    fn start(
        &mut self,
        member: Member,
        work: impl FnOnce() -> Result<u8, Failure> + Send + 'static,
    ) -> Result<(), NodeError> {
        let sender = self.sender.clone();
        let name = match member {
            Member::Scheduler => "scheduler".to_owned(),
            Member::Server(rank) => format!("server {rank}"),
            Member::Worker(rank) => format!("worker {rank}"),
        };
        start_thread(&name, move || {
            // What the work owns goes with it; what it shares is behind locks that survive a panic.
            let ended = catch_unwind(AssertUnwindSafe(work)).ok();
            // The receiver lives as long as the launcher.
            let _ = sender.send(News::Ended(member, ended));
        })?;
        self.running += 1;
        Ok(())
    }

    fn start_scheduler(&mut self, job: &InProcessJob, run: RunScheduler) -> Result<(), NodeError> {
        let (config, listening) = (job.config.clone(), Listening(self.sender.clone()));
        self.start(Member::Scheduler, move || run(&config, &listening))
    }

    fn start_nodes(
        &mut self,
        job: &InProcessJob,
        scheduler: String,
        worker: fn(&NodeConfig, u32) -> Result<(), Failure>,
    ) -> Result<(), NodeError> {
        let config = NodeConfig { scheduler, ..job.config.clone() };
        for rank in 0..job.servers {
            let (config, shards) = (config.clone(), job.shards);
            self.start(Member::Server(rank), move || Ok(run_server(&config, rank, shards)?.exit_code))?;
        }
        for rank in 0..job.workers {
            let config = config.clone();
            self.start(Member::Worker(rank), move || worker(&config, rank).map(|()| 0))?;
        }
        Ok(())
    }

    /// Waits for the scheduler's end and then for the others'; returns the job's exit code.
    fn watch(
        &mut self,
        job: &InProcessJob,
        worker: fn(&NodeConfig, u32) -> Result<(), Failure>,
    ) -> Result<u8, NodeError> {
        let mut deadline = None;
        let mut last_signal = 0;
        loop {
            match self.next_news(deadline) {
                Some(News::Listening(address, handle)) => {
                    self.handle = Some(handle);
                    self.start_nodes(job, address, worker)?;
                }
                Some(News::Ended(Member::Scheduler, ended)) => {
                    self.running -= 1;
                    self.await_ends(Instant::now() + LEAVE_TIMEOUT);
                    return Ok(scheduler_code(ended, job));
                }
                Some(News::Ended(member, ended)) => self.tell_ended(job, member, ended),
                Some(News::Signal(signal)) => {
                    let Some(handle) = &self.handle else {
                        remove_drafts(&job.targets, job.config.job);
                        tell_error(&format!("stopped by signal {signal} before the training began"));
                        return Ok(128u8.saturating_add(signal));
                    };
                    if last_signal > 0 {
                        deadline.get_or_insert(Instant::now() + LEAVE_TIMEOUT);
                    }
                    last_signal = signal;
                    handle.hear(crate::node::LauncherWord::Stop { signal });
                }
                // Asked twice and still there: it stands still, or waits for a disk.
                None => {
                    remove_drafts(&job.targets, job.config.job);
                    tell_error(&format!("stopped by signal {last_signal}; the scheduler did not answer"));
                    return Ok(128u8.saturating_add(last_signal));
                }
            }
        }
    }

    /// None when the deadline has passed.
    fn next_news(&self, deadline: Option<Instant>) -> Option<News> {
        match deadline {
            Some(deadline) => self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
            // The sender in this family keeps the channel open.
            None => self.news.recv().ok(),
        }
    }

    fn tell_ended(&mut self, job: &InProcessJob, member: Member, ended: Ended) {
        self.running -= 1;
        let reason = if ended.is_none() { "its thread panicked; see the lines above" } else { "its thread ended" };
        let failure = ended.and_then(Result::err);
        if let Some(handle) = &self.handle {
            end_words(member, job.shards, failure.as_ref(), reason).into_iter().for_each(|word| handle.hear(word));
        }
    }

    /// Waits for those that leave; the others end with the process.
    fn await_ends(&mut self, deadline: Instant) {
        while self.running > 0 {
            match self.next_news(Some(deadline)) {
                Some(News::Ended(..)) => self.running -= 1,
                Some(_) => {}
                None => {
                    tracing::info!(threads = self.running, "do not leave; they end with the process");
                    return;
                }
            }
        }
    }
}

/// The job's exit code as the scheduler tells it. After a panic it can neither tell nor clean up.
fn scheduler_code(ended: Ended, job: &InProcessJob) -> u8 {
    match ended {
        Some(Ok(code)) => code,
        Some(Err(failure)) => {
            tell_error(&failure.message);
            failure.exit_code
        }
        None => {
            remove_drafts(&job.targets, job.config.job);
            tell_error("scheduler is lost: its thread panicked; start the job again");
            ExitCode::NodeLost as u8
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::id::{JobId, WriterId};
    use crate::node::{Cast, JobConfig, Offer, SchedulerPlan, Secret, Workload};
    use std::time::Duration;

    /// Work that never comes.
    struct NoWork;

    impl Workload for NoWork {
        fn next(&mut self, _: WriterId) -> Offer {
            Offer::Wait
        }

        fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), crate::wire::Shutdown> {
            Ok(())
        }

        fn progress(&mut self, _: WriterId, _: &[u8]) {}

        fn stop(&mut self) {}
    }

    fn job() -> InProcessJob {
        let config = NodeConfig::local(JobId(5), Secret::from_bytes(&[3; 32]).expect("a secret"));
        InProcessJob { config, servers: 1, shards: 2, workers: 1, targets: Vec::new() }
    }

    fn schedule(config: &NodeConfig, listening: &Listening) -> Result<u8, Failure> {
        let shards = vec![NodeId::server(0, 0), NodeId::server(0, 1)];
        let plan = SchedulerPlan {
            cast: Cast { shards, workers: 1, replicas: 0 },
            job: JobConfig { tables: Vec::new(), writers: 1, program: Vec::new(), survives_worker_loss: false },
            workload: Box::new(NoWork),
            load: None,
            save: None,
        };
        let process = SchedulerProcess::open(config, plan)?;
        listening.tell(&process);
        Ok(process.run()?.shutdown.exit_code)
    }

    fn family() -> Family {
        let (sender, news) = mpsc::channel();
        Family { running: 0, handle: None, news, sender }
    }

    fn run(scheduler: RunScheduler, worker: fn(&NodeConfig, u32) -> Result<(), Failure>, signals: &[u64]) -> u8 {
        let (mut family, job) = (family(), job());
        let (sender, pauses) = (family.sender.clone(), signals.to_vec());
        std::thread::spawn(move || {
            for pause_ms in pauses {
                std::thread::sleep(Duration::from_millis(pause_ms));
                let _ = sender.send(News::Signal(2));
            }
        });
        family.start_scheduler(&job, scheduler).expect("a thread");
        family.watch(&job, worker).expect("threads")
    }

    fn hang(_: &NodeConfig, _: u32) -> Result<(), Failure> {
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    }

    #[test]
    fn a_worker_that_panics_is_a_lost_node() {
        assert_eq!(run(Box::new(schedule), |_, _| panic!("a test panics here on purpose"), &[]), 4);
    }

    #[test]
    fn a_worker_that_fails_ends_the_job_with_its_code() {
        assert_eq!(run(Box::new(schedule), |_, _| Err(Failure::new(ExitCode::Limit, "full")), &[]), 6);
    }

    #[test]
    fn a_scheduler_that_panics_or_fails_ends_the_job() {
        assert_eq!(run(Box::new(|_, _| panic!("a test panics here on purpose")), hang, &[]), 4);
        assert_eq!(run(Box::new(|_, _| Err(Failure::new(ExitCode::BadInput, "bad"))), hang, &[]), 3);
    }

    #[test]
    fn two_signals_end_a_job_that_stands_still() {
        let begin = Instant::now();
        assert_eq!(run(Box::new(schedule), hang, &[300, 200]), 130);
        assert!(begin.elapsed() < 3 * LEAVE_TIMEOUT, "took {:?}", begin.elapsed());
    }

    #[test]
    fn a_scheduler_that_stands_still_cannot_hold_the_launcher() {
        let scheduler: RunScheduler = Box::new(|config, listening| {
            schedule_and_hang(config, listening);
            Ok(0)
        });
        assert_eq!(run(scheduler, hang, &[300, 100]), 130);
        assert_eq!(
            run(
                Box::new(|_, _| {
                    std::thread::sleep(Duration::from_secs(60));
                    Ok(0)
                }),
                hang,
                &[50]
            ),
            130
        );
    }

    fn schedule_and_hang(config: &NodeConfig, listening: &Listening) {
        let plan = SchedulerPlan {
            cast: Cast { shards: vec![NodeId::server(0, 0)], workers: 1, replicas: 0 },
            job: JobConfig { tables: Vec::new(), writers: 1, program: Vec::new(), survives_worker_loss: false },
            workload: Box::new(NoWork),
            load: None,
            save: None,
        };
        let process = SchedulerProcess::open(config, plan).expect("opens");
        listening.tell(&process);
        std::thread::sleep(Duration::from_secs(60));
    }
}
