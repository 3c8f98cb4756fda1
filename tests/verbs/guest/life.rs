//! Links come and go, and nothing of them stays.

use super::Test;
use super::pair::{Pair, SHARD, WORKER};
use parashard::memory::TxBuf;
use parashard::transport::verbs::LiveObjects;
use parashard::wire::Kind;

pub(super) const TESTS: &[Test] = tests![
    a_thousand_links_leave_nothing,
    a_transport_that_is_dropped_leaves_nothing,
    an_end_that_makes_no_sense_is_refused,
];

fn descriptor_count() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the list of descriptors").count()
}

fn a_thousand_links_leave_nothing() {
    let mut pair = Pair::connected();
    let (before, descriptors) = (LiveObjects::now(), descriptor_count());
    for _ in 0..1000 {
        pair.connect();
        pair.worker.send(pair.worker.frame(Kind::Push, TxBuf::empty()));
        pair.at_shard();
    }
    assert_eq!((LiveObjects::now(), descriptor_count()), (before, descriptors));
    pair.worker.verbs.close(SHARD);
    pair.shard.verbs.close(WORKER);
    assert_eq!(LiveObjects::now().queue_pairs, 0);
}

fn a_transport_that_is_dropped_leaves_nothing() {
    let descriptors = descriptor_count();
    {
        let mut pair = Pair::connected();
        let whole = pair.worker.values(70_000, 1);
        for bytes in [0, 500, 5000, 70_000] {
            pair.worker.send(pair.worker.frame(Kind::Push, whole.slice(0..bytes)));
        }
        assert!(LiveObjects::now().queue_pairs == 2 && LiveObjects::now().memory_regions > 4);
    }
    assert_eq!((LiveObjects::now(), descriptor_count()), (LiveObjects::default(), descriptors));
}

fn an_end_that_makes_no_sense_is_refused() {
    let mut pair = Pair::connected();
    let good = pair.shard.verbs.begin(WORKER, 5).expect("the shard's end");
    let spoilt: [fn(&mut parashard::transport::verbs::VerbsEndpoint); 6] = [
        |end| end.version += 1,
        |end| end.mtu_bytes = 1500,
        |end| end.slots = vec![end.slot_count],
        |end| end.slots = vec![3, 3],
        |end| end.ring_address = u64::MAX - 5,
        |end| end.is_ethernet = !end.is_ethernet,
    ];
    for spoil in spoilt {
        let mut end = good.clone();
        spoil(&mut end);
        pair.worker.verbs.begin(SHARD, 5).expect("the worker's end");
        let error = pair.worker.verbs.connect(SHARD, &end).expect_err("nonsense").to_string();
        assert!(error.contains("server 0 shard 0"), "{error}");
    }
}
