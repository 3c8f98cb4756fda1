//! How long workers wait for a slow one, by the delay, in virtual time.

use crate::straggler::{Spent, WORKERS, run};
use parashard::wire::Consistency;
use std::time::Duration;

const DELAYS: [u32; 6] = [0, 1, 2, 4, 8, 16];
/// Few enough that the delay spares workers the wait: in the long run a slow worker sets the pace of a bounded job,
/// whatever its delay.
const MINIBATCHES: u64 = 80;
const SLOWNESS: u32 = 4;

fn bounded(delay_max: u32, slowness: u32) -> Spent {
    run(Consistency::BoundedDelay { delay_max }, MINIBATCHES, slowness)
}

#[test]
fn a_delay_spares_workers_the_wait_for_a_slow_one() {
    let spent = DELAYS.map(|delay_max| bounded(delay_max, SLOWNESS));
    for (delay_max, spent) in DELAYS.iter().zip(spent) {
        println!("delay {delay_max}: waiting {:.1} %, {spent:?}", 100.0 * spent.waiting_share());
    }
    assert!(spent.is_sorted_by(|less, more| less.waiting_share() >= more.waiting_share()), "{spent:?}");
    assert!(spent[0].waiting_share() > 0.5, "three wait for the fourth: {:?}", spent[0]);
    assert!(spent[5].waiting_share() <= spent[0].waiting_share() / 2.0, "{spent:?}");
    assert!(spent[5].took < spent[0].took / 2, "{spent:?}");
}

#[test]
fn nobody_waits_long_where_nobody_is_slow() {
    for delay_max in DELAYS {
        let spent = bounded(delay_max, 1);
        assert!(spent.waiting_share() < 0.1, "delay {delay_max}: {spent:?}");
    }
}

#[test]
fn an_eventual_table_keeps_no_pull_waiting_for_a_slow_worker() {
    let spent = run(Consistency::Eventual, MINIBATCHES, SLOWNESS);
    println!("eventual: waiting {:.1} %, {spent:?}", 100.0 * spent.waiting_share());
    assert_eq!(spent.kept_waiting, 0, "{spent:?}");
    // What is left are the ways of the frames.
    assert!(spent.waiting_share() < 0.05, "{spent:?}");
    assert!(bounded(0, SLOWNESS).kept_waiting > 0);
}

#[test]
fn a_slow_worker_sets_the_pace_of_a_bounded_job_in_the_long_run() {
    let long = |delay_max| run(Consistency::BoundedDelay { delay_max }, 40 * MINIBATCHES, SLOWNESS).waiting_share();
    assert!(long(16) > 0.9 * long(0));
}

#[test]
fn the_same_job_spends_the_same_time() {
    let spent = bounded(4, SLOWNESS);
    assert_eq!(spent, bounded(4, SLOWNESS));
    let minibatches = u32::try_from(MINIBATCHES).expect("few");
    assert!(spent.computing >= minibatches * Duration::from_millis(10) && WORKERS > 1, "{spent:?}");
}
