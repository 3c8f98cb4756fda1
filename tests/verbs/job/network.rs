//! Jobs over verbs between two machines, whose wire fails under them.

use super::train::{ACCOUNT, assert_nothing_left};
use crate::machine::{Machine, Output};
use crate::share::Share;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A job whose model does not depend on what happens to its frames.
const TRAIN: &str = "--consistency sequential --minibatch 500 --servers 2 --workers 2";
const DATA: &str = "nycflights.test.svm.zst";

/// What the machines have in common.
const PRELUDE: &str = "
umask 077; echo 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f >/tmp/secret
node() { echo \"--job $1 --secret-file /tmp/secret --transport verbs --log-level info\"; }
ended() { for node in $2; do eval wait \\$$node; echo \"job $1: $node code $?\"; done; }
";

/// `lead JOB` runs the scheduler and the servers of a job.
const LEAD: &str = "
lead() {
    /host/parashard scheduler $(node $1) --listen $ADDRESS:700$1 TRAIN --model /host/$1.model --json /host/$1.json \\
        2>/host/$1.scheduler.log & scheduler=$!
    for rank in 0 1; do
        /host/parashard server --rank $rank $(node $1) --scheduler $ADDRESS:700$1 --listen $ADDRESS:0 \\
            2>/host/$1.server$rank.log & eval server$rank=$!
    done
    ended $1 'scheduler server0 server1'
}
";

/// `work JOB` runs its workers, and in the middle of their work `break_wire`.
const WORK: &str = "
sent() { cat /sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts; }
blink() { ip link set eth0 down; sleep $1; ip link set eth0 up; sleep $2; }
work() {
    before=$(sent)
    for rank in 0 1; do
        /host/parashard worker --rank $rank $(node $1) --scheduler 10.7.0.1:700$1 \\
            2>/host/$1.worker$rank.log & eval worker$rank=$!
    done
    until [ $(($(sent) - before)) -gt 2000 ]; do kill -0 $worker0 || exit 92; sleep 0.1; done
    break_wire
    kill -0 $worker0 || exit 93
    ended $1 'worker0 worker1'
}
tries=0; until ping -c 1 -W 1 10.7.0.1 >/dev/null || [ $tries -ge 60 ]; do tries=$((tries + 1)); done
";

const NODES: [&[&str]; 2] = [&["scheduler", "server0", "server1"], &["worker0", "worker1"]];

pub(crate) fn a_wire_that_fails_costs_time_and_one_that_stays_down_ends_the_job() {
    let first = format!("{PRELUDE}{}\nlead 1; lead 2\n{ACCOUNT}", LEAD.replace("TRAIN", &train("/host")));
    let second = format!(
        "{PRELUDE}{WORK}
        break_wire() {{ blink 1.2 0.8; blink 0.6 0.1; blink 0.6 0.2; blink 0.6 0.4; }}
        work 1
        break_wire() {{ ip link set eth0 down; }}
        work 2
        {ACCOUNT}"
    );
    let shares = [&first, &second].map(|job| Share::new(job).expect("a folder"));
    for share in &shares {
        share.add_parashard().and_then(|()| share.add_flights()).expect("program and data");
    }
    let [a, b] = &shares;
    let (first, second) = Machine::build().and_then(|machine| machine.run_pair(a, b)).expect("a run of both machines");
    let said = format!("{}\n{}\n{}{}", first.console, second.console, logs(a), logs(b));
    for ((output, share), nodes) in [(&first, a), (&second, b)].into_iter().zip(NODES) {
        for node in nodes {
            assert_eq!(code(output, 1, node), Some(0), "{node} when the wire came back: {said}");
            assert_eq!(code(output, 2, node), Some(4), "{node} when the wire stayed down: {said}");
            assert_eq!(log(share, 1, node).matches("error:").count(), 0, "{said}");
            assert_eq!(log(share, 2, node).matches("error:").count(), 1, "{said}");
        }
        assert_nothing_left(output);
    }
    for worker in NODES[1] {
        let links = log(b, 1, worker).matches("kind=verbs").count();
        assert!(links >= 4, "{worker} made {links} links, so they did not break: {said}");
    }
    assert_same_as_undisturbed(a);
    println!("report: a job over verbs whose wire failed four times has the model of one on a whole wire");
}

/// The same job on this host, over TCP, has the same model and has seen as many examples.
fn assert_same_as_undisturbed(share: &Share) {
    let (model, json) = (share.file("whole.model"), share.file("whole.json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_parashard"));
    command.arg("train").args(train(&share.path().display().to_string()).split_whitespace());
    let output = command.args(["--transport", "tcp"]).arg("--model").arg(&model).arg("--json").arg(&json).output();
    let output = output.expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = |path: &Path| std::fs::read(path).expect("a model");
    assert!(bytes(&share.file("1.model")) == bytes(&model), "the models differ");
    let examples = |path: &Path| {
        let summary = std::fs::read_to_string(path).expect("a summary");
        serde_json::from_str::<Value>(&summary).expect("JSON")["examples"].as_u64()
    };
    assert_eq!(examples(&share.file("1.json")), examples(&json));
    assert!(examples(&json).is_some_and(|count| count > 1000));
}

fn train(folder: &str) -> String {
    format!("--train {folder}/{DATA} {TRAIN}")
}

fn code(output: &Output, job: u32, node: &str) -> Option<i32> {
    let begin = format!("job {job}: {node} code ");
    output.console.lines().find_map(|line| line.strip_prefix(&begin)?.trim().parse().ok())
}

fn log(share: &Share, job: u32, node: &str) -> String {
    std::fs::read_to_string(share.file(&format!("{job}.{node}.log"))).unwrap_or_default()
}

/// What all nodes said, for whoever reads of a failure.
fn logs(share: &Share) -> String {
    let each = [1, 2].into_iter().flat_map(|job| NODES.concat().into_iter().map(move |node| (job, node)));
    each.map(|(job, node)| format!("== job {job}: {node}\n{}", log(share, job, node))).collect()
}
