//! The worker's place in the job.

use super::engine::{Adopt, Shared, Statistics};
use super::error::ClientError;
use super::registered::Registered;
use super::scope::{self, Scope};
use super::step::Step;
use super::table::Table;
use super::values::Number;
use crate::id::Timestamp;
use crate::memory::Pool;
use crate::node::{self, NodeConfig};
use crate::wire::{GivenBack, JobConfig, Shutdown, Unit};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A worker that has joined the job.
pub struct Cluster {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// Memory that answers land in.
    landing_pool: Arc<Pool>,
    job: JobConfig,
    rank: u32,
    background: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Joins as worker `rank` and waits until the job has all its servers.
    ///
    /// # Errors
    /// When the scheduler cannot be found, refuses, or ends the job.
    pub fn connect(config: &NodeConfig, rank: u32) -> Result<Cluster, ClientError> {
        let pool = config.placement.pool(None);
        let mut driver = node::open_worker(config, rank, &pool)?;
        // Where nothing lands, memory that a program lends is only kept.
        let landing_pool = driver.transport_mut().landing_pool().map_or_else(Pool::unbounded, Arc::clone);
        let shared = Shared::new(driver);
        let job = shared.wait_for(|inner| inner.welcomed.then(|| inner.worker().job().cloned()).flatten())?;
        let behind = Arc::clone(&shared);
        let background = std::thread::Builder::new()
            .name("parashard-progress".to_owned())
            .spawn(move || behind.run_background())
            .map_err(|source| node::NodeError::System { what: "start a thread", source })?;
        Ok(Cluster { shared, pool, landing_pool, job, rank, background: Some(background) })
    }

    /// What the scheduler has told of the job.
    #[must_use]
    pub fn job(&self) -> &JobConfig {
        &self.job
    }

