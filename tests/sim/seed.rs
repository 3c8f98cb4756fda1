//! Every seed keeps every promise, and faults really happen.

use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::result;
use parashard::transport::sim::SimCounters;
use parashard::wire::{Consistency, DType};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

const SEEDS: u64 = 320;
/// Faults are counted over this many seeds in a row.
const DECADE: u64 = 10;

/// What happened in a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    reconnects: u64,
    retries: u64,
    duplicates: u64,
    reordered: u64,
    late: u64,
    landed: u64,
    landed_in_quarantine: u64,
    waited: u64,
    pulls_checked: u64,
    overrides_checked: u64,
    delay_changes: u64,
    pushes: u64,
    keys_omitted: u64,
    keys_needed: u64,
    changes_pulled: u64,
    held_back: u64,
}

impl Counts {
    fn of(cluster: &Cluster) -> Counts {
        let SimCounters { reconnects, reordered, late, landed, landed_in_quarantine, .. } = cluster.network.counters();
        let workers = || cluster.workers.values().map(|node| node.driver.machine().traffic());
        let servers = || cluster.servers.values().map(|node| node.driver.machine().traffic());
        Counts {
            reconnects,
            reordered,
            late,
            landed,
            landed_in_quarantine,
            retries: workers().map(|traffic| traffic.retries).sum(),
            keys_omitted: workers().map(|traffic| traffic.keys_omitted).sum(),
            keys_needed: workers().map(|traffic| traffic.keys_needed).sum(),
            duplicates: servers().map(|traffic| traffic.duplicates).sum(),
            waited: servers().map(|traffic| traffic.waited).sum(),
            pushes: servers().map(|traffic| traffic.pushes).sum(),
            pulls_checked: cluster.oracle.pulls_checked,
            overrides_checked: cluster.oracle.overrides_checked,
            delay_changes: cluster.oracle.delay_changes,
            changes_pulled: workers().map(|traffic| traffic.changes_pulled).sum(),
            held_back: cluster.oracle.held_back,
        }
    }

    fn add(&mut self, other: Counts) {
        self.reconnects += other.reconnects;
        self.retries += other.retries;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.late += other.late;
        self.landed += other.landed;
        self.landed_in_quarantine += other.landed_in_quarantine;
        self.waited += other.waited;
        self.pulls_checked += other.pulls_checked;
        self.overrides_checked += other.overrides_checked;
        self.delay_changes += other.delay_changes;
        self.pushes += other.pushes;
        self.keys_omitted += other.keys_omitted;
        self.keys_needed += other.keys_needed;
        self.changes_pulled += other.changes_pulled;
        self.held_back += other.held_back;
    }
}

/// Runs a seed to its end and checks it; gives the hash of its event log.
fn run(seed: u64) -> (u64, Counts) {
    let mut cluster = Cluster::new(&Plan::of(seed));
    cluster.run();
    result::check(&cluster);
    (cluster.network.log_hash(), Counts::of(&cluster))
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs a seed; a failure names it and how to run it alone.
fn run_named(seed: u64) -> (u64, Counts) {
    catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|_| {
        panic!("seed {seed} failed; alone: PARASHARD_SIM_SEED={seed} cargo test --test sim every_seed -- --nocapture")
    })
}

#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = from_environment("PARASHARD_SIM_SEED") {
        println!("{:#?}", Plan::of(seed));
        println!("{:?}", run_named(seed));
        return;
    }
    let seeds = from_environment("PARASHARD_SIM_SEEDS").unwrap_or(SEEDS);
    let begin = Instant::now();
    let (mut total, mut failed) = (Counts::default(), Vec::new());
    for decade in 0..seeds.div_ceil(DECADE) {
        let mut counts = Counts::default();
        for seed in decade * DECADE..seeds.min((decade + 1) * DECADE) {
            match catch_unwind(AssertUnwindSafe(|| run_named(seed))) {
                Ok((_, one)) => counts.add(one),
                Err(_) => failed.push(seed),
            }
        }
        let Counts { reconnects, retries, duplicates, reordered, keys_omitted, landed, .. } = counts;
        let Counts { waited, overrides_checked, delay_changes, .. } = counts;
        let of_network = [reconnects, retries, duplicates, reordered, keys_omitted, landed];
        let happened = of_network.into_iter().chain([waited, overrides_checked, delay_changes]);
        let whole = (decade + 1) * DECADE <= seeds && failed.is_empty();
        assert!(
            !whole || happened.into_iter().all(|count| count > 0),
            "too quiet from seed {}: {counts:?}",
            decade * DECADE
        );
        total.add(counts);
    }
    assert!(total.landed_in_quarantine > 0 || seeds < SEEDS, "no answer ever landed late: {total:?}");
    assert!(total.keys_needed > 0 || seeds < SEEDS, "no shard ever missed a list: {total:?}");
    let filtered = total.changes_pulled.min(total.held_back);
    assert!(filtered > 0 || seeds < SEEDS, "no filter held anything back: {total:?}");
    println!("{seeds} seeds in {:.1} s: {total:?}", begin.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "{} of {seeds} seeds failed: {failed:?}", failed.len());
}

#[test]
fn a_seed_repeats_event_by_event() {
    for seed in [3, 14, 15, 92] {
        let (first, second) = (run_named(seed), run_named(seed));
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.0, run_named(seed + 1000).0);
    }
}

/// A seed whose run shows the planted fault.
const EARLY_SEED: u64 = 0;

/// The seed with bounded tables alone.
fn bounded(seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
    plan.workers = plan.workers.max(2);
    plan.with_rule(Consistency::BoundedDelay { delay_max: 1 }, DType::I64)
}

#[test]
fn a_server_that_answers_one_time_early_is_found() {
    let outcome = |answers_early| {
        catch_unwind(|| {
            let mut cluster = Cluster::new(&Plan { answers_early, ..bounded(EARLY_SEED) });
            cluster.run();
            result::check(&cluster);
        })
    };
    assert!(outcome(false).is_ok(), "without the fault");
    let found = outcome(true).expect_err("the fault was not found");
    let words = found.downcast_ref::<String>().expect("words");
    assert!(words.contains("which demands all times below"), "{words}");
}
