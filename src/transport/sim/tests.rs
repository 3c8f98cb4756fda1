use super::*;
use crate::id::Timestamp;
use crate::memory::TxBuf;
use crate::transport::{Incoming, Transport};
use crate::wire::{Header, Kind, TxFrame};
use std::collections::BTreeMap;
use std::time::Duration;

const NODES: [NodeId; 3] = [NodeId::SCHEDULER, NodeId::server(0, 0), NodeId::worker(0)];

/// Three nodes, everybody connected with everybody, the higher one dialling.
struct World {
    network: SimNetwork,
    transports: Vec<SimTransport>,
    told: Vec<Vec<Incoming>>,
    now: Nanos,
    sent_count: u64,
}

impl World {
    fn new(seed: u64, faults: SimFaults) -> World {
        let network = SimNetwork::new(seed, faults);
        let pool = Pool::unbounded();
        let join = |&node: &NodeId| network.join(Nanos(0), node, Incarnation(1), &pool);
        let transports: Vec<SimTransport> = NODES.iter().map(join).collect();
        let told = NODES.iter().map(|_| Vec::new()).collect();
        let mut world = World { network, transports, told, now: Nanos(0), sent_count: 0 };
        world.dial_all();
        world
    }

    fn dial_all(&mut self) {
        for (from, transport) in self.transports.iter_mut().enumerate() {
            NODES[..from].iter().for_each(|&peer| transport.connect(self.now, peer, ""));
        }
    }

    /// Goes through all events up to `until`.
    fn run(&mut self, until: Nanos) {
        while let Some(next) = self.network.next_event_time().filter(|&next| next <= until) {
            assert!(next >= self.now, "time goes back");
            self.now = next;
            for (transport, told) in self.transports.iter_mut().zip(&mut self.told) {
                while transport.rx_burst(self.now, told, 16) {}
            }
        }
        self.now = until;
    }

    fn run_for(&mut self, duration: Duration) {
        self.run(self.now.after(duration));
    }

    /// Everybody sends everybody one frame.
    fn send_all(&mut self) {
        for (&from, transport) in NODES.iter().zip(&mut self.transports) {
            for &peer in NODES.iter().filter(|&&peer| peer != from) {
                let mut header = Header::new(Kind::Push, from);
                (header.timestamp, header.value_bytes) = (Timestamp(self.sent_count), 40);
                self.sent_count += 1;
                let frame = TxFrame::with_values(header, TxBuf::from_vec(vec![self.sent_count as u8; 40]));
                transport.tx_burst(self.now, peer, &mut vec![frame]);
            }
        }
    }

    fn exchange(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.send_all();
            self.run_for(Duration::from_micros(100));
        }
    }

    /// How often each frame arrived.
    fn arrivals(&self) -> BTreeMap<u64, u32> {
        let mut counts = BTreeMap::new();
        for incoming in self.told.iter().flatten() {
            if let Incoming::Frame { frame, .. } = incoming {
                *counts.entry(frame.header.timestamp.0).or_default() += 1;
            }
        }
        counts
    }
}

fn counters(seed: u64, faults: SimFaults) -> SimCounters {
    let mut world = World::new(seed, faults);
    world.run_for(Duration::from_millis(50));
    world.exchange(2000);
    world.run_for(Duration::from_secs(1));
    world.network.counters()
}

