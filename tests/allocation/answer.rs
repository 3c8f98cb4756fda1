//! A small request is answered in the round that reads it.

use crate::counter::take_turn;
use crate::job::table;
use crate::pair::Pair;
use parashard::id::{TableId, Timestamp};
use parashard::keyspace::KeyRange;
use parashard::memory::TxBuf;
use parashard::node::{Keys, Layout, Request, now};
use std::time::{Duration, Instant};

const TIMES: usize = 20;

/// Sends what the worker has queued, gives the shard one round, and waits for the answer.
fn answered_in_one_round(pair: &mut Pair, asked: Timestamp) {
    // On loopback the request is in the shard's socket when the send returns.
    pair.worker.flush(now());
    assert!(pair.server.poll(now()), "the request was not read");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !pair.worker.machine().is_done(asked) {
        assert!(Instant::now() < deadline, "one round of the shard sent no answer");
        pair.worker.wait(now(), Some(Duration::from_millis(10))).expect("a poller");
        pair.worker.poll(now());
    }
}

#[test]
fn small_requests_are_answered_in_the_round_that_reads_them() {
    let _turn = take_turn();
    let mut pair = Pair::start(table(0, "plain", Layout::Sparse, "none"));
    let range = KeyRange::new(0, 1000);
    for count in [1, 100] {
        let keys = Keys::immutable(TxBuf::from_vec((0..count).collect::<Vec<u64>>()));
        let request = Request { table: TableId(0), range, keys: Some(keys.clone()), after: &[], ..Request::default() };
        pair.push(range, Some(&keys), TxBuf::from_vec(vec![1.0f32; count as usize]));
        for _ in 0..TIMES {
            let values = TxBuf::from_vec(vec![1.0f32; count as usize]);
            let push = pair.worker.machine_mut().push(now(), &request, values).expect("fits");
            answered_in_one_round(&mut pair, push);
            pair.worker.machine_mut().take_pushed(push).expect("applied");
            let pull = pair.worker.machine_mut().pull(now(), &request).expect("fits");
            answered_in_one_round(&mut pair, pull);
            drop(pair.worker.machine_mut().take_pulled(pull).expect("answered"));
        }
    }
}
