use super::*;

const SERVER: NodeId = NodeId::server(0, 1);
const WORKER: NodeId = NodeId::worker(4);

fn identity(node: NodeId) -> Identity {
    Identity { node, incarnation: Incarnation(u64::from(node.0) + 7), job: JobId(11), generation: Generation(2) }
}

fn secret() -> Secret {
    Secret::from_bytes(b"a secret of thirty-two bytes....").expect("long enough")
}

fn other_secret() -> Secret {
    Secret::from_hex(&"0f".repeat(32)).expect("hexadecimal")
}

fn challenge(own: &Identity, hello: &[u8; HELLO_BYTES]) -> Result<(ServerHandshake, [u8; REPLY_BYTES]), Reject> {
    ServerHandshake::on_hello(own, &secret(), hello, [9; 32])
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let (mut client, hello) = ClientHandshake::new(&identity(WORKER), SERVER, [1; 32]);
    assert_eq!(ServerHandshake::check_prefix(hello_prefix(&hello).expect("whole")), Some(Ok(())));
    let (server, reply) = challenge(&identity(SERVER), &hello).expect("a good hello");
    let proof = client.on_challenge(&secret(), &reply).expect("the same secret");
    let worker = server.on_proof(&secret(), &proof).expect("a good proof");
    assert_eq!(worker, Peer { node: WORKER, incarnation: identity(WORKER).incarnation });
    let server = client.on_verdict(&ServerHandshake::accept()).expect("accepted");
    assert_eq!(server, Peer { node: SERVER, incarnation: identity(SERVER).incarnation });
}

#[test]
fn every_wrong_hello_has_its_own_reason() {
    let reject = |change: fn(&mut Identity), peer| {
        let mut own = identity(WORKER);
        change(&mut own);
        let (_, hello) = ClientHandshake::new(&own, peer, [1; 32]);
        let reject = challenge(&identity(SERVER), &hello).expect_err("refused");
        let reply = expect_reply(&reject.reply(), ReplyCode::Challenge).expect_err("a reject");
        assert_eq!(reply, HandshakeError::Rejected { code: reject.code, reason: reject.reason.clone() });
        reject.reason
    };
    assert_eq!(reject(|own| own.job = JobId(5), SERVER), "this is job b, not job 5");
    assert_eq!(reject(|own| own.generation = Generation(3), SERVER), "the job is at generation 2, not generation 3");
    assert_eq!(reject(|_| (), NodeId::server(9, 0)), "this is server 0 shard 1, not server 9 shard 0");
    assert_eq!(reject(|own| own.node = SERVER, SERVER), "server 0 shard 1 cannot be a peer of server 0 shard 1");
}

#[test]
fn another_version_and_strangers_are_told_from_their_first_bytes() {
    let (_, mut hello) = ClientHandshake::new(&identity(WORKER), SERVER, [1; 32]);
    hello[4] = 99;
    let reject = ServerHandshake::check_prefix(hello_prefix(&hello).expect("whole")).expect("one of ours");
    assert_eq!(
        reject.expect_err("another version").reason,
        format!("protocol version 99 offered, this is version {PROTOCOL_VERSION}: run the same release on every node")
    );
    assert_eq!(ServerHandshake::check_prefix(b"GET / HT"), None);
}

#[test]
fn a_wrong_secret_is_found_by_whoever_checks_first() {
    let (mut client, hello) = ClientHandshake::new(&identity(WORKER), SERVER, [1; 32]);
    let (server, reply) = challenge(&identity(SERVER), &hello).expect("a good hello");
    let error = client.on_challenge(&other_secret(), &reply).expect_err("another secret");
    assert!(error.to_string().starts_with("wrong job secret"), "{error}");
    assert_eq!(error.severity(), Severity::Fatal);
    let forged = other_secret().mac(Direction::Proof, &[]);
    assert_eq!(server.on_proof(&secret(), &forged).expect_err("forged").code, RejectCode::Secret);
}

#[test]
fn a_mac_that_is_sent_back_proves_nothing() {
    let (mut client, hello) = ClientHandshake::new(&identity(WORKER), SERVER, [1; 32]);
    let (server, reply) = challenge(&identity(SERVER), &hello).expect("a good hello");
    let reflected: Reply = zerocopy::transmute!(reply);
    assert!(server.on_proof(&secret(), &reflected.mac).is_err());
    // Nor does a proof made for another connection, whose listener drew another nonce.
    let proof = client.on_challenge(&secret(), &reply).expect("the same secret");
    let (second, _) = ServerHandshake::on_hello(&identity(SERVER), &secret(), &hello, [8; 32]).expect("a good hello");
    assert!(second.on_proof(&secret(), &proof).is_err());
}

#[test]
fn a_verdict_without_a_challenge_counts_for_nothing() {
    let (mut client, _) = ClientHandshake::new(&identity(WORKER), SERVER, [1; 32]);
    assert_eq!(client.on_verdict(&ServerHandshake::accept()), Err(HandshakeError::OutOfTurn(1)));
    assert_eq!(client.on_challenge(&secret(), &ServerHandshake::accept()), Err(HandshakeError::OutOfTurn(1)));
    assert!(matches!(client.on_challenge(&secret(), &[b'H'; REPLY_BYTES]), Err(HandshakeError::Stranger(_))));
}

#[test]
fn a_reason_is_cut_at_a_character_and_stripped_of_controls() {
    let reject = Reject::new(RejectCode::Node, format!("\x1b[31m{}", "ä".repeat(200)));
    let error = expect_reply(&reject.reply(), ReplyCode::Accept).expect_err("a reject");
    let HandshakeError::Rejected { reason, .. } = error else { panic!("{error}") };
    assert!(reason.starts_with("[31mä") && reason.ends_with('ä') && reason.len() <= 112, "{reason}");
}

#[test]
fn a_secret_is_never_shown_and_never_short() {
    assert_eq!(format!("{:?}", secret()), "Secret");
    assert_eq!(Secret::from_bytes(b"short").expect_err("too short"), SecretError::Length(5));
    assert_eq!(Secret::from_hex("xy").expect_err("no digits"), SecretError::Hex);
    assert_eq!(Secret::from_hex("abc").expect_err("odd"), SecretError::Hex);
    let spaced = Secret::from_hex(&format!(" {}\n", "0F".repeat(32))).expect("hexadecimal");
    assert_eq!(spaced.mac(Direction::Proof, &[]), other_secret().mac(Direction::Proof, &[]));
}
