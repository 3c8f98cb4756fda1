//! The driver behind the calls, and the thread that keeps it going between them.
//!
//! Whoever holds the lock makes progress. A caller announces itself first (`callers`), so that the
//! background thread, if it sleeps in the poller, is woken and lets go; it takes over again only when
//! no caller has been inside for [`QUIET`].

use super::error::ClientError;
use crate::node::{self, Waker, Worker, WorkerDriver, WorkerEvent};
use crate::wire::{Shutdown, Unit};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Bytes of answers to pulls.
    pub bytes_pulled: u64,
    /// Segments sent more than once.
    pub retries: u64,
    /// Time spent waiting for answers.
    pub waited: Duration,
}

/// The driver and what its events have told so far.
pub(super) struct Inner {
    pub(super) driver: WorkerDriver,
    pub(super) welcomed: bool,
    pub(super) assigned: Option<Option<Unit>>,
    pub(super) ended: Option<Shutdown>,
    pub(super) waited: Duration,
}

/// Shared between the caller's handles and the background thread.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    callers: AtomicUsize,
    entries: AtomicU64,
    background_sleeps: AtomicBool,
    stop: AtomicBool,
    waker: Waker,
}

impl Shared {
    pub(super) fn new(driver: WorkerDriver) -> Arc<Shared> {
        let waker = driver.waker();
        let inner = Inner { driver, welcomed: false, assigned: None, ended: None, waited: Duration::ZERO };
        Arc::new(Shared {
            inner: Mutex::new(inner),
            callers: AtomicUsize::new(0),
            entries: AtomicU64::new(0),
            background_sleeps: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            waker,
        })
    }

    /// Enters as a caller.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.callers.fetch_add(1, Ordering::SeqCst);
        self.entries.fetch_add(1, Ordering::Relaxed);
        if self.background_sleeps.load(Ordering::SeqCst) {
            self.waker.wake();
        }
        Entered { inner: self.lock(), shared: self }
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
        self.background_sleeps.store(true, Ordering::SeqCst);
        while self.callers.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            inner.round();
            let slept = inner.driver.wait(node::now(), Some(BACKGROUND_SLEEP_MAX));
            if slept.is_err() {
                break;
            }
        }
        self.background_sleeps.store(false, Ordering::SeqCst);
    }
}

/// A caller inside; leaves when dropped.
pub(super) struct Entered<'a> {
    inner: MutexGuard<'a, Inner>,
    shared: &'a Shared,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.shared.callers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::ops::Deref for Entered<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl std::ops::DerefMut for Entered<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Inner {
    /// One round of the driver, without sleeping.
    pub(super) fn round(&mut self) {
        self.driver.poll(node::now());
        while let Some(event) = self.driver.poll_event() {
            match event {
                WorkerEvent::Welcome => self.welcomed = true,
                WorkerEvent::Assigned(unit) => self.assigned = Some(unit),
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

    /// Sends what the last calls have queued.
    pub(super) fn flush(&mut self) {
        self.driver.flush(node::now());
    }

    /// Makes progress until `ready` gives something. An end of the job ends the wait, and so does
    /// the refusal of an operation that nobody waits for.
    pub(super) fn wait_for<T>(&mut self, mut ready: impl FnMut(&mut Inner) -> Option<T>) -> Result<T, ClientError> {
        if let Some(value) = ready(self) {
            return Ok(value);
        }
        let start = Instant::now();
        let outcome = loop {
            self.round();
            if let Some(value) = ready(self) {
                break Ok(value);
            }
            if let Some(refusal) = self.worker().take_refusal() {
                break Err(refusal.into());
            }
            if let Some(Shutdown { exit_code, message }) = self.ended.clone() {
                break Err(ClientError::Ended { exit_code, message });
            }
            if let Err(error) = self.driver.wait(node::now(), None) {
                break Err(node::NodeError::from(error).into());
            }
        };
        self.waited += start.elapsed();
        outcome
    }
}
