//! The scheduler process: its driver, the launcher's words, and the model's files.

use super::config::NodeConfig;
use super::driver::Driver;
use super::error::NodeError;
use super::lifeline::LauncherWord;
use super::model_file::{LoadPlan, Loader, SavePlan, Saver};
use super::time::now;
use crate::error::ExitCode;
use crate::id::NodeId;
use crate::memory::Pool;
use crate::protocol::Identity;
use crate::protocol::scheduler::{Cast, Scheduler, SchedulerEvent, Workload};
use crate::transport::Waker;
use crate::transport::tcp::TcpTransport;
use crate::wire::{JobConfig, Shutdown, TaskReply};
use std::sync::mpsc;
use std::time::Duration;

/// What the scheduler of one job needs to know beside its node's configuration.
pub struct SchedulerPlan {
    /// Who belongs to the job.
    pub cast: Cast,
    /// What every node is told.
    pub job: JobConfig,
    /// The learning program's pool of work.
    pub workload: Box<dyn Workload>,
    /// Model to begin with.
    pub load: Option<LoadPlan>,
    /// Model to end with.
    pub save: Option<SavePlan>,
}

/// A scheduler that listens but does not run yet.
pub struct SchedulerProcess {
    driver: Driver<Scheduler, TcpTransport>,
    address: String,
    words: (mpsc::Sender<LauncherWord>, mpsc::Receiver<LauncherWord>),
    loader: Option<Loader>,
    saver: Option<Saver>,
    stop_signal: Option<u8>,
    launcher_gone: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// Exit code and reason.
    pub shutdown: Shutdown,
    /// Keys of the model that was written, which are its values that are not zero; none when it was not written.
    pub nonzero_values: Option<u64>,
    /// Whether the launcher is gone and cannot clean up.
    pub launcher_gone: bool,
}

/// Tells a running scheduler what the launcher says, from another thread.
#[derive(Debug, Clone)]
pub struct SchedulerHandle {
    sender: mpsc::Sender<LauncherWord>,
    waker: Waker,
}

impl SchedulerHandle {
    /// Passes a word on.
    pub fn hear(&self, word: LauncherWord) {
        // A scheduler that has ended hears nothing, and need not.
        let _ = self.sender.send(word);
        self.waker.wake();
    }
}

