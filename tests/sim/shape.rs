//! A sequential job is a pure function of its work: neither the number of servers and shards nor
//! faults change a bit of the result.

use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::result;
use parashard::wire::{Consistency, DType};

/// The rows of every table at the end.
fn outcome(plan: &Plan) -> Vec<std::collections::BTreeMap<u64, Vec<u64>>> {
    let mut cluster = Cluster::new(plan);
    cluster.run();
    result::check(&cluster);
    (0..plan.tables.len()).map(|table| result::rows(&cluster, table)).collect()
}

#[test]
fn the_cluster_and_its_faults_do_not_change_a_bit_of_a_sequential_job() {
    for seed in 500..508 {
        let mut plan = Plan::of(seed);
        (plan.workers, plan.units) = (3, 0);
        let plan = plan.with_rule(Consistency::Sequential, DType::F32);
        let quiet = plan.clone().without_faults();
        let expected = outcome(&quiet.clone().with_cluster(1, 1));
        assert!(expected.iter().any(|rows| rows.values().flatten().any(|&bits| bits != 0)), "seed {seed} does nothing");
        for (servers, shards) in [(2, 1), (3, 2)] {
            assert_eq!(outcome(&quiet.clone().with_cluster(servers, shards)), expected, "seed {seed}, quiet");
            assert_eq!(outcome(&plan.clone().with_cluster(servers, shards)), expected, "seed {seed}, faults");
        }
    }
}
