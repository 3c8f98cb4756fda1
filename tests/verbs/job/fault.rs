//! What goes wrong under a job, and how the job ends: with the right code and one line, or not at all.

use super::train::{ACCOUNT, assert_nothing_left};
use crate::machine::{Machine, Output};
use crate::share::Share;

/// A job that takes some seconds, so that something can happen to it.
const LONG: &str = "/host/parashard train --train /host/nycflights.train.svm.zst --passes 50 --servers 2 --workers 2 \
                    --model /tmp/m --log-level info";

pub(crate) fn a_job_without_lockable_memory_says_how_to_get_it() {
    let output =
        run(&format!("ulimit -l 64; {LONG} --transport verbs 2>/tmp/log; code=$?; grep error: /tmp/log; exit $code"));
    assert_eq!(output.code, 5, "{}", output.console);
    let line = only_error(&output);
    assert!(line.contains("ulimit -l"), "{line}");
}

pub(crate) fn a_job_with_a_wrong_gid_index_says_so() {
    let job = format!(
        "PARASHARD_GID_INDEX=200 {LONG} --transport verbs 2>/tmp/log; code=$?; grep error: /tmp/log; exit $code"
    );
    let output = run(&job);
    assert_eq!(output.code, 5, "{}", output.console);
    let line = only_error(&output);
    assert!(line.contains("200"), "{line}");
}

pub(crate) fn a_peer_that_is_killed_while_it_writes_ends_the_job_and_leaves_nothing() {
    for victim in ["worker", "server"] {
        let output = run(&format!(
            "{LONG} --transport verbs 2>/tmp/log & job=$!
            {UNDER_WAY}
            kill -9 $(pgrep -f 'parashard {victim} --rank 0')
            wait $job; code=$?; grep error: /tmp/log; pgrep parashard && exit 90; ls -d /tmp/parashard* 2>/dev/null && exit 91
            {ACCOUNT}
            exit $code"
        ));
        assert_eq!(output.code, 4, "{victim}: {}", output.console);
        only_error(&output);
        assert_nothing_left(&output);
        println!("report: a {victim} killed over verbs ends the job with code 4 and leaves nothing");
    }
}

pub(crate) fn a_device_that_is_removed_ends_no_process_by_force() {
    let output = run(&format!(
        "{LONG} --transport verbs 2>/tmp/log & job=$!
        {UNDER_WAY}
        rdma link del rxe0
        wait $job; code=$?; grep error: /tmp/log; grep -c panicked /tmp/log && exit 90; pgrep parashard && exit 91
        exit $code"
    ));
    assert!(matches!(output.code, 4 | 5), "{}", output.console);
    only_error(&output);
}

/// Waits until the device has carried frames of the job.
const UNDER_WAY: &str = "
until [ $(cat /sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts) -gt 2000 ]; do
    kill -0 $job || { cat /tmp/log; exit 92; }
    sleep 0.1
done
";

fn run(job: &str) -> Output {
    let share = Share::new(job).expect("a folder");
    share.add_parashard().and_then(|()| share.add_flights()).expect("program and data");
    Machine::build().and_then(|machine| machine.run(&share)).expect("a run of the machine")
}

fn only_error(output: &Output) -> &str {
    let mut lines = output.console.lines().filter(|line| line.contains("error:"));
    let line = lines.next().unwrap_or_else(|| panic!("no error line: {}", output.console));
    assert_eq!(lines.next(), None, "{}", output.console);
    line
}
