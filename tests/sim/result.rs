//! What the tables hold when a job has ended.

use crate::cluster::Cluster;
use crate::number;
use parashard::id::TableId;
use std::collections::BTreeMap;

/// The rows of one table, gathered from all shards; keys that read as zero are left out.
pub(crate) fn rows(cluster: &Cluster, table: usize) -> BTreeMap<u64, Vec<u64>> {
    let spec = &cluster.plan.tables[table];
    let expected = cluster.oracle.final_rows(table);
    let mut rows = BTreeMap::new();
    for server in cluster.servers.values() {
        let machine = server.driver.machine();
        // A shard to which nobody sent anything may hear of the end before it hears of its tables.
        let Some(shard) = machine.tables().nth(table) else { continue };
        for range in machine.owned(TableId(table as u16)) {
            let keys: Vec<u64> = expected.range(range.begin..range.end).map(|(&key, _)| key).collect();
            let mut values = vec![0; keys.len() * spec.value_size()];
            shard.gather(range, Some(&keys), &mut values);
            let numbers = number::decode(spec.dtype, &values);
            rows.extend(keys.into_iter().zip(numbers.chunks(usize::from(spec.width)).map(<[u64]>::to_vec)));
        }
    }
    rows
}

/// Fails unless everything that was promised of a finished job holds.
pub(crate) fn check(cluster: &Cluster) {
    let count = 1 + cluster.servers.len() + cluster.workers.len();
    assert_eq!(cluster.ends.len(), count, "only some nodes were told the end: {:?}", cluster.ends);
    for (node, (_, shutdown)) in &cluster.ends {
        assert_eq!(shutdown.exit_code, 0, "{node} ended with {shutdown:?}");
    }
    let units = cluster.units.lock().expect("one thread");
    assert!(units.given.iter().chain(&units.finished).all(|&count| count == 1), "each unit once: {units:?}");
    for table in 0..cluster.plan.tables.len() {
        let waited = cluster.servers.values().map(|node| node.driver.machine().waited(TableId(table as u16)));
        assert!(!cluster.plan.is_eventual(table) || waited.sum::<u64>() == 0, "table {table} is eventual and waits");
        let (found, expected) = (rows(cluster, table), cluster.oracle.final_rows(table));
        for (key, row) in &expected {
            assert_eq!(found.get(key), Some(row), "table {table} key {key} at the end");
        }
        assert_eq!(found.len(), expected.len(), "table {table}: keys at the end");
    }
}
