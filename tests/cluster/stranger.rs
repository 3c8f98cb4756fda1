//! Those who do not belong to a job try to take part in it.

use crate::rows::{libsvm, rows};
use crate::scratch::{Running, Scratch, send_signal};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// More than a listener lets wait for their proof at a time.
const SILENT_CONNECTIONS: usize = 80;

fn endless(scratch: &Scratch) -> Running {
    scratch.write("data.svm", libsvm(&rows(2000, 1)));
    let command = ["train", "--train", "data.svm", "--workers", "2", "--passes", "1000000", "--model", "model"];
    scratch.start("job", &mut scratch.command(&command))
}

/// Ports on which the processes of the job listen.
fn listening_ports(scratch: &Scratch) -> BTreeSet<u16> {
    let links = scratch.processes().into_iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter());
    let targets = links.flatten().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets: BTreeSet<String> = targets
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").expect("proc");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening = rows.filter(|row| row[3] == "0A" && sockets.contains(row[9]));
    listening.map(|row| u16::from_str_radix(&row[1][row[1].len() - 4..], 16).expect("a port")).collect()
}

fn end_in_order(scratch: &Scratch, running: Running) {
    send_signal(running.pid(), "TERM");
    running.wait().expect_code(143);
    assert!(scratch.path("model").is_file());
    scratch.assert_clean();
}

#[test]
fn garbage_and_silence_on_every_port_do_not_hurt_the_job() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    scratch.await_address();
    std::thread::sleep(Duration::from_millis(500));
    let ports = listening_ports(&scratch);
    assert_eq!(ports.len(), 2, "scheduler and server listen");
    let mut silent = Vec::new();
    for port in ports {
        let connect = || TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[0xff; 65536], b"PSHH"] {
            let mut stream = connect();
            // The other side may close before it has read everything.
            let _ = stream.write_all(noise);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
            let _ = stream.read(&mut [0; 256]);
        }
        silent.extend((0..SILENT_CONNECTIONS).map(|_| connect()));
    }
    std::thread::sleep(Duration::from_millis(500));
    end_in_order(&scratch, running);
}

#[test]
fn a_worker_without_the_secret_is_refused_and_the_job_goes_on() {
    let scratch = Scratch::new();
    let running = endless(&scratch);
    let address = scratch.await_address();
    let dir = scratch.job_dir().expect("the job's folder");
    let job = fs::read_to_string(dir.join("job")).expect("the job's id");
    let secret = dir.join("secret").display().to_string();
    scratch.write_secret("wrong");
    let node = |role: &'static str, job: &str, secret: &str| {
        let arguments = [role, "--rank", "0", "--job", job, "--secret-file", secret, "--scheduler", &address];
        scratch.start("stranger", &mut scratch.command(&arguments)).wait()
    };
    for role in ["worker", "server"] {
        let outcome = node(role, job.trim(), "wrong");
        assert!(outcome.only_error().contains("secret"), "{}", outcome.stderr);
        assert_ne!(outcome.status.code(), Some(0));
        let outcome = node(role, "77", &secret);
        assert!(outcome.only_error().contains("job"), "{}", outcome.stderr);
        assert_ne!(outcome.status.code(), Some(0));
    }
    end_in_order(&scratch, running);
}