impl SchedulerProcess {
    /// Opens the scheduler's port.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub fn open(config: &NodeConfig, plan: SchedulerPlan) -> Result<SchedulerProcess, NodeError> {
        let pool = Pool::unbounded();
        let (incarnation, transport) = config.transport(NodeId::SCHEDULER, true, &pool)?;
        let transport = TcpTransport::open(transport)?;
        let address = config.advertised(transport.local_address().as_deref())?;
        let identity = Identity::new(NodeId::SCHEDULER, config.job, incarnation);
        let shards = plan.cast.shards.clone();
        let loader = plan.load.map(|load| Loader::open(&load, &plan.job.tables, &shards)).transpose()?;
        let scheduler = Scheduler::new(now(), identity, &plan.cast, plan.job, plan.workload);
        let driver = Driver::new(scheduler, transport);
        let waker = driver.waker();
        Ok(SchedulerProcess {
            driver,
            address,
            words: mpsc::channel(),
            loader,
            saver: plan.save.map(|save| Saver::new(save, config.job, shards, waker)),
            stop_signal: None,
            launcher_gone: false,
        })
    }

    /// Where the nodes find it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A handle for another thread.
    #[must_use]
    pub fn handle(&self) -> SchedulerHandle {
        SchedulerHandle { sender: self.words.0.clone(), waker: self.driver.waker() }
    }

    /// Runs the job to its end.
    ///
    /// # Errors
    /// When the poller fails.
    pub fn run(mut self) -> Result<JobEnd, NodeError> {
        loop {
            self.driver.poll(now());
            while let Some(event) = self.driver.poll_event() {
                if let SchedulerEvent::Ended(shutdown) = event {
                    return Ok(self.leave(shutdown));
                }
                self.on_event(event);
                self.driver.flush(now());
            }
            while let Ok(word) = self.words.1.try_recv() {
                self.on_word(word);
                self.driver.flush(now());
            }
            self.check_saved();
            self.driver.wait(now(), None)?;
        }
    }

    fn on_event(&mut self, event: SchedulerEvent) {
        let scheduler = self.driver.machine_mut();
        match event {
            SchedulerEvent::ServersReady => match &mut self.loader {
                Some(loader) => match loader.begin(scheduler) {
                    Ok(true) => scheduler.begin_work(),
                    Ok(false) => {}
                    Err(error) => self.fail(&error),
                },
                None => scheduler.begin_work(),
            },
            SchedulerEvent::WorkFinished => match &mut self.saver {
                Some(saver) => saver.begin(scheduler),
                None => self.end_done(),
            },
            SchedulerEvent::TaskDone { node, reply } => self.on_task_done(node, reply),
            // Handled by the loop.
            SchedulerEvent::Ended(_) => {}
        }
    }

    fn on_task_done(&mut self, node: NodeId, reply: TaskReply) {
        if let TaskReply::Failed { exit_code, message } = reply {
            let message = format!("{node}: {message}");
            self.driver.machine_mut().end(now(), Shutdown { exit_code, message });
            return;
        }
        let scheduler = self.driver.machine_mut();
        let loading = self.loader.as_mut().filter(|loader| !loader.is_done());
        let outcome = match (loading, &mut self.saver) {
            (Some(loader), _) => loader.on_reply(scheduler, node, &reply),
            (None, Some(saver)) => saver.on_reply(scheduler, node, reply).map(|()| false),
            (None, None) => Ok(false),
        };
        match outcome {
            Ok(false) => {}
            Ok(true) => self.driver.machine_mut().begin_work(),
            Err(error) => self.fail(&error),
        }
    }

    /// Ends the job when the model is in its place.
    fn check_saved(&mut self) {
        match self.saver.as_mut().map(Saver::poll_placed) {
            None | Some(Ok(false)) => return,
            Some(Ok(true)) => self.end_done(),
            Some(Err(error)) => self.fail(&error),
        }
        self.driver.flush(now());
    }

    fn on_word(&mut self, word: LauncherWord) {
        match word {
            LauncherWord::Stop { signal } if self.stop_signal.is_none() => {
                self.stop_signal = Some(signal);
                tracing::info!(signal, "asked to stop: finishing the units under way, then saving the model");
                let is_loading = self.loader.as_ref().is_some_and(|loader| !loader.is_done());
                match self.driver.machine_mut() {
                    // The work begins when the model is loaded, and ends at once.
                    scheduler if is_loading => scheduler.workload_mut().stop(),
                    scheduler => scheduler.stop_work(),
                }
            }
            LauncherWord::Stop { signal } => {
                let message = format!("signal {signal} again: the job ends at once");
                self.driver.machine_mut().end(now(), Shutdown { exit_code: signal_code(signal), message });
            }
            LauncherWord::Died { node, reason } => self.driver.machine_mut().node_died(now(), NodeId(node), &reason),
            LauncherWord::Failed { node, exit_code, message } => {
                let node = NodeId(node);
                let shutdown = Shutdown { exit_code, message: format!("{node}: {message}") };
                self.driver.machine_mut().node_failed(now(), node, shutdown);
            }
            LauncherWord::Gone => {
                self.launcher_gone = true;
                let message = "the launcher is gone; the job ends".to_owned();
                self.driver.machine_mut().end(now(), Shutdown { exit_code: ExitCode::NodeLost as u8, message });
            }
        }
    }

    fn end_done(&mut self) {
        let exit_code = self.stop_signal.map_or(0, signal_code);
        let message = self.stop_signal.map_or(String::new(), |signal| format!("stopped by signal {signal}"));
        self.driver.machine_mut().end(now(), Shutdown { exit_code, message });
    }

    fn fail(&mut self, error: &NodeError) {
        use crate::error::Classify;
        let shutdown = Shutdown { exit_code: error.exit_code() as u8, message: error.to_string() };
        self.driver.machine_mut().end(now(), shutdown);
    }

    /// Lets the last words leave.
    fn leave(mut self, shutdown: Shutdown) -> JobEnd {
        let nonzero_values = self.saver.as_ref().and_then(Saver::saved_nonzero_count);
        if self.driver.wait(now(), Some(Duration::from_millis(1))).is_ok() {
            self.driver.poll(now());
        }
        JobEnd { shutdown, nonzero_values, launcher_gone: self.launcher_gone }
    }
}

/// The exit code of a program that a signal has ended.
fn signal_code(signal: u8) -> u8 {
    128u8.saturating_add(signal)
}
