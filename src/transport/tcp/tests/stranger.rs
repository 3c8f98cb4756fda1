//! Who does not belong to the job gets nowhere, costs little, and hears why where that helps.

use super::*;
use crate::limit;
use crate::transport::handshake::{ClientHandshake, Identity, REPLY_BYTES};
use std::io::{Read, Write};
use std::net::TcpStream;

fn reason_of_refusal(change: impl FnOnce(&mut TcpConfig), dialled: NodeId) -> String {
    let mut worker = config(WORKER, 1);
    change(&mut worker);
    let mut net = Net::new(vec![open(config(SERVER, 1)), open(worker)]);
    net.dial(1, dialled, 0);
    net.run("the refusal", |net| !net.told[1].is_empty());
    for _ in 0..50 {
        net.step();
    }
    assert!(net.told[0].is_empty(), "{:?}", net.told[0]);
    assert_eq!(net.nodes[1].poll_timeout(), None, "dials on after a refusal");
    match net.told[1].as_slice() {
        [Incoming::Refused { reason, .. }] => reason.clone(),
        told => panic!("{told:?}"),
    }
}

#[test]
fn whoever_does_not_belong_is_told_why() {
    let secret = Secret::from_bytes(&[6; 32]).expect("long enough");
    assert!(reason_of_refusal(|worker| worker.secret = secret, SERVER).starts_with("wrong job secret"));
    assert_eq!(reason_of_refusal(|worker| worker.job = JobId(8), SERVER), "this is job 4d, not job 8");
    assert_eq!(reason_of_refusal(|_| (), NodeId::server(4, 0)), "this is server 0 shard 0, not server 4 shard 0");
    assert_eq!(
        reason_of_refusal(|worker| worker.generation = Generation(1), SERVER),
        "the job is at generation 0, not generation 1"
    );
}

fn raw_stream(net: &Net) -> TcpStream {
    let stream = TcpStream::connect(address(&net.nodes[0])).expect("listens");
    stream.set_nonblocking(true).expect("a socket");
    stream
}

/// Runs until the stream has ended, and gives what came.
fn read_to_end(net: &mut Net, stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 512]);
    net.run("the stream to end", |_| match stream.read(&mut buffer) {
        Ok(0) => true,
        Ok(count) => {
            bytes.extend_from_slice(&buffer[..count]);
            false
        }
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    });
    bytes
}

#[test]
fn another_version_is_named() {
    let mut net = Net::pair();
    let own = Identity { node: WORKER, incarnation: Incarnation(1), job: JOB, generation: Generation(0) };
    let (_, mut hello) = ClientHandshake::new(&own, SERVER, [0; 32]);
    hello[4] = 99;
    let mut stream = raw_stream(&net);
    // Another version's hello may be shorter, or longer.
    stream.write_all(&hello[..20]).expect("sends");
    let reply = read_to_end(&mut net, &mut stream);
    assert_eq!(reply.len(), REPLY_BYTES);
    let text = String::from_utf8_lossy(&reply);
    let told = format!("protocol version 99 offered, this is version {}", crate::wire::PROTOCOL_VERSION);
    assert!(text.contains(&told), "{text}");
}

#[test]
fn garbage_is_closed_without_an_answer_and_disturbs_nobody() {
    let mut net = Net::pair();
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 4096], &[0xff; 8]] {
        let mut stream = raw_stream(&net);
        stream.write_all(garbage).expect("sends");
        assert!(read_to_end(&mut net, &mut stream).is_empty());
    }
    net.send(1, SERVER, vec![frame(WORKER, 1, 0, 9)]);
    net.run("a frame", |net| net.frames(0).count() == 1);
    assert!(!net.told.iter().flatten().any(is_lost));
}

#[test]
fn whoever_is_slow_to_prove_itself_is_closed() {
    let mut net = Net::pair();
    let mut stream = raw_stream(&net);
    stream.write_all(b"PS").expect("sends");
    net.run("the connection", |net| net.nodes[0].unauthenticated_count == 1);
    assert!(net.nodes[0].poll_timeout().is_some());
    net.ahead += limit::HANDSHAKE_TIMEOUT;
    assert!(read_to_end(&mut net, &mut stream).is_empty());
    assert_eq!(net.nodes[0].unauthenticated_count, 0);
    assert_eq!(net.nodes[0].poll_timeout(), None);
}

#[test]
fn strangers_are_limited_in_number_and_members_get_in_after_them() {
    let mut net = Net::new(vec![open(config(SERVER, 1)), open(config(WORKER, 1))]);
    let strangers: Vec<TcpStream> = (0..limit::UNAUTHENTICATED_CONNECTIONS + 10).map(|_| raw_stream(&net)).collect();
    net.run("the limit", |net| net.nodes[0].unauthenticated_count == limit::UNAUTHENTICATED_CONNECTIONS);
    net.dial(1, SERVER, 0);
    for _ in 0..20 {
        net.step();
    }
    assert_eq!(net.nodes[0].unauthenticated_count, limit::UNAUTHENTICATED_CONNECTIONS);
    drop(strangers);
    net.run_until(1, "the worker to be up", is_up);
}

#[test]
fn a_peer_that_is_not_there_yet_is_dialled_until_it_is() {
    let mut net = Net::new(vec![open(config(SERVER, 1)), open(config(WORKER, 1))]);
    let address = address(&net.nodes[0]);
    net.nodes[0] = open(config(NodeId::server(3, 0), 1));
    let now = net.now();
    net.nodes[1].connect(now, SERVER, &address);
    for _ in 0..100 {
        net.step();
    }
    let next = net.nodes[1].poll_timeout().expect("goes on dialling");
    assert!(next <= net.now().after(limit::HANDSHAKE_TIMEOUT));
    let mut late = config(SERVER, 1);
    late.listen = Some(address);
    net.nodes[0] = open(late);
    net.run_until(1, "the server to be up", is_up);
}

#[test]
fn a_port_in_use_is_named() {
    let first = open(config(SERVER, 1));
    let mut second = config(SERVER, 2);
    second.listen = Some(address(&first));
    let error = TcpTransport::open(second).expect_err("in use");
    assert!(error.to_string().contains(&address(&first)), "{error}");
}
