//! Links end with their connection, and come back with it.

use super::*;
use crate::transport::fabric::setup::SetupMessage;

fn is_lost(told: &Incoming) -> bool {
    matches!(told, Incoming::Lost { .. })
}

impl Net {
    /// Waits until both have lost the connection, have it again, and know the way.
    fn await_recovery(&mut self, generation: u16) {
        self.run("a new link", |net| {
            let is_new = |node: &FabricTransport, peer| {
                node.peers.get(&peer).is_some_and(|record| record.generation == generation && record.link.is_some())
            };
            is_new(&net.nodes[0], WORKER) && is_new(&net.nodes[1], SERVER)
        });
        assert!(self.told.iter().all(|told| told.iter().filter(|told| is_lost(told)).count() == 1), "{:?}", self.told);
    }
}

#[test]
fn a_cut_connection_takes_its_link_along_and_a_new_link_follows() {
    for choice in [TransportChoice::Auto, TransportChoice::Shm] {
        let mut net = Net::pair(choice, choice);
        for generation in 2..6 {
            net.told.iter_mut().for_each(Vec::clear);
            net.send(1, (0..100).map(|number| (number, 3000)));
            net.nodes[usize::from(generation % 2)].break_connection([SERVER, WORKER][usize::from(generation % 2 == 0)]);
            net.await_recovery(generation);
            net.exchange();
        }
    }
}

#[test]
fn a_peer_that_writes_garbage_into_the_ring_is_cut_and_comes_back() {
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    net.told.iter_mut().for_each(Vec::clear);
    let link = net.nodes[1].peers.get_mut(&SERVER).and_then(Peer::ring_mut).expect("a link");
    link.scribble();
    net.await_recovery(2);
    net.exchange();
}

#[test]
fn a_peer_that_is_gone_takes_the_link_along() {
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    net.send(1, (0..30).map(|number| (number, 100_000)));
    net.nodes[1] = open(NodeId::worker(5), TransportChoice::Shm);
    net.run("the loss", |net| net.told[0].iter().any(is_lost));
    assert!(net.nodes[0].peers[&WORKER].link.is_none());
    assert_eq!(net.nodes[0].link_counts(), LinkCounts::default());
}

#[test]
fn links_leave_no_descriptor_and_no_memory_behind() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("procfs").count();
    let maps = || {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
        maps.lines().filter(|line| line.contains("parashard-ring")).count()
    };
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    let before = descriptors();
    for generation in 2..150 {
        net.told.iter_mut().for_each(Vec::clear);
        // The link has worked for a while.
        net.skipped += limit::LINK_PROVEN;
        net.nodes[0].break_connection(WORKER);
        net.await_recovery(generation);
    }
    // Other tests of this process come and go; a leak would be one a cycle at least.
    assert!(descriptors() < before + 100 && maps() < 100, "{} descriptors, {} maps", descriptors(), maps());
}

#[test]
fn a_link_that_keeps_breaking_comes_back_later_and_later_and_its_data_take_the_connection() {
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    let mut pauses = Vec::new();
    for generation in 2..8 {
        net.told.iter_mut().for_each(Vec::clear);
        net.nodes[0].break_connection(WORKER);
        net.run("the connection", |net| net.told[1].iter().any(|told| matches!(told, Incoming::Reconnected { .. })));
        let begin = net.now();
        if generation == 7 {
            assert_eq!(net.kinds()[1], Some(LinkKind::Tcp));
            net.exchange();
            assert!(net.nodes[1].peers[&SERVER].link.is_none(), "{:?}", net.now().since(begin));
        }
        net.run("a new link", |net| net.nodes[1].peers[&SERVER].link.is_some());
        pauses.push(net.now().since(begin));
    }
    let expected = (0..6).map(|exponent| limit::LINK_BACKOFF_MIN * (1 << exponent));
    assert!(pauses.iter().zip(expected).all(|(&pause, least)| pause + Duration::from_millis(2) >= least), "{pauses:?}");
}

#[test]
fn a_forced_choice_that_was_met_before_is_waited_for() {
    let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
    // As if the server had no memory to share for now.
    net.nodes[0].choice = TransportChoice::Tcp;
    net.nodes[0].break_connection(WORKER);
    net.run("some attempts", |net| net.nodes[1].peers[&SERVER].generation > 4);
    net.exchange();
    assert!(net.nodes.iter_mut().all(|node| node.wait(Some(Duration::ZERO)).is_ok()));
    net.nodes[0].choice = TransportChoice::Shm;
    net.run("the link", |net| net.nodes.iter().all(|node| node.link_counts() == once(LinkKind::Shm)));
    net.exchange();
}

#[test]
fn set_up_out_of_turn_cuts_the_connection() {
    let offer = SetupMessage::Offer { generation: 0, local: None, shm: true, verbs: None };
    let answer = SetupMessage::Answer { generation: 1, local: None, shm: None, verbs: None };
    let chosen = SetupMessage::chosen(1, LinkKind::Verbs, "");
    let garbage = {
        let mut frame = frame(WORKER, 0, 50);
        frame.header.kind = Kind::Setup;
        frame
    };
    for message in [offer.to_frame(WORKER), answer.to_frame(WORKER), chosen.to_frame(WORKER), garbage] {
        let mut net = Net::pair(TransportChoice::Shm, TransportChoice::Shm);
        net.told.iter_mut().for_each(Vec::clear);
        let mut frame = message;
        frame.header.job = JOB;
        let now = net.now();
        net.nodes[1].tcp.tx_burst(now, SERVER, &mut vec![frame]);
        net.await_recovery(2);
    }
}
