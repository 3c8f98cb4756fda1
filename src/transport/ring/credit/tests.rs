use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

const PEER: NodeId = NodeId::worker(1);
const OTHER: NodeId = NodeId::worker(2);

fn lent_anew(slot: u16) -> Credit {
    Credit { slot, kept: false }
}

fn opened(slot_count: u16, lendable: usize) -> (Lender, Vec<u16>) {
    let mut lender = Lender::new(slot_count, lendable);
    let mut lent = Vec::new();
    lender.open(PEER, 1, SLOTS_RESERVED, &mut lent).expect("slots for the first peer");
    (lender, lent)
}

#[test]
fn a_slot_is_written_read_and_written_again() {
    let (mut lender, lent) = opened(8, 8);
    let mut credits = Credits::new(8, 1);
    for &slot in &lent {
        assert_eq!(credits.accept(lent_anew(slot)), Ok(Granted::New));
    }
    let slot = credits.take().expect("a credit");
    assert_eq!((credits.free_count(), credits.used_count()), (1, 1));
    assert_eq!(lender.arrive(PEER, slot, 1), Ok(()));
    assert_eq!(lender.finish(PEER, slot), Some(Credit { slot, kept: false }));
    assert_eq!(credits.accept(Credit { slot, kept: false }), Ok(Granted::Done));
    assert_eq!((credits.free_count(), credits.used_count()), (2, 0));
}

#[test]
fn who_does_not_hold_a_credit_is_found_out() {
    let (mut lender, lent) = opened(8, 8);
    lender.open(OTHER, 5, SLOTS_RESERVED, &mut Vec::new()).expect("slots for the second peer");
    assert_eq!(lender.arrive(PEER, lent[0], 2), Err(RingError::Stale { found: 2, expected: 1 }));
    assert_eq!(lender.arrive(OTHER, lent[0], 5), Err(RingError::NotLent { slot: lent[0], peer: OTHER }));
    assert_eq!(lender.arrive(PEER, 8, 1), Err(RingError::NoSlot { slot: 8, count: 8 }));
    assert_eq!(lender.arrive(PEER, lent[0], 1), Ok(()));
    assert_eq!(lender.arrive(PEER, lent[0], 1), Err(RingError::NotLent { slot: lent[0], peer: PEER }));
    assert_eq!(lender.arrive(NodeId::worker(9), lent[1], 0), Err(RingError::Stale { found: 0, expected: 0 }));
}

#[test]
fn a_credit_that_is_held_cannot_be_granted_again() {
    let mut credits = Credits::new(64, 1);
    assert_eq!(credits.accept(lent_anew(3)), Ok(Granted::New));
    assert_eq!(credits.accept(lent_anew(3)), Err(RingError::WrongCredit { slot: 3 }));
    assert_eq!(credits.accept(Credit { slot: 4, kept: true }), Err(RingError::WrongCredit { slot: 4 }));
    assert_eq!(credits.accept(lent_anew(64)), Err(RingError::NoSlot { slot: 64, count: 64 }));
    (10..10 + SLOTS_LENT_MAX - 1).for_each(|slot| assert_eq!(credits.accept(lent_anew(slot)), Ok(Granted::New)));
    assert_eq!(credits.accept(lent_anew(60)), Err(RingError::TooManyCredits { limit: SLOTS_LENT_MAX }));
}

#[test]
fn a_peer_gets_more_on_demand_and_leaves_room_for_new_ones() {
    let (mut lender, _) = opened(16, 100);
    let mut lent = Vec::new();
    lender.want(PEER, 100, &mut lent);
    assert_eq!((lent.len(), lender.lent_to(PEER)), (10, 12));
    lender.open(OTHER, 1, SLOTS_RESERVED, &mut lent).expect("what was left aside");
    assert!(lender.open(NodeId::worker(3), 1, 3, &mut lent).is_err());
    assert_eq!(lender.lent_count(), 14);
}

