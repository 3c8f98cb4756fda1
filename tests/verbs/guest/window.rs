//! Memory for an answer is open to one peer, for that answer alone.

use super::Test;
use super::data::pull;
use super::pair::{End, Pair, SHARD, WORKER, assert_pattern};
use parashard::id::NodeId;
use parashard::memory::LandingBlock;
use parashard::transport::verbs::{Fault, LiveObjects, VerbsConfig, WindowUse};
use parashard::wire::{Kind, RxFrame, TxFrame};

pub(super) const TESTS: &[Test] = tests![
    each_answer_has_a_window_of_its_own,
    a_write_after_the_answer_ends_the_link_and_changes_nothing,
    the_window_of_one_peer_is_none_of_anothers,
    memory_of_the_program_comes_back_when_its_window_is_closed,
    without_windows_answers_land_by_the_region,
];

const BYTES: usize = 8192;

/// The shard answers with values, which land.
fn answer(pair: &mut Pair, request: &RxFrame, seed: u8) {
    let values = pair.shard.values(BYTES, seed);
    let answer = pair.shard.frame(Kind::PullReply, values);
    pair.shard.send(TxFrame { target: request.target, ..answer });
    assert!(pair.at_worker().landed);
}

fn landing(pair: &Pair) -> LandingBlock {
    LandingBlock::new(pair.worker.landing.block(BYTES))
}

fn each_answer_has_a_window_of_its_own() {
    let mut pair = Pair::connected();
    for round in 0..300u64 {
        let landing = landing(&pair);
        let request = pull(&mut pair, &landing);
        answer(&mut pair, &request, round as u8);
        assert_pattern(&landing.into_block().expect("nobody else knows it"), round as u8);
        pair.worker.poll();
        let counts = pair.worker.verbs.counts();
        assert_eq!((counts.bindings, counts.invalidations), (round + 1, round + 1));
    }
    assert_eq!(LiveObjects::now().memory_windows, 1, "one is used again and again");
}

fn a_write_after_the_answer_ends_the_link_and_changes_nothing() {
    let mut pair = Pair::connected();
    let landing = landing(&pair);
    let request = pull(&mut pair, &landing);
    let target = request.target.expect("an offer");
    let (address, key) = pair.shard.verbs.offered(WORKER, &target).expect("an offer");
    answer(&mut pair, &request, 3);
    pair.quiet();
    pair.shard.verbs.inject(WORKER, &Fault::At { address, key }).expect("a write");
    let error = pair.failure_of(false).to_string();
    assert!(error.contains("REM_ACCESS_ERR"), "{error}");
    assert_pattern(&landing.into_block().expect("nobody else knows it"), 3);
    pair.connect();
    let landing = self::landing(&pair);
    let request = pull(&mut pair, &landing);
    answer(&mut pair, &request, 4);
}

fn the_window_of_one_peer_is_none_of_anothers() {
    const OTHER: NodeId = NodeId::server(1, 0);
    let mut pair = Pair::connected();
    let mut other = End::open_shard(OTHER, WORKER);
    let theirs = pair.worker.verbs.begin(OTHER, 1).expect("the worker's end");
    let ours = other.verbs.begin(WORKER, 1).expect("the other shard's end");
    other.verbs.connect(WORKER, &theirs).expect("the other shard connects");
    pair.worker.verbs.connect(OTHER, &ours).expect("the worker connects");
    let landing = landing(&pair);
    let request = pull(&mut pair, &landing);
    let target = request.target.expect("an offer");
    let (address, key) = pair.shard.verbs.offered(WORKER, &target).expect("an offer");
    other.verbs.inject(WORKER, &Fault::At { address, key }).expect("a write");
    let error = other.failure().to_string();
    assert!(error.contains("REM_ACCESS_ERR"), "{error}");
    while let Some((peer, _)) = pair.worker.verbs.failed() {
        assert_eq!(peer, OTHER, "only the link of the one that wrote");
    }
    pair.worker.verbs.close(OTHER);
    answer(&mut pair, &request, 5);
    assert_pattern(&landing.into_block().expect("nobody else knows it"), 5);
}

fn memory_of_the_program_comes_back_when_its_window_is_closed() {
    let mut pair = Pair::connected();
    let before = LiveObjects::now().memory_regions;
    let landing = LandingBlock::new(pair.worker.landing.adopt(vec![0u8; BYTES]));
    let request = pull(&mut pair, &landing);
    answer(&mut pair, &request, 6);
    let mut block = Some(landing.into_block().expect("nobody else knows it"));
    let mut numbers: Vec<u8> = Vec::new();
    pair.until("the program's memory", |pair| {
        match pair.worker.landing.reclaim(block.take().expect("not yet back")) {
            Ok(vector) => numbers = vector,
            Err(again) => block = Some(again),
        }
        block.is_none()
    });
    assert_pattern(&numbers, 6);
    pair.until("the region's end", |_| LiveObjects::now().memory_regions <= before + 1);
}

fn without_windows_answers_land_by_the_region() {
    let config = VerbsConfig { windows: WindowUse::Off, ..VerbsConfig::from_environment().expect("sound settings") };
    let mut pair = Pair::of(&config);
    let landing = landing(&pair);
    let request = pull(&mut pair, &landing);
    answer(&mut pair, &request, 7);
    let counts = pair.worker.verbs.counts();
    assert_eq!((counts.bindings, counts.invalidations, LiveObjects::now().memory_windows), (0, 0, 0));
    assert_pattern(&landing.into_block().expect("nobody else knows it"), 7);
    assert!(pair.worker.verbs.failed().is_none() && pair.shard.verbs.failed().is_none());
    pair.worker.verbs.close(SHARD);
}
