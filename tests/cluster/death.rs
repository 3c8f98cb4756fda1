//! Something of the job dies at a random moment.

use crate::rows::{libsvm, rows};
use crate::scratch::{Running, Scratch, send_signal};
use std::time::{Duration, Instant};

/// A job must have ended this long after a death.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Two servers of two shards and two workers that do not finish by themselves.
fn endless(scratch: &Scratch) -> Running {
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    let command = [
        "train",
        "--train",
        "data.svm",
        "--servers",
        "2",
        "--shards",
        "2",
        "--workers",
        "2",
        "--passes",
        "1000000",
        "--model",
        "model",
    ];
    scratch.start("job", &mut scratch.command(&command))
}

/// Moments after the start, from the first instructions of a process to the midst of training.
fn moments(seed: u64) -> Vec<Duration> {
    let draw = |round: u64| {
        let hash = (seed << 8 | round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 40) % 120 * (round + 1) * (round + 1)
    };
    (0..3).map(|round| Duration::from_millis(draw(round))).collect()
}

fn kill_one(subcommand: &str, count: usize, seed: u64, named: &[&str]) {
    for (round, moment) in moments(seed).into_iter().enumerate() {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        let pids = scratch.await_pids(subcommand, count);
        std::thread::sleep(moment);
        send_signal(pids[round % count], "KILL");
        let killed_at = Instant::now();
        let outcome = running.wait();
        assert!(killed_at.elapsed() < END_LIMIT, "ended {:?} after the death", killed_at.elapsed());
        outcome.expect_error(4, &[named[round % count], "killed by signal 9"]);
        assert!(!scratch.path("model").exists(), "no model of half a job");
        scratch.assert_clean();
    }
}

#[test]
fn a_killed_server_ends_the_job_with_its_name() {
    kill_one("server", 2, 1, &["server 0", "server 1"]);
}

#[test]
fn a_killed_worker_ends_the_job_with_its_name() {
    kill_one("worker", 2, 2, &["worker 0", "worker 1"]);
}

#[test]
fn a_killed_scheduler_ends_the_job_with_its_name() {
    kill_one("scheduler", 1, 3, &["scheduler"]);
}

#[test]
fn a_killed_launcher_takes_all_with_it() {
    for moment in moments(4) {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        scratch.await_pids("worker", 2);
        std::thread::sleep(moment);
        send_signal(running.pid(), "KILL");
        running.wait();
        scratch.await_clean(END_LIMIT);
    }
}

#[test]
fn a_launcher_and_a_scheduler_killed_together_leave_nothing() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    scratch.await_pids("worker", 2);
    let scheduler = scratch.await_pids("scheduler", 1)[0];
    std::thread::sleep(Duration::from_millis(300));
    // Stopped, it cannot tidy up behind the launcher.
    send_signal(scheduler, "STOP");
    send_signal(running.pid(), "KILL");
    send_signal(scheduler, "KILL");
    running.wait();
    scratch.await_clean(END_LIMIT);
}

/// Stops a scheduler in the midst of saving; gives its process id, or none where it was faster.
fn stop_while_saving(scratch: &Scratch, running: &Running) -> Option<u32> {
    scratch.await_address();
    std::thread::sleep(Duration::from_millis(300));
    let scheduler = scratch.await_pids("scheduler", 1)[0];
    let id = std::fs::read_to_string(scratch.job_dir()?.join("job")).ok()?;
    let draft = scratch.path(&format!(".model.{}.tmp", id.trim()));
    send_signal(running.pid(), "TERM");
    let deadline = Instant::now() + END_LIMIT;
    while !draft.exists() {
        if scratch.path("model").exists() || Instant::now() > deadline {
            return None;
        }
    }
    send_signal(scheduler, "STOP");
    std::thread::sleep(Duration::from_millis(50));
    draft.exists().then_some(scheduler)
}

#[test]
fn a_scheduler_killed_while_it_saves_leaves_no_draft() {
    for _ in 0..20 {
        let scratch = Scratch::new();
        let running = endless(&scratch);
        let Some(scheduler) = stop_while_saving(&scratch, &running) else { continue };
        send_signal(scheduler, "KILL");
        running.wait().expect_error(4, &["scheduler is lost"]);
        assert!(!scratch.path("model").exists(), "it was not saved");
        scratch.assert_clean();
        return;
    }
    panic!("no scheduler could be stopped between the beginning and the end of saving");
}

#[test]
fn a_worker_that_stands_still_for_two_seconds_does_no_harm() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    let workers = scratch.await_pids("worker", 2);
    std::thread::sleep(Duration::from_millis(300));
    send_signal(workers[1], "STOP");
    std::thread::sleep(Duration::from_secs(2));
    send_signal(workers[1], "CONT");
    std::thread::sleep(Duration::from_millis(300));
    send_signal(running.pid(), "TERM");
    running.wait().expect_error(143, &["signal 15"]);
    assert!(scratch.path("model").is_file());
    scratch.assert_clean();
}
