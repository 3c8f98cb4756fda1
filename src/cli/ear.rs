//! What the scheduler hears from outside while it prepares the job and while it runs.
//!
//! Words come through the lifeline where a launcher has started the scheduler, and as signals where
//! it was started by hand. Before the job runs there is nothing to save: a word that ends the job
//! ends the process.

use super::console::tell_error;
use crate::error::{ExitCode, Failure};
use crate::launch::{JobDir, watch_stop_signals};
use crate::node::{LauncherWord, SchedulerHandle, has_lifeline, watch_lifeline};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hears from the first moment, and passes on what is still of interest when the job runs.
pub(super) struct Ear {
    heard: Arc<Mutex<Heard>>,
}

enum Heard {
    /// The job is being prepared: deaths to tell of later, and the folder to remove at the end.
    Early {
        deaths: Vec<LauncherWord>,
        dir: Option<JobDir>,
    },
    Running(SchedulerHandle),
}

impl Ear {
    /// Begins to listen.
    pub(super) fn open(dir: Option<JobDir>) -> Result<Ear, Failure> {
        let heard = Arc::new(Mutex::new(Heard::Early { deaths: Vec::new(), dir }));
        let ear = Arc::clone(&heard);
        if has_lifeline() {
            watch_lifeline(move |word| lock(&ear).hear(word))?;
        } else {
            watch_stop_signals(move |signal| lock(&ear).hear(LauncherWord::Stop { signal }))?;
        }
        Ok(Ear { heard })
    }

    /// Does what must not be left half done. A word that ends the process meanwhile waits for it.
    pub(super) fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> T {
        let _heard = lock(&self.heard);
        work()
    }

    /// Passes everything on to a scheduler that is about to run.
    pub(super) fn turn_to(&self, handle: SchedulerHandle) {
        let mut heard = lock(&self.heard);
        if let Heard::Early { deaths, .. } = &mut *heard {
            deaths.drain(..).for_each(|word| handle.hear(word));
        }
        *heard = Heard::Running(handle);
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    fn hear(&mut self, word: LauncherWord) {
        match (self, word) {
            (Heard::Running(handle), word) => handle.hear(word),
            (Heard::Early { .. }, LauncherWord::Stop { signal }) => {
                tell_error(&format_args!("stopped by signal {signal} before the training began"));
                std::process::exit(128 + i32::from(signal));
            }
            (Heard::Early { dir, .. }, LauncherWord::Gone) => {
                tell_error(&"the launcher is gone; the job ends");
                dir.iter().for_each(JobDir::remove);
                std::process::exit(i32::from(ExitCode::NodeLost as u8));
            }
            (Heard::Early { deaths, .. }, word) => deaths.push(word),
        }
    }
}