    /// This worker's rank, which is its writer's number.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// A table by its name.
    ///
    /// # Errors
    /// When there is none, or it holds numbers of another type.
    pub fn table<T: Number>(&self, name: &str) -> Result<Table<T>, ClientError> {
        let spec = self.job.tables.iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| ClientError::NoTable(name.to_owned()))?;
        Table::new(&self.shared, &self.pool, spec.clone())
    }

    /// Takes a vector over as memory that devices may know: pulls into it and pushes from it make no copy
    /// where the fabric can write and read a program's memory. Dropped, it is freed when no device holds it.
    #[must_use]
    pub fn register<T: Number>(&self, numbers: Vec<T>) -> Registered<T> {
        Registered::adopt(&self.landing_pool, numbers)
    }

    /// Gives a registered vector back, when no device holds it any more.
    ///
    /// # Errors
    /// When the job has ended meanwhile; the memory is freed then.
    pub fn unregister<T: Number>(&self, memory: Registered<T>) -> Result<Vec<T>, ClientError> {
        memory.give_back(&self.landing_pool, &self.shared)
    }

    /// Runs `work`, in which memory that the program only borrows can be pulled into and pushed from.
    /// Returns when no device and no queue knows any of it, so that the program reads what has landed
    /// there afterwards: pulls that were not waited for are given up, pushes are acknowledged first.
    ///
    /// ```no_run
    /// # fn train(cluster: &parashard::client::Cluster) -> Result<(), parashard::client::ClientError> {
    /// use parashard::keyspace::KeyRange;
    ///
    /// let weights = cluster.table::<f32>("weights")?;
    /// let mut numbers = vec![0.0; 1 << 20];
    /// cluster.scope(|scope| {
    ///     let memory = scope.register(&mut numbers);
    ///     scope.pull_range(&weights, KeyRange::new(0, 1 << 20), &memory)?.wait()
    /// })?;
    /// println!("{}", numbers[0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is lent cannot be touched inside:
    ///
    /// ```compile_fail
    /// # fn train(cluster: &parashard::client::Cluster) {
    /// let mut numbers = vec![0.0f32; 8];
    /// cluster.scope(|scope| {
    ///     let memory = scope.register(&mut numbers);
    ///     numbers[0] = 1.0;
    ///     drop(memory);
    /// });
    /// # }
    /// ```
    pub fn scope<'env, R>(&self, work: impl for<'scope> FnOnce(&Scope<'scope, 'env>) -> R) -> R {
        scope::run(&self.shared, &self.landing_pool, work)
    }

    /// Asks for a unit of work, unless a question is open already.
    pub fn ask_unit(&self) {
        let mut inner = self.shared.enter();
        inner.worker().next_unit();
        inner.flush();
    }

    /// The answer to [`Cluster::ask_unit`], if it is there: `Some(None)` when no work is left.
    pub fn try_unit(&self) -> Option<Option<Unit>> {
        let mut inner = self.shared.enter();
        inner.round();
        inner.assigned.take()
    }

    /// Waits for the answer to [`Cluster::ask_unit`]; `None` when no work is left.
    ///
    /// # Errors
    /// When the job has ended.
    pub fn wait_unit(&self) -> Result<Option<Unit>, ClientError> {
        let mut inner = self.shared.enter();
        let waited = inner.waited;
        let unit = inner.wait_for(|inner| inner.assigned.take());
        let without_work = inner.waited.saturating_sub(waited);
        inner.waited = waited;
        inner.without_work += without_work;
        unit
    }

    /// Says that a unit is done, with the learning program's account of it. Call [`Cluster::settle`]
    /// first when the unit's pushes must have arrived.
    pub fn unit_done(&self, unit: u64, report: Vec<u8>) {
        let mut inner = self.shared.enter();
        inner.worker().unit_done(unit, report);
        inner.flush();
    }

    /// As [`Cluster::unit_done`], when steps of later units may have begun: `next` is the first of them, if any
    /// has. `notes` are for whoever takes this worker's work over behind the unit, if it is lost:
    /// [`Cluster::resume_notes`] gives them there.
    pub fn unit_done_before(&self, unit: u64, report: Vec<u8>, next: Option<&Step>, notes: Vec<u8>) {
        let mut inner = self.shared.enter();
        let next = next.map_or_else(|| inner.worker().next_name(), Step::first);
        inner.worker().unit_done_before(unit, report, next, notes);
        inner.flush();
    }

    /// Gives an account of a part of a unit; [`Cluster::unit_done`] gives the last.
    pub fn unit_part(&self, unit: u64, report: Vec<u8>) {
        let mut inner = self.shared.enter();
        inner.worker().unit_part(unit, report);
        inner.flush();
    }

    /// The notes of the last unit that a lost node of this worker has finished; empty where there was none.
    #[must_use]
    pub fn resume_notes(&self) -> Vec<u8> {
        self.shared.enter().worker().resume().notes.clone()
    }

    /// Lets `adopt` hear of lost workers whose work this process is to do: it starts a thread that connects as
    /// the worker of that rank and runs the same program. It is called inside of calls of this cluster and must
    /// not make one.
    pub fn on_adopt(&self, mut adopt: impl FnMut(u32) + Send + 'static) {
        let mut inner = self.shared.enter();
        if let Adopt::Nobody(heard) = &mut inner.adopt {
            std::mem::take(heard).into_iter().for_each(|writer| adopt(writer.0));
        }
        inner.adopt = Adopt::Told(Box::new(adopt));
    }

    /// A unit that the scheduler wants back for another worker, or what is not begun of it; answer by
    /// [`Cluster::answer_release`].
    #[must_use]
    pub fn asked_back(&self) -> Option<u64> {
        self.shared.enter().release.take()
    }

    /// Gives back what is not begun of a unit. Who gives a part begins nothing behind the unit before
    /// [`Cluster::settle_accounts`] has returned after its last account, which names that part too.
    pub fn answer_release(&self, unit: u64, given: GivenBack) {
        let mut inner = self.shared.enter();
        inner.worker().answer_release(unit, given);
        inner.flush();
    }

    /// Waits until the scheduler has heard all accounts of units.
    ///
    /// # Errors
    /// When a push was refused or the job has ended.
    pub fn settle_accounts(&self) -> Result<(), ClientError> {
        self.shared.enter().wait_for(|inner| inner.worker().are_accounts_heard().then_some(()))
    }

    /// Waits until this operation is done, or the scheduler wants a unit back; whether it is done.
    ///
    /// # Errors
    /// When a push was refused or the job has ended.
    pub fn wait_unless_asked_back(&self, timestamp: Timestamp) -> Result<bool, ClientError> {
        self.shared.enter().wait_for(|inner| match inner.worker().is_done(timestamp) {
            true => Some(true),
            false => inner.release.map(|_| false),
        })
    }

    /// Tells the scheduler the latest figures; may be lost.
    pub fn report_progress(&self, report: Vec<u8>) {
        let mut inner = self.shared.enter();
        inner.worker().report_progress(report);
        inner.flush();
    }

    /// Waits until every push of this worker is acknowledged.
    ///
    /// # Errors
    /// When a push was refused or the job has ended.
    pub fn settle(&self) -> Result<(), ClientError> {
        let mut inner = self.shared.enter();
        inner.wait_for(|inner| inner.worker().is_settled().then_some(()))?;
        match inner.worker().take_refusal() {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// Waits until one of these operations is done, of whatever kinds and tables, and gives its place in the
    /// list; one whose outcome was taken is done. Nothing for an empty list.
    ///
    /// # Errors
    /// When the job has ended, or an operation was refused that nobody waits for.
    pub fn wait_any(&self, timestamps: &[Timestamp]) -> Result<Option<usize>, ClientError> {
        if timestamps.is_empty() {
            return Ok(None);
        }
        self.shared.wait_for(|inner| timestamps.iter().position(|&one| inner.worker().is_done(one)).map(Some))
    }

    /// What was sent, received and waited so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut inner = self.shared.enter();
        let traffic = inner.worker().traffic();
        Statistics {
            bytes_pushed: traffic.bytes_pushed,
            bytes_asked: traffic.bytes_asked,
            bytes_pulled: traffic.bytes_pulled,
            retries: traffic.retries,
            lists_named: traffic.keys_omitted,
            lists_missed: traffic.keys_needed,
            links: inner.driver.transport().link_counts(),
            waited: inner.waited,
            without_work: inner.without_work,
            sending: inner.sending,
        }
    }

    /// Tells the scheduler that this worker cannot go on; the job ends with this code and message.
    pub fn fail(&self, exit_code: u8, message: String) {
        let mut inner = self.shared.enter();
        inner.worker().fail(Shutdown { exit_code, message });
        inner.flush();
    }

    /// Waits for the end of the job, however it comes.
    ///
    /// # Errors
    /// When waiting itself fails.
    pub fn wait_end(&self) -> Result<Shutdown, ClientError> {
        let outcome = loop {
            match self.shared.wait_for(|inner| inner.ended.clone()) {
                // A refused push is no end of the job.
                Err(ClientError::Operation(_)) => {}
                outcome => break outcome,
            }
        };
        // The goodbye must leave this process before it ends.
        self.shared.enter().round();
        outcome
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(background) = self.background.take() {
            // The thread ends by itself; a panic in it has been printed already.
            let _ = background.join();
        }
        self.shared.forget_callbacks();
    }
}
