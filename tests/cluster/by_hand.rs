//! A job without a launcher: every process is started by hand, as a batch system would.

use crate::outcome::{Outcome, summary};
use crate::proxy::Proxy;
use crate::rows::{libsvm, rows};
use crate::scratch::{Running, Scratch, send_signal};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

impl Scratch {
    /// Makes a secret file, as `openssl rand -hex 32` would.
    pub(crate) fn write_secret(&self, name: &str) {
        use std::io::Write;
        let path = self.path(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("a file");
        file.write_all("0123456789abcdef".repeat(4).as_bytes()).expect("writes");
    }
}

/// A port that is free now, here and behind [`behind_proxy`].
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// The same port on another address of this machine, where a proxy listens.
pub(crate) fn start_proxy(port: u16) -> Proxy {
    Proxy::start(SocketAddr::from(([127, 0, 0, 2], port)), SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A job started by hand.
pub(crate) struct Job {
    pub(crate) scheduler: Running,
    pub(crate) nodes: Vec<Running>,
}

impl Job {
    /// Starts `servers` servers of one shard and `workers` workers. Where `proxies` are asked for,
    /// all connections go through them.
    pub(crate) fn start(
        scratch: &Scratch,
        servers: usize,
        workers: usize,
        scheduler_arguments: &[&str],
        proxies: Option<&mut Vec<Proxy>>,
    ) -> Job {
        let ports: Vec<u16> = (0..=servers).map(|_| free_port()).collect();
        let host = if proxies.is_some() { "127.0.0.2" } else { "127.0.0.1" };
        if let Some(proxies) = proxies {
            proxies.extend(ports.iter().map(|&port| start_proxy(port)));
        }
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let scheduler_address = format!("{host}:{}", ports[0]);
        let identity = ["--job", "1f", "--secret-file", "secret"];
        let (server_count, worker_count) = (servers.to_string(), workers.to_string());
        let cast = ["--servers", &server_count, "--workers", &worker_count, "--listen", &listen(ports[0])];
        let arguments = [&["scheduler"][..], &identity, &cast, scheduler_arguments].concat();
        let scheduler = scratch.start("scheduler", &mut scratch.command(&arguments));
        let mut nodes = Vec::new();
        for (rank, port) in ports[1..].iter().enumerate() {
            let (listen, rank) = (listen(*port), rank.to_string());
            let own = ["server", "--rank", &rank, "--listen", &listen, "--advertise", host];
            let arguments = [&own[..], &identity, &["--scheduler", &scheduler_address]].concat();
            nodes.push(scratch.start(&format!("server{rank}"), &mut scratch.command(&arguments)));
        }
        for rank in 0..workers {
            let rank = rank.to_string();
            let own = ["worker", "--rank", &rank, "--scheduler", &scheduler_address];
            let arguments = [&own[..], &identity].concat();
            nodes.push(scratch.start(&format!("worker{rank}"), &mut scratch.command(&arguments)));
        }
        Job { scheduler, nodes }
    }

    /// Waits for everybody; the scheduler's outcome and the others'.
    pub(crate) fn wait(self) -> (Outcome, Vec<Outcome>) {
        (self.scheduler.wait(), self.nodes.into_iter().map(Running::wait).collect())
    }
}

#[test]
fn processes_started_one_by_one_train_together() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    scratch.write_secret("secret");
    let train = ["--train", "data.svm", "--test", "data.svm", "--model", "model", "--json", "summary.json"];
    let (scheduler, nodes) = Job::start(&scratch, 2, 2, &train, None).wait();
    scheduler.expect_code(0).expect_quiet();
    for node in &nodes {
        node.expect_code(0).expect_quiet();
        assert_eq!(node.stdout, "");
    }
    assert_eq!(summary(&scratch.path("summary.json"))["examples"], 2000);
    assert!(scratch.path("model").is_file());
    scratch.assert_clean();
}

#[test]
fn a_signal_to_the_scheduler_ends_the_job_in_order() {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    scratch.write_secret("secret");
    let train = ["--train", "data.svm", "--passes", "1000000", "--model", "model"];
    let job = Job::start(&scratch, 2, 2, &train, None);
    std::thread::sleep(Duration::from_millis(1000));
    send_signal(job.scheduler.pid(), "TERM");
    let (scheduler, nodes) = job.wait();
    scheduler.expect_error(143, &["signal 15"]);
    for node in &nodes {
        node.expect_error(143, &["signal 15"]);
    }
    assert!(scratch.path("model").is_file());
    scratch.assert_clean();
}

#[test]
fn a_killed_node_ends_the_job_without_a_launcher_too() {
    for victim in [0, 3] {
        let scratch = Scratch::new();
        scratch.write("data.svm", libsvm(&rows(2000, 1)));
        scratch.write_secret("secret");
        let train = ["--train", "data.svm", "--passes", "1000000", "--model", "model"];
        let mut job = Job::start(&scratch, 2, 2, &train, None);
        std::thread::sleep(Duration::from_millis(1000));
        let victim = job.nodes.remove(victim);
        let begin = std::time::Instant::now();
        send_signal(victim.pid(), "KILL");
        victim.wait();
        let (scheduler, nodes) = job.wait();
        assert!(begin.elapsed() < Duration::from_secs(10), "took {:?}", begin.elapsed());
        let words: &[&str] = &["is lost"];
        scheduler.expect_error(4, words);
        for node in &nodes {
            node.expect_error(4, words);
        }
        scratch.assert_clean();
    }
}
