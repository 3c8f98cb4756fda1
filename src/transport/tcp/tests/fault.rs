//! Connections end and come back; peers restart; bytes are damaged on the way.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn a_connection_cut_in_mid_stream_is_lost_and_comes_back() {
    let mut net = Net::pair();
    net.told.iter_mut().for_each(Vec::clear);
    net.send(1, SERVER, (0..30).map(|i| frame(WORKER, i, 0, 1 << 20)).collect());
    net.run("the stream to begin", |net| net.frames(0).count() > 2);
    net.nodes[0].break_connection(WORKER);
    net.run_until(1, "the worker to reconnect", is_reconnected);
    net.run("the server to reconnect", |net| net.told[0].iter().any(is_reconnected));
    let kinds: Vec<&Incoming> =
        net.told[0].iter().filter(|incoming| is_lost(incoming) || is_reconnected(incoming)).collect();
    assert!(is_lost(kinds[0]) && is_reconnected(kinds[1]) && kinds.len() == 2, "{kinds:?}");
    net.frames(0).for_each(check);
    assert!(net.frames(0).count() < 30);
    net.told[0].clear();
    net.send(1, SERVER, vec![frame(WORKER, 100, 5, 50)]);
    net.run("a later frame", |net| net.frames(0).any(|frame| frame.header.timestamp.0 == 100));
}

#[test]
fn a_restarted_peer_reconnects_with_its_new_incarnation_and_the_old_start_is_refused() {
    let mut net = Net::pair();
    let mut old = std::mem::replace(&mut net.nodes[1], open(config(WORKER, 2)));
    net.dial(1, SERVER, 0);
    net.run_until(1, "the new worker to be up", is_up);
    let expected = Incarnation(2);
    net.run_until(
        0,
        "the restart",
        |told| matches!(told, Incoming::Reconnected { incarnation, .. } if *incarnation == expected),
    );
    // The old start still runs: its connection was replaced, and it may not come back.
    let mut told = Vec::new();
    net.run("the old start to be refused", |net| {
        let now = net.now();
        old.rx_burst(now, &mut told, 8);
        told.iter().any(|told| matches!(told, Incoming::Refused { reason, .. } if reason.contains("later start")))
    });
    assert!(!net.told[0].iter().any(is_lost));
}

#[test]
fn a_restarted_server_is_found_again_at_its_address() {
    let mut net = Net::pair();
    let address = address(&net.nodes[0]);
    net.nodes[0] = open(config(NodeId::server(8, 0), 1));
    net.run_until(1, "the loss", is_lost);
    let mut restarted = config(SERVER, 9);
    restarted.listen = Some(address);
    net.nodes[0] = open(restarted);
    let expected = Incarnation(9);
    net.run_until(
        1,
        "the new start",
        |told| matches!(told, Incoming::Reconnected { incarnation, .. } if *incarnation == expected),
    );
}

#[test]
fn two_nodes_that_dial_each_other_agree_on_one_connection() {
    let (first, second) = (NodeId::server(1, 0), NodeId::server(2, 0));
    let mut net = Net::new(vec![open(config(first, 1)), open(config(second, 1))]);
    net.dial(0, second, 1);
    net.dial(1, first, 0);
    net.run("both to be up", |net| net.told.iter().all(|told| told.iter().any(is_up)));
    for _ in 0..300 {
        net.step();
    }
    assert!(net.told.iter().all(|told| told.iter().all(|told| !matches!(told, Incoming::Refused { .. }))));
    net.told.iter_mut().for_each(Vec::clear);
    net.send(0, second, vec![frame(first, 1, 0, 9)]);
    net.send(1, first, vec![frame(second, 2, 0, 9)]);
    net.run("both frames", |net| net.frames(0).count() == 1 && net.frames(1).count() == 1);
    assert!(!net.told.iter().flatten().any(is_lost));
}

#[test]
fn a_disconnect_sends_what_was_queued_and_says_nothing_here() {
    let mut net = Net::pair();
    net.told.iter_mut().for_each(Vec::clear);
    net.send(1, SERVER, (0..20).map(|i| frame(WORKER, i, 0, 1 << 20)).collect());
    let now = net.now();
    net.nodes[1].disconnect(now, SERVER);
    net.run("the end", |net| net.told[0].iter().any(is_lost));
    assert_eq!(net.frames(0).count(), 20);
    net.run("the session to close", |net| net.nodes[1].connections.iter().count() == 0);
    assert!(net.told[1].is_empty(), "{:?}", net.told[1]);
    assert_eq!(net.nodes[1].poll_timeout(), None);
}