#[test]
fn a_seed_repeats_and_another_differs() {
    let run = |seed| {
        let mut world = World::new(seed, SimFaults::rough());
        world.exchange(500);
        world.run_for(Duration::from_secs(1));
        (world.network.log_hash(), world.network.counters())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn without_faults_everything_arrives_once() {
    let mut world = World::new(3, SimFaults::none());
    world.run_for(Duration::from_millis(50));
    world.exchange(100);
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.network.next_event_time(), None);
    let arrivals = world.arrivals();
    assert!(arrivals.len() == 600 && arrivals.values().all(|&count| count == 1));
    let counters = world.network.counters();
    assert_eq!((counters.sent, counters.delivered, counters.lost, counters.breaks), (600, 600, 0, 0));
    assert!(world.told.iter().flatten().filter(|told| matches!(told, Incoming::Up { .. })).count() == 6);
}

#[test]
fn an_ordered_network_keeps_the_order() {
    assert_ne!(counters(4, SimFaults::none()).reordered, 0);
    assert_eq!(counters(4, SimFaults { ordered: true, ..SimFaults::none() }).reordered, 0);
}

#[test]
fn each_fault_moves_its_counter_and_no_other() {
    let quiet = SimFaults::none();
    let duplicated = counters(5, SimFaults { duplicate: 0.1, ..quiet.clone() });
    assert!(duplicated.duplicated > 100 && duplicated.breaks == 0, "{duplicated:?}");
    let broken = counters(5, SimFaults { loss: 0.01, ..quiet.clone() });
    assert!(broken.breaks > 10 && broken.reconnects >= 2 * broken.breaks && broken.lost > 10, "{broken:?}");
    assert_eq!((broken.duplicated, broken.corrupted, broken.late), (0, 0, 0));
    let late = counters(5, SimFaults { loss: 0.01, late: 0.5, ..quiet.clone() });
    assert!(late.late > 3, "{late:?}");
    let corrupted = counters(5, SimFaults { corrupt: 0.01, ..quiet });
    assert!(corrupted.corrupted > 10 && corrupted.breaks >= corrupted.corrupted, "{corrupted:?}");
}

#[test]
fn every_frame_is_delivered_or_lost_and_none_twice_unless_duplicated() {
    let mut world = World::new(6, SimFaults { duplicate: 0.0, ..SimFaults::rough() });
    world.exchange(3000);
    world.network.set_faults(world.now, SimFaults::none());
    world.run_for(Duration::from_secs(1));
    assert!(world.arrivals().values().all(|&count| count == 1));
    let counters = world.network.counters();
    assert_eq!(counters.sent, counters.delivered + counters.lost, "{counters:?}");
    assert!(counters.breaks > 10 && counters.late > 0, "{counters:?}");
}

#[test]
fn news_of_connections_alternate_and_frames_come_only_between_them() {
    let mut world = World::new(7, SimFaults { late: 0.0, ..SimFaults::rough() });
    world.exchange(3000);
    for told in &world.told {
        let mut connected = BTreeMap::new();
        for incoming in told {
            match incoming {
                Incoming::Up { peer, .. } => assert_eq!(connected.insert(*peer, true), None),
                Incoming::Reconnected { peer, .. } => assert_eq!(connected.insert(*peer, true), Some(false)),
                Incoming::Lost { peer, .. } => assert_eq!(connected.insert(*peer, false), Some(true)),
                Incoming::Frame { from, .. } => assert_eq!(connected.get(from), Some(&true)),
                Incoming::Refused { .. } => panic!("nobody is refused here"),
            }
        }
    }
}

#[test]
fn after_the_faults_everything_sent_on_a_standing_connection_arrives() {
    let mut world = World::new(8, SimFaults::rough());
    world.exchange(500);
    world.network.set_faults(world.now, SimFaults::none());
    world.run_for(Duration::from_secs(1));
    let (first, lost) = (world.sent_count, world.network.counters().lost);
    world.exchange(50);
    world.run_for(Duration::from_millis(1));
    let arrivals = world.arrivals();
    assert!((first..world.sent_count).all(|number| arrivals.get(&number) == Some(&1)));
    assert_eq!(world.network.counters().lost, lost);
}

#[test]
fn a_cut_separates_until_it_ends() {
    let (begin, end) = (Nanos(100_000_000), Nanos(300_000_000));
    let cut = Cut { nodes: vec![NODES[2]], begin, end };
    let mut world = World::new(9, SimFaults { cuts: vec![cut], ..SimFaults::none() });
    world.run(Nanos(200_000_000));
    assert!(!world.network.is_connected(NODES[2], NODES[0]) && world.network.is_connected(NODES[0], NODES[1]));
    world.run(Nanos(400_000_000));
    assert!(world.network.is_connected(NODES[2], NODES[0]) && world.network.is_connected(NODES[2], NODES[1]));
    assert_eq!(world.network.counters().breaks, 2);
}

#[test]
fn a_paused_node_gets_everything_when_it_wakes() {
    let (begin, end) = (Nanos(100_000_000), Nanos(200_000_000));
    let pause = Pause { node: NODES[1], begin, end };
    let mut world = World::new(10, SimFaults { pauses: vec![pause], ..SimFaults::none() });
    world.run(begin);
    assert_eq!(world.network.paused_until(world.now, NODES[1]), Some(end));
    world.told[1].clear();
    world.send_all();
    world.run(Nanos(end.0 - 1));
    assert!(world.told[1].is_empty());
    assert_eq!(world.network.next_event_time(), Some(end));
    world.run(end);
    assert_eq!(world.told[1].len(), 2);
}

#[test]
fn a_crashed_node_is_lost_and_its_next_start_is_told_from_the_old_one() {
    let mut world = World::new(11, SimFaults::none());
    world.run_for(Duration::from_millis(50));
    world.told.iter_mut().for_each(Vec::clear);
    world.network.crash(world.now, NODES[1]);
    world.run_for(Duration::from_millis(50));
    assert!(matches!(world.told[0][..], [Incoming::Lost { peer, .. }] if peer == NODES[1]));
    assert!(world.told[1].is_empty());
    let pool = Pool::unbounded();
    world.transports[1] = world.network.restart(world.now, NODES[1], Incarnation(2), &pool);
    world.dial_all();
    world.run_for(Duration::from_millis(50));
    let again = |told: &Incoming| matches!(told, Incoming::Reconnected { incarnation: Incarnation(2), .. });
    assert!(world.told[0].iter().any(again) && world.told[2].iter().any(again));
    assert!(world.told[1].iter().all(|told| matches!(told, Incoming::Up { .. })) && world.told[1].len() == 2);
}

#[test]
fn a_disconnect_delivers_what_was_sent_before() {
    let mut world = World::new(12, SimFaults::none());
    world.run_for(Duration::from_millis(50));
    world.told.iter_mut().for_each(Vec::clear);
    world.send_all();
    world.transports[2].disconnect(world.now, NODES[0]);
    world.run_for(Duration::from_millis(50));
    let from_leaver = |told: &Incoming| match told {
        Incoming::Frame { from, .. } => *from == NODES[2],
        Incoming::Lost { peer, .. } => *peer == NODES[2],
        _ => false,
    };
    let told: Vec<&Incoming> = world.told[0].iter().filter(|told| from_leaver(told)).collect();
    assert!(matches!(told[..], [Incoming::Frame { .. }, Incoming::Lost { .. }]), "{told:?}");
    assert!(!world.network.is_connected(NODES[0], NODES[2]));
}
