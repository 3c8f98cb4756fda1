//! The driver behind the calls, and the thread that keeps it going between them.
//!
//! Whoever holds the lock makes progress, and sleeps in the poller with the lock held. Everybody
//! announces himself first (`arriving`), so that a sleeper is woken and lets him in.
//!
//! Of several callers that wait, one polls. The others sit on the `bench`; after each round that
//! brought something the one that polls waits in the `lobby` until all of them have looked, and when
//! it leaves, one of them takes its place. The background thread polls while no caller is inside,
//! and takes over only when none has been for [`QUIET`].

use super::error::ClientError;
use crate::id::WriterId;
use crate::node::{self, LinkCounts, OperationError, Waker, Worker, WorkerDriver, WorkerEvent};
use crate::wire::{Shutdown, Unit};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long no caller must have been inside before the background thread takes over.
const QUIET: Duration = Duration::from_millis(5);
/// Longest sleep of the background thread in the poller.
const BACKGROUND_SLEEP_MAX: Duration = Duration::from_millis(200);

/// What a worker has sent, received and waited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// Bytes of push frames, retries included.
    pub bytes_pushed: u64,
    /// Bytes of questions for values, retries included.
    pub bytes_asked: u64,
    /// Bytes of answers to pulls.
    pub bytes_pulled: u64,
    /// Segments sent more than once.
    pub retries: u64,
    /// Requests that named their key list by its digest.
    pub lists_named: u64,
    /// Of these, how many had to be sent again with the keys.
    pub lists_missed: u64,
    /// How the data of this worker and its servers travels now.
    pub links: LinkCounts,
    /// Time spent waiting for answers of servers.
    pub waited: Duration,
    /// Time spent waiting for the scheduler's next unit of work.
    pub without_work: Duration,
    /// Time spent on filters, frames and system calls of pushes and pulls that begin.
    pub sending: Duration,
}

/// Who is told of lost workers whose work this process is to do.
pub(super) enum Adopt {
    /// Nobody yet; what was told.
    Nobody(Vec<WriterId>),
    Told(Box<dyn FnMut(u32) + Send>),
}

impl Adopt {
    fn hear(&mut self, writer: WriterId) {
        match self {
            Adopt::Nobody(heard) => heard.push(writer),
            Adopt::Told(adopt) => adopt(writer.0),
        }
    }
}

/// The driver and what its events have told so far.
pub(super) struct Inner {
    pub(super) driver: WorkerDriver,
    pub(super) welcomed: bool,
    pub(super) assigned: Option<Option<Unit>>,
    pub(super) ended: Option<Shutdown>,
    pub(super) adopt: Adopt,
    /// The unit that the scheduler has asked back.
    pub(super) release: Option<u64>,
    pub(super) waited: Duration,
    pub(super) without_work: Duration,
    pub(super) sending: Duration,
    /// Whether the thread that polls is in the lobby.
    in_lobby: bool,
    /// Callers on the bench.
    benched: usize,
    /// Callers on the bench that have not looked at the latest news.
    unchecked: usize,
    /// Rounds that brought something for those on the bench.
    news: u64,
    /// Whether a round has brought something since the news were told.
    is_fresh: bool,
}

/// Shared between the caller's handles and the background thread.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Callers inside or on their way in.
    callers: AtomicUsize,
    /// Callers on their way in.
    arriving: AtomicUsize,
    entries: AtomicU64,
    /// Whether whoever holds the lock sleeps in the poller, or is about to.
    sleeps: AtomicBool,
    lobby: Condvar,
    bench: Condvar,
    stop: AtomicBool,
    waker: Waker,
}

impl Shared {
    pub(super) fn new(driver: WorkerDriver) -> Arc<Shared> {
        let waker = driver.waker();
        let inner = Inner {
            driver,
            welcomed: false,
            assigned: None,
            ended: None,
            adopt: Adopt::Nobody(Vec::new()),
            release: None,
            waited: Duration::ZERO,
            without_work: Duration::ZERO,
            sending: Duration::ZERO,
            in_lobby: false,
            benched: 0,
            unchecked: 0,
            news: 0,
            is_fresh: false,
        };
        Arc::new(Shared {
            inner: Mutex::new(inner),
            callers: AtomicUsize::new(0),
            arriving: AtomicUsize::new(0),
            entries: AtomicU64::new(0),
            sleeps: AtomicBool::new(false),
            lobby: Condvar::new(),
            bench: Condvar::new(),
            stop: AtomicBool::new(false),
            waker,
        })
    }

    /// Enters as a caller, for a call that does not wait.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.callers.fetch_add(1, Ordering::SeqCst);
        self.arriving.fetch_add(1, Ordering::SeqCst);
        self.entries.fetch_add(1, Ordering::Relaxed);
        if self.sleeps.load(Ordering::SeqCst) {
            self.waker.wake();
        }
        let inner = self.lock();
        self.arriving.fetch_sub(1, Ordering::SeqCst);
        Entered { inner: Some(inner), shared: self }
    }

    /// Enters as a caller and makes progress until `ready` gives something. An end of the job ends
    /// the wait, and so does the refusal of an operation that nobody waits for.
    pub(super) fn wait_for<T>(&self, ready: impl FnMut(&mut Inner) -> Option<T>) -> Result<T, ClientError> {
        self.enter().wait_for(ready)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a caller leaves the driver as whole as it was between two of its calls.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the background thread.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// The background thread: makes progress while no caller does.
    pub(super) fn run_background(&self) {
        let mut seen = u64::MAX;
        while !self.stop.load(Ordering::SeqCst) {
            let entries = self.entries.load(Ordering::Relaxed);
            let quiet = entries == seen && self.callers.load(Ordering::SeqCst) == 0;
            seen = entries;
            if quiet {
                self.make_progress();
            } else {
                std::thread::sleep(QUIET);
            }
        }
    }

    fn make_progress(&self) {
        let mut inner = self.lock();
        self.sleeps.store(true, Ordering::SeqCst);
        while self.callers.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            inner.round();
            let slept = inner.driver.wait(node::now(), Some(BACKGROUND_SLEEP_MAX));
            if slept.is_err() {
                break;
            }
        }
        self.sleeps.store(false, Ordering::SeqCst);
    }
}

