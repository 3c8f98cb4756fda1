//! Progress while a job runs: a bar on a terminal, a plain line now and then in a log file.

use super::console::tell;
use crate::learn::Solution;
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
        match progress.unit_count(passes).filter(|_| !progress.solves) {
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
    let rows =
        || format!("{} examples  {} examples/s", grouped(progress.rows()), grouped(progress.rows_per_second() as u64));
    match progress.solution() {
        _ if progress.testing => format!("testing  {}", learnt(progress, rows())),
        Some(solution) => format!("pass {}/{passes}  {}", solution.passes, describe_solution(&solution)),
        None if progress.solves => format!("reading  {}", rows()),
        None => format!("pass {}/{passes}  {}", progress.passes.len(), learnt(progress, rows())),
    }
}

fn learnt(progress: &Progress, rows: String) -> String {
    format!("{rows}  log loss {:.5}", progress.train_log_loss().unwrap_or(f64::NAN))
}

fn describe_solution(solution: &Solution) -> String {
    format!(
        "objective {:.4}  KKT violation {:.5}  {} weights not zero  {} of {} features active",
        solution.objective,
        solution.kkt_violation,
        grouped(solution.nonzero_weights),
        grouped(solution.traffic.features_active),
        grouped(solution.traffic.features),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::PassTraffic;
    use crate::learn::progress::{BlockPass, Pass};

    #[test]
    fn a_solver_shows_what_it_solves_and_others_their_loss() {
        let pass = Pass { rows: 4, loss_sum: 2.0, ..Pass::default() };
        let mut progress = Progress::default();
        progress.passes.push(pass);
        assert_eq!(describe(&Progress::default(), 3), "starting");
        assert_eq!(describe(&progress, 3), "pass 1/3  4 examples  0 examples/s  log loss 0.50000");
        progress.solves = true;
        assert_eq!(describe(&progress, 200), "reading  4 examples  0 examples/s");
        let traffic = PassTraffic { features: 90, features_active: 12, ..PassTraffic::default() };
        let solution = Solution { passes: 2, objective: 7.5, kkt_violation: 0.25, nonzero_weights: 5, traffic };
        progress.block_passes = vec![BlockPass::default(), BlockPass { solution, train_seconds: 1.0 }];
        let shown = "pass 2/200  objective 7.5000  KKT violation 0.25000  5 weights not zero  12 of 90 features active";
        assert_eq!(describe(&progress, 200), shown);
        progress.testing = true;
        assert_eq!(describe(&progress, 200), "testing  4 examples  0 examples/s  log loss 0.50000");
    }
}
