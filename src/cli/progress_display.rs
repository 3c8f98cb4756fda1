//! Progress while a job runs: a bar on a terminal, a plain line now and then in a log file.

use super::console::tell;
use crate::learn::progress::Progress;
use crate::learn::summary::grouped;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// A thread that shows progress until it is stopped.
pub(super) struct ProgressDisplay {
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressDisplay {
    /// Starts to show `progress` on standard error.
    pub(super) fn start(progress: Arc<Mutex<Progress>>, passes: u32) -> ProgressDisplay {
        let (stop, stopped) = mpsc::channel();
        let show = move || {
            if std::io::stderr().is_terminal() {
                show_bar(&progress, passes, &stopped);
            } else {
                show_lines(&progress, passes, &stopped);
            }
        };
        // A job that shows nothing is better than none.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        ProgressDisplay { stop, thread }
    }

    /// Stops and clears the bar.
    pub(super) fn stop(mut self) {
        // The thread ends with either the word or the channel.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show_bar(progress: &Mutex<Progress>, passes: u32, stopped: &mpsc::Receiver<()>) {
    let bar = ProgressBar::new(0);
    let with_total = ProgressStyle::with_template("{elapsed} [{bar:30}] {msg}");
    let without_total = ProgressStyle::with_template("{elapsed} {spinner} {msg}");
    let (Ok(with_total), Ok(without_total)) = (with_total, without_total) else { return };
    while stopped.recv_timeout(BAR_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        match progress.unit_count(passes) {
            Some(units) => {
                bar.set_style(with_total.clone());
                bar.set_length(units);
                bar.set_position(progress.units.1);
            }
            None => bar.set_style(without_total.clone()),
        }
        bar.set_message(describe(&progress, passes));
        drop(progress);
        bar.tick();
    }
    bar.finish_and_clear();
}

fn show_lines(progress: &Mutex<Progress>, passes: u32, stopped: &mpsc::Receiver<()>) {
    let begin = Instant::now();
    while stopped.recv_timeout(LINE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let line = describe(&progress.lock().unwrap_or_else(PoisonError::into_inner), passes);
        tell(&format_args!("{:8.1} s  {line}", begin.elapsed().as_secs_f64()));
    }
}

fn describe(progress: &Progress, passes: u32) -> String {
    if progress.passes.is_empty() {
        return "starting".to_owned();
    }
    let loss = progress.train_log_loss().unwrap_or(f64::NAN);
    let stage =
        if progress.testing { "testing".to_owned() } else { format!("pass {}/{passes}", progress.passes.len()) };
    format!(
        "{stage}  {} examples  {} examples/s  log loss {loss:.5}",
        grouped(progress.rows()),
        grouped(progress.rows_per_second() as u64)
    )
}