/// A caller inside; leaves when dropped.
pub(super) struct Entered<'a> {
    /// Always there between two calls; a wait lets go of it for moments.
    inner: Option<MutexGuard<'a, Inner>>,
    shared: &'a Shared,
}

impl Entered<'_> {
    /// As [`Shared::wait_for`], for a caller that goes on when the wait is over.
    pub(super) fn wait_for<T>(&mut self, mut ready: impl FnMut(&mut Inner) -> Option<T>) -> Result<T, ClientError> {
        if let Some(value) = ready(self) {
            return Ok(value);
        }
        let start = Instant::now();
        let outcome = loop {
            let another_polls = self.in_lobby;
            if !another_polls {
                self.round();
                self.tell_bench();
            }
            if let Some(outcome) = self.look(&mut ready) {
                break outcome;
            }
            if another_polls {
                self.sit();
            } else if let Err(error) = self.sleep() {
                break Err(error.into());
            }
        };
        if !self.in_lobby && self.benched > 0 {
            self.shared.bench.notify_one();
        }
        self.waited += start.elapsed();
        outcome
    }

    fn look<T>(&mut self, ready: &mut impl FnMut(&mut Inner) -> Option<T>) -> Option<Result<T, ClientError>> {
        if let Some(value) = ready(self) {
            return Some(Ok(value));
        }
        if let Some(refusal) = self.worker().take_refusal() {
            return Some(Err(refusal.into()));
        }
        let Shutdown { exit_code, message } = self.ended.clone()?;
        Some(Err(ClientError::Ended { exit_code, message }))
    }

    /// Lets those on the bench look, if there is something new for them.
    fn tell_bench(&mut self) {
        if !std::mem::take(&mut self.is_fresh) || self.benched == 0 {
            return;
        }
        self.news += 1;
        self.unchecked = self.benched;
        self.shared.bench.notify_all();
        self.stand_in_lobby(|inner, _| inner.unchecked > 0);
    }

    /// Sleeps in the poller, unless somebody wants to come in: then lets him, and does not sleep.
    fn sleep(&mut self) -> Result<(), node::NodeError> {
        self.shared.sleeps.store(true, Ordering::SeqCst);
        let is_alone = self.shared.arriving.load(Ordering::SeqCst) == 0;
        let slept = if is_alone { self.driver.wait(node::now(), None) } else { Ok(()) };
        self.shared.sleeps.store(false, Ordering::SeqCst);
        self.stand_in_lobby(|_, shared| shared.arriving.load(Ordering::SeqCst) > 0);
        Ok(slept?)
    }

    /// Lets go of the lock until `wait` is false.
    fn stand_in_lobby(&mut self, wait: impl Fn(&Inner, &Shared) -> bool) {
        let shared = self.shared;
        let Some(mut inner) = self.inner.take() else { return };
        inner.in_lobby = true;
        let waited = shared.lobby.wait_while(inner, |inner| wait(inner, shared));
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        inner.in_lobby = false;
        self.inner = Some(inner);
    }

    /// Sits on the bench until there is news, or the one that polls has left.
    fn sit(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        inner.benched += 1;
        let seen = inner.news;
        self.shared.lobby.notify_all();
        let waited = self.shared.bench.wait(inner);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        inner.benched -= 1;
        if inner.news != seen {
            inner.unchecked = inner.unchecked.saturating_sub(1);
            self.shared.lobby.notify_all();
        }
        self.inner = Some(inner);
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.shared.callers.fetch_sub(1, Ordering::SeqCst);
        if self.in_lobby {
            self.shared.lobby.notify_all();
        }
    }
}

impl std::ops::Deref for Entered<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("the lock is let go only inside a wait"),
        }
    }
}

impl std::ops::DerefMut for Entered<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        match &mut self.inner {
            Some(inner) => inner,
            None => unreachable!("the lock is let go only inside a wait"),
        }
    }
}

impl Inner {
    /// One round of the driver, without sleeping.
    pub(super) fn round(&mut self) {
        self.is_fresh |= self.driver.poll(node::now());
        while let Some(event) = self.driver.poll_event() {
            self.is_fresh = true;
            match event {
                WorkerEvent::Welcome => self.welcomed = true,
                WorkerEvent::Assigned(unit) => self.assigned = Some(unit),
                WorkerEvent::Adopt(writer) => self.adopt.hear(writer),
                WorkerEvent::Release(unit) => self.release = Some(unit),
                WorkerEvent::Ended(shutdown) => {
                    self.ended.get_or_insert(shutdown);
                }
            }
        }
    }

    /// The worker's state machine.
    pub(super) fn worker(&mut self) -> &mut Worker {
        self.driver.machine_mut()
    }

    /// Begins an operation, and sends what it has queued.
    pub(super) fn send<O>(
        &mut self,
        begin: impl FnOnce(&mut Worker) -> Result<O, OperationError>,
    ) -> Result<O, ClientError> {
        let start = Instant::now();
        let outcome = begin(self.worker());
        self.flush();
        self.sending += start.elapsed();
        Ok(outcome?)
    }

    /// Sends what the last calls have queued.
    pub(super) fn flush(&mut self) {
        self.driver.flush(node::now());
    }
}
