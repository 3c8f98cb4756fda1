//! How a job ends when a node is lost for good.

use crate::cluster::Cluster;
use crate::plan::Plan;
use parashard::id::{Nanos, NodeId};
use parashard::limit;
use parashard::transport::sim::SimFaults;
use parashard::wire::Shutdown;
use std::time::Duration;

const SHARD: NodeId = NodeId::server(1, 0);
/// More work than is done before the accident.
const UNITS: u64 = 100_000;
/// Longest pause between two things that a worker does, at least.
const THINK_MAX: Duration = Duration::from_millis(4);

/// A cluster of two shards and two workers that has worked for a quarter of a second.
fn working(seed: u64, faults: SimFaults) -> Cluster {
    let mut plan = Plan::of(seed).with_cluster(2, 1);
    (plan.workers, plan.units, plan.faults) = (2, UNITS, faults);
    // They go on working as long as the others wait for the one that is lost.
    plan.think_max = plan.think_max.max(THINK_MAX);
    let mut cluster = Cluster::new(&plan);
    let until = Nanos(0).after(Duration::from_millis(250));
    assert!(cluster.run_until(|cluster| cluster.now >= until), "it ended too early: {:?}", cluster.ends);
    cluster
}

/// Seeds to have an accident in, on a quiet network and on a rough one.
fn accidents() -> impl Iterator<Item = (u64, SimFaults)> {
    (0..6).flat_map(|seed| [(seed, SimFaults::none()), (seed, SimFaults::rough())])
}

/// Fails unless all nodes but `lost` were told this end within `within`.
fn check_end(cluster: &Cluster, lost: NodeId, since: Nanos, within: Duration, words: &str) {
    let nodes = cluster.servers.keys().chain(cluster.workers.keys()).chain([&NodeId::SCHEDULER]);
    for node in nodes.filter(|&&node| node != lost) {
        let (at, Shutdown { exit_code, message }) = &cluster.ends[node];
        assert!(*exit_code == 4 && message.contains(words), "{node}: {exit_code} {message}");
        // A goodbye may be lost with its connection; nobody says it again.
        let within = if *node == NodeId::SCHEDULER { within + limit::GOODBYE_TIMEOUT } else { within };
        assert!(at.since(since) <= within, "{node} ended after {:?}", at.since(since));
    }
}

#[test]
fn a_server_that_is_lost_ends_the_job_within_the_grace() {
    for (seed, faults) in accidents() {
        let mut cluster = working(seed, faults);
        let since = cluster.now;
        cluster.crash(SHARD);
        cluster.run();
        let within = limit::RECONNECT_GRACE + Duration::from_secs(1);
        check_end(&cluster, SHARD, since, within, "server 1 shard 0 is lost: ");
    }
}

#[test]
fn a_server_that_comes_back_empty_ends_the_job_at_once() {
    for (seed, faults) in accidents() {
        let mut cluster = working(seed, faults);
        let since = cluster.now;
        cluster.crash(SHARD);
        cluster.start_server(SHARD, 2);
        cluster.run();
        let within = Duration::from_secs(1);
        check_end(&cluster, SHARD, since, within, "server 1 shard 0 is lost: it was restarted");
        let restarted = cluster.servers[&SHARD].driver.machine();
        assert_eq!(restarted.tables().count(), 0, "it was welcomed again");
    }
}

#[test]
fn a_worker_that_is_lost_ends_the_job_within_the_grace() {
    for (seed, faults) in accidents() {
        let mut cluster = working(seed, faults);
        let since = cluster.now;
        cluster.crash(NodeId::worker(1));
        cluster.run();
        let within = limit::RECONNECT_GRACE + Duration::from_secs(1);
        check_end(&cluster, NodeId::worker(1), since, within, "worker 1 is lost: ");
    }
}

#[test]
fn a_scheduler_that_vanishes_ends_the_nodes() {
    for (seed, faults) in accidents() {
        let mut cluster = working(seed, faults);
        let since = cluster.now;
        cluster.crash(NodeId::SCHEDULER);
        cluster.run();
        let within = limit::SCHEDULER_GRACE + Duration::from_millis(100);
        check_end(&cluster, NodeId::SCHEDULER, since, within, "the scheduler is gone");
    }
}

#[test]
fn nodes_that_never_register_end_the_job_with_their_names() {
    let mut plan = Plan::of(7).with_cluster(2, 1).without_faults();
    plan.workers = 3;
    let mut cluster = Cluster::new(&plan);
    [SHARD, NodeId::worker(2)].into_iter().for_each(|node| cluster.crash(node));
    cluster.run();
    let names = "not registered after 60 s: server 1 shard 0, worker 2;";
    for node in [NodeId::SCHEDULER, NodeId::server(0, 0), NodeId::worker(0), NodeId::worker(1)] {
        let (at, Shutdown { exit_code, message }) = &cluster.ends[&node];
        assert!(*exit_code == 4 && message.contains(names), "{node}: {exit_code} {message}");
        let within = limit::START_TIMEOUT + Duration::from_secs(1);
        assert!(at.since(Nanos(0)) <= within, "{node} ended after {:?}", at.since(Nanos(0)));
    }
}
