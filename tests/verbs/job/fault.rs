//! What goes wrong under a job, and how the job ends: with the right code and one line, or not at all.

use super::train::{ACCOUNT, assert_nothing_left};
use crate::machine::{Machine, Output};
use crate::share::Share;

/// A job that takes long enough for something to happen to it.
const LONG: &str = "/host/parashard train --train /host/nycflights.test.svm.zst --passes 3 --servers 2 --workers 2 \
                    --model /tmp/m --log-level info";

/// Root may lock what it likes, so this root is no longer allowed to.
const BOUND: &str = "ulimit -l 64; /usr/bin/setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock";

pub(crate) fn jobs_that_cannot_start_say_what_to_mend() {
    let ended = "2>/tmp/log; echo \"code $?\"; grep error: /tmp/log";
    let output = run(&format!(
        "( {BOUND} {LONG} --transport verbs {ended} )
        PARASHARD_GID_INDEX=200 {LONG} --transport verbs {ended}"
    ));
    assert_eq!(output.console.lines().filter(|line| *line == "code 5").count(), 2, "{}", output.console);
    let errors: Vec<&str> = output.console.lines().filter(|line| line.contains("error:")).collect();
    assert_eq!(errors.len(), 2, "{}", output.console);
    assert!(errors[0].contains("ulimit -l") && errors[1].contains("200"), "{errors:?}");
}

pub(crate) fn a_peer_that_is_killed_while_it_writes_ends_the_job_and_leaves_nothing() {
    let kill = |victim: &str| {
        format!(
            "before=$(sent)
            {LONG} --transport verbs >/tmp/out 2>/tmp/log & job=$!
            {UNDER_WAY}
            kill -9 $(pids '{victim} --rank 0')
            wait $job; echo \"{victim} code $?\"; grep error: /tmp/log
            pids; ls -d /tmp/parashard* 2>/dev/null
            "
        )
    };
    let output = run(&format!("{}{}{ACCOUNT}", kill("worker"), kill("server")));
    for victim in ["worker", "server"] {
        let code = format!("{victim} code 4");
        assert!(output.console.lines().any(|line| line == code), "{victim}: {}", output.console);
    }
    assert_eq!(output.console.matches("error:").count(), 2, "{}", output.console);
    let is_left = |line: &&str| line.starts_with("/tmp/parashard") || line.parse::<u32>().is_ok();
    assert_eq!(output.console.lines().find(is_left), None, "{}", output.console);
    assert_nothing_left(&output);
    println!("report: a worker and a server killed over verbs end their jobs with code 4 and leave nothing");
}

/// Control goes another way than data, so the connections come back while no link can be made.
pub(crate) fn a_device_whose_network_fails_alone_costs_time_and_nothing_else() {
    let output = run(&format!(
        "ip link add wire0 type dummy && ip addr add 10.9.0.1/24 dev wire0 && ip link set wire0 up || exit 95
        rdma link add rxe1 type rxe netdev wire0 || exit 94
        export PARASHARD_VERBS_DEVICE=rxe1
        sent() {{ cat /sys/class/infiniband/rxe1/ports/1/hw_counters/sent_pkts; }}
        tries=0
        until grep -q 0000:ffff /sys/class/infiniband/rxe1/ports/1/gids/1 || [ $tries -ge 50 ]; do
            sleep 0.1; tries=$((tries + 1))
        done
        before=$(sent)
        {LONG} --transport verbs >/tmp/out 2>/tmp/log & job=$!
        {UNDER_WAY}
        ip link set wire0 down; sleep 1.5; ip link set wire0 up
        kill -0 $job || exit 93
        wait $job; code=$?; cat /tmp/log; grep examples /tmp/out
        {}
        exit $code",
        ACCOUNT.replace("rxe0", "rxe1")
    ));
    assert_eq!(output.code, 0, "{}", output.console);
    assert!(output.console.contains("examples             45,000"), "{}", output.console);
    assert!(output.console.contains("no link for now; trying again"), "{}", output.console);
    // Four pairs, each of whose ends logs its links.
    assert!(output.console.matches("kind=verbs").count() >= 16, "{}", output.console);
    assert_nothing_left(&output);
}

/// The kernel keeps a device until its last user closes it.
pub(crate) fn a_device_that_is_removed_is_let_go_and_later_jobs_say_what_is_missing() {
    let output = run(&format!(
        "before=$(sent)
        {LONG} --transport verbs >/tmp/out 2>/tmp/log & job=$!
        {UNDER_WAY}
        rdma link del rxe0 & removal=$!
        wait $job || {{ cat /tmp/log; exit 90; }}
        wait $removal; rdma link show | grep -q rxe0 && exit 91
        {LONG} --transport auto >/tmp/out 2>/tmp/log || {{ cat /tmp/log; exit 92; }}
        grep -q '^links .* shm' /tmp/out || {{ cat /tmp/out; exit 93; }}
        {LONG} --transport verbs >/tmp/out 2>/tmp/log; code=$?; grep error: /tmp/log; exit $code"
    ));
    assert_eq!(output.code, 5, "{}", output.console);
    only_error(&output);
}

/// What the jobs have in common.
const PRELUDE: &str = "
sent() { cat /sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts; }
pids() {
    for process in /proc/[0-9]*; do
        tr '\\0' ' ' <$process/cmdline 2>/dev/null | grep -q \"^/host/parashard $1\" && echo ${process#/proc/}
    done
}
";

/// Waits until the device has carried frames of the job.
const UNDER_WAY: &str = "
until [ $(($(sent) - before)) -gt 2000 ]; do
    kill -0 $job || { cat /tmp/log; exit 92; }
    sleep 0.1
done
";

fn run(job: &str) -> Output {
    let share = Share::new(&format!("{PRELUDE}{job}")).expect("a folder");
    share.add_parashard().and_then(|()| share.add_flights()).expect("program and data");
    Machine::build().and_then(|machine| machine.run(&share)).expect("a run of the machine")
}

fn only_error(output: &Output) -> &str {
    let mut lines = output.console.lines().filter(|line| line.contains("error:"));
    let line = lines.next().unwrap_or_else(|| panic!("no error line: {}", output.console));
    assert_eq!(lines.next(), None, "{}", output.console);
    line
}