#[test]
fn a_peer_with_more_than_its_share_gives_to_one_that_waits() {
    let (mut lender, mut lent) = opened(8, 8);
    lender.want(PEER, 4, &mut lent);
    lender.open(OTHER, 1, SLOTS_RESERVED, &mut Vec::new()).expect("what was left aside");
    let mut none = Vec::new();
    lender.want(OTHER, 2, &mut none);
    assert!(none.is_empty());
    lent.iter().for_each(|&slot| lender.arrive(PEER, slot, 1).expect("lent"));
    let finished: Vec<_> = lent.iter().map(|&slot| lender.finish(PEER, slot)).collect();
    assert_eq!(finished.iter().filter(|credit| credit.is_some_and(|credit| credit.kept)).count(), 2);
    let mut grants = Vec::new();
    lender.close(PEER);
    lender.serve_waiting(|peer, slot| grants.push((peer, slot)));
    assert_eq!(grants.len(), 2);
    assert!(grants.iter().all(|&(peer, _)| peer == OTHER));
}

#[test]
fn closing_takes_every_slot_back() {
    let (mut lender, lent) = opened(8, 8);
    lender.arrive(PEER, lent[0], 1).expect("lent");
    lender.close(PEER);
    assert_eq!(lender.lent_count(), 0);
    assert_eq!(lender.finish(PEER, lent[0]), None);
    assert_eq!(lender.arrive(PEER, lent[1], 1), Err(RingError::Stale { found: 1, expected: 0 }));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send,
    Read,
    Deliver,
    Want(u16),
    Reopen,
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let step = prop_oneof![
        4 => Just(Step::Send),
        4 => Just(Step::Read),
        4 => Just(Step::Deliver),
        1 => (0..40u16).prop_map(Step::Want),
        1 => Just(Step::Reopen),
    ];
    (any::<bool>(), step)
}

/// One peer, and what is on its way in both directions.
struct Pair {
    credits: Credits,
    frames: VecDeque<u16>,
    returning: VecDeque<Credit>,
}

impl Pair {
    fn new(slot_count: u16, generation: u16, lent: Vec<u16>) -> Pair {
        let mut pair = Pair {
            credits: Credits::new(slot_count, generation),
            frames: VecDeque::new(),
            returning: lent.into_iter().map(lent_anew).collect(),
        };
        pair.deliver();
        pair
    }

    fn deliver(&mut self) {
        for credit in self.returning.drain(..) {
            self.credits.accept(credit).expect("a credit that is not held");
        }
    }
}

proptest! {
    #[test]
    fn two_peers_never_write_the_same_slot(
        slot_count in 4..24u16,
        lendable in 4..30usize,
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        let ids = [PEER, OTHER];
        let mut lender = Lender::new(slot_count, lendable);
        let mut generation = 1;
        let mut pairs = ids.map(|peer| {
            let mut lent = Vec::new();
            lender.open(peer, generation, SLOTS_RESERVED, &mut lent).expect("a reserve each");
            Pair::new(slot_count, generation, lent)
        });
        for (second, step) in steps {
            let (peer, pair) = (ids[usize::from(second)], &mut pairs[usize::from(second)]);
            match step {
                Step::Send => pair.frames.extend(pair.credits.take()),
                Step::Read => {
                    if let Some(slot) = pair.frames.pop_front() {
                        prop_assert_eq!(lender.arrive(peer, slot, pair.credits.generation()), Ok(()));
                        pair.returning.extend(lender.finish(peer, slot));
                    }
                }
                Step::Deliver => pair.deliver(),
                Step::Want(wants) => {
                    let mut lent = Vec::new();
                    lender.want(peer, wants, &mut lent);
                    pair.returning.extend(lent.into_iter().map(lent_anew));
                }
                Step::Reopen => *pair = reopened(&mut lender, peer, slot_count, &mut generation),
            }
            let mut writable = BTreeSet::new();
            for pair in &pairs {
                let returning = pair.returning.iter().filter(|credit| !credit.kept).map(|credit| credit.slot);
                for slot in pair.credits.free.iter().chain(&pair.frames).copied().chain(returning) {
                    prop_assert!(writable.insert(slot), "slot {} has two writers", slot);
                }
            }
            prop_assert!(lender.lent_count() <= lendable.max(2 * usize::from(SLOTS_RESERVED)));
            prop_assert_eq!(writable.len(), lender.lent_count());
        }
    }
}

fn reopened(lender: &mut Lender, peer: NodeId, slot_count: u16, generation: &mut u16) -> Pair {
    *generation += 1;
    let mut lent = Vec::new();
    lender.close(peer);
    lender.open(peer, *generation, SLOTS_RESERVED, &mut lent).expect("its reserve");
    Pair::new(slot_count, *generation, lent)
}
