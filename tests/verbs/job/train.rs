//! Whole jobs over verbs: on one machine, and on two that a wire joins.

use crate::machine::{Machine, Output};
use crate::share::Share;
use serde_json::Value;

/// Trains on few rows, because the machine is emulated.
const TRAIN: &str = "--train /host/nycflights.test.svm.zst --test /host/nycflights.test.svm.zst \
                     --consistency sequential --minibatch 1000 --servers 2 --workers 2";

/// Counters of the device, each a line `counter NAME VALUE`, and what it still holds.
pub(super) const ACCOUNT: &str = "
for file in /sys/class/infiniband/rxe0/ports/1/hw_counters/*; do echo \"counter ${file##*/} $(cat $file)\"; done
rdma resource show rxe0 | tr ' ' '\\n' | paste - - | while read -r what count; do echo \"resource $what $count\"; done
";

pub(crate) fn a_model_trained_over_verbs_has_the_bytes_of_one_over_tcp() {
    let job = format!(
        "for transport in tcp verbs; do
            /host/parashard train {TRAIN} --transport $transport --model /host/$transport.model \
                --json /host/$transport.json --log-level info 2>/host/$transport.log || {{ cat /host/$transport.log; exit 3; }}
        done
        {ACCOUNT}"
    );
    let share = Share::new(&job).expect("a folder");
    share.add_parashard().and_then(|()| share.add_flights()).expect("program and data");
    let output = Machine::build().and_then(|machine| machine.run(&share)).expect("a run of the machine");
    assert_eq!(output.code, 0, "{}", output.console);
    assert_same_models(&share, &share);
    let opcodes = opcodes(&std::fs::read_to_string(share.file("verbs.log")).expect("the log"));
    println!("report: opcodes of 4 nodes: {opcodes:?}");
    for (opcode, count) in &opcodes {
        assert!(*count > 0, "no {opcode} was posted: the run went another way; {}", output.console);
    }
    assert!(counter(&output, "sent_pkts") > 1000, "{}", output.console);
    assert_nothing_left(&output);
    let summary = std::fs::read_to_string(share.file("verbs.json")).expect("the summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert!(summary["test_auc"].as_f64().is_some_and(|auc| auc > 0.6), "{summary}");
}

pub(crate) fn two_machines_train_over_their_wire() {
    let node = "--job c0ffee --secret-file /tmp/secret --transport verbs --log-level info";
    let secret = "umask 077; echo 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f >/tmp/secret";
    let first = format!(
        "{secret}
        /host/parashard scheduler {node} --listen $ADDRESS:7000 {TRAIN} --model /host/verbs.model 2>/host/scheduler.log & scheduler=$!
        for rank in 0 1; do
            /host/parashard server --rank $rank {node} --scheduler 10.7.0.1:7000 --listen $ADDRESS:0 2>/host/server$rank.log &
        done
        wait $scheduler || {{ cat /host/*.log; exit 3; }}
        wait
        {ACCOUNT}"
    );
    let second = format!(
        "{secret}
        tries=0; until ping -c 1 -W 1 10.7.0.1 >/dev/null || [ $tries -ge 60 ]; do tries=$((tries + 1)); done
        for rank in 0 1; do
            /host/parashard worker --rank $rank {node} --scheduler 10.7.0.1:7000 2>/host/worker$rank.log &
            eval worker$rank=$!
        done
        wait $worker0 && wait $worker1 || {{ cat /host/*.log; exit 3; }}
        {ACCOUNT}"
    );
    let (a, b) = (Share::new(&first).expect("a folder"), Share::new(&second).expect("a folder"));
    for share in [&a, &b] {
        share.add_parashard().and_then(|()| share.add_flights()).expect("program and data");
    }
    let (first, second) =
        Machine::build().and_then(|machine| machine.run_pair(&a, &b)).expect("a run of both machines");
    assert_eq!((first.code, second.code), (0, 0), "{}\n{}", first.console, second.console);
    for output in [&first, &second] {
        assert!(counter(output, "sent_pkts") > 1000, "{}", output.console);
        assert_nothing_left(output);
    }
    let model = std::fs::metadata(a.file("verbs.model")).expect("the model");
    println!("report: a model of {} bytes trained over the wire of two machines", model.len());
    assert!(model.len() > 10_000);
}

fn assert_same_models(tcp: &Share, verbs: &Share) {
    let model = |share: &Share, name: &str| std::fs::read(share.file(name)).expect("a model");
    let (tcp, verbs) = (model(tcp, "tcp.model"), model(verbs, "verbs.model"));
    assert!(tcp.len() > 10_000, "a model of {} bytes", tcp.len());
    assert!(tcp == verbs, "the models differ: {} and {} bytes", tcp.len(), verbs.len());
    println!("report: the models trained over tcp and over verbs have the same {} bytes", tcp.len());
}

/// Sums what the nodes say they have posted: lines with `verbs opcodes send=1 write=2 …`.
fn opcodes(log: &str) -> Vec<(&'static str, u64)> {
    let count = |opcode: &str| {
        let words = log.lines().filter(|line| line.contains("verbs opcodes")).flat_map(str::split_whitespace);
        words.filter_map(|word| word.strip_prefix(opcode)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
    };
    ["send", "write", "write_imm"].map(|opcode| (opcode, count(opcode))).to_vec()
}

fn counter(output: &Output, name: &str) -> u64 {
    let line =
        output.console.lines().find_map(|line| line.strip_prefix("counter ")?.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_default()
}

/// The device holds no queue pair and no region of a node that has ended.
pub(super) fn assert_nothing_left(output: &Output) {
    // The kernel keeps one queue pair of its own, for the management of connections.
    for (what, own) in [("qp", "1"), ("cq", "1"), ("pd", "1"), ("mr", "0"), ("srq", "0"), ("ctx", "0")] {
        let left = output.console.lines().find_map(|line| line.strip_prefix(&format!("resource {what} ")));
        assert_eq!(left.map(str::trim), Some(own), "{what} on the device: {}", output.console);
    }
}