/// Forwards one connection after another; damages one byte of the first one's way to the server.
fn damaging_proxy(server: String, damaged_place: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for (count, client) in listener.incoming().flatten().enumerate() {
            let Ok(upstream) = TcpStream::connect(&server) else { return };
            let (back_from, back_to) = (upstream.try_clone().expect("clone"), client.try_clone().expect("clone"));
            std::thread::spawn(move || forward(back_from, back_to, None));
            std::thread::spawn(move || forward(client, upstream, (count == 0).then_some(damaged_place)));
        }
    });
    address
}

fn forward(mut from: TcpStream, mut to: TcpStream, damaged_place: Option<usize>) {
    let (mut buffer, mut place) = ([0; 4096], 0);
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if let Some(damaged) = damaged_place.filter(|damaged| (place..place + bytes).contains(damaged)) {
            buffer[damaged - place] ^= 4;
        }
        place += bytes;
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_damaged_frame_drops_its_connection_and_no_other() {
    let bystander = NodeId::worker(1);
    let mut other = config(bystander, 1);
    other.listen = None;
    let mut net = Net::new(vec![open(config(SERVER, 1)), open(config(WORKER, 1)), open(other)]);
    let proxy = damaging_proxy(address(&net.nodes[0]), 104 + 3 * 228 + 150);
    let now = net.now();
    net.nodes[1].connect(now, SERVER, &proxy);
    net.dial(2, SERVER, 0);
    net.run("all to be up", |net| net.told[0].iter().filter(|told| is_up(told)).count() == 2);
    net.run_until(1, "the worker to be up", is_up);
    net.send(1, SERVER, (0..10).map(|i| frame(WORKER, i, 0, 100)).collect());
    net.run("the loss", |net| net.told[0].iter().any(is_lost));
    assert_eq!(net.frames(0).count(), 3);
    let lost = net.told[0].iter().find_map(|told| match told {
        Incoming::Lost { peer, reason } => Some((*peer, reason.clone())),
        _ => None,
    });
    let (peer, reason) = lost.expect("just seen");
    assert!(peer == WORKER && reason.contains("wrong checksum"), "{peer}: {reason}");
    net.run_until(1, "the worker to reconnect", is_reconnected);
    net.send(1, SERVER, vec![frame(WORKER, 50, 0, 100)]);
    net.send(2, SERVER, vec![frame(bystander, 51, 0, 100)]);
    net.run("later frames of both", |net| net.frames(0).count() == 5);
    assert!(!net.told[2].iter().any(is_lost));
}

#[test]
fn a_frame_in_another_name_or_job_drops_the_connection() {
    let wrong_source = frame(NodeId::worker(3), 1, 0, 0);
    let mut wrong_job = frame(WORKER, 1, 0, 0);
    wrong_job.header.job = JobId(1);
    for (wrong, words) in [(wrong_source, "in the name of worker 3"), (wrong_job, "a frame of job 1")] {
        let mut net = Net::pair();
        net.send(1, SERVER, vec![wrong]);
        net.run_until(0, "the loss", |told| matches!(told, Incoming::Lost { reason, .. } if reason.contains(words)));
    }
}

#[test]
fn connections_leave_no_descriptors_behind() {
    let open_descriptors = || std::fs::read_dir("/proc/self/fd").expect("procfs").count();
    let before = open_descriptors();
    let mut net = Net::pair();
    for _ in 0..200 {
        let now = net.now();
        net.nodes[1].disconnect(now, SERVER);
        net.run("the end", |net| net.told[0].iter().any(is_lost));
        net.told.iter_mut().for_each(Vec::clear);
        net.dial(1, SERVER, 0);
        net.run("the beginning", |net| net.told.iter().all(|told| told.iter().any(is_reconnected)));
    }
    net.run("old sessions to close", |net| net.nodes.iter().all(|node| node.connections.iter().count() == 1));
    // Other tests of this process come and go; a leak would be one descriptor a cycle at least.
    assert!(open_descriptors() < before + 150);
}
