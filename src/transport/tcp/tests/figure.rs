//! Figures for the record, beside raw sockets under the same load; no verdict.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const TRIPS: usize = 20_000;
/// Frames between two waits for the other side.
const BURST: usize = 32;
const BURSTS: usize = 32;
const SIZES: [usize; 2] = [256 << 10, 1 << 20];

#[test]
#[ignore = "figures, not a verdict: run with --release -- --ignored --nocapture"]
fn round_trips_and_streams_beside_raw_sockets() {
    raw();
    frames();
}

fn print_trips(name: &str, mut trip: impl FnMut()) {
    let mut trips: Vec<Duration> = (0..TRIPS)
        .map(|_| {
            let begin = Instant::now();
            trip();
            begin.elapsed()
        })
        .collect();
    trips.sort_unstable();
    println!("{name}: round trip p50 {:?} p99 {:?}", trips[TRIPS / 2], trips[TRIPS * 99 / 100]);
}

fn print_stream(name: &str, size: usize, mut burst: impl FnMut()) {
    let begin = Instant::now();
    (0..BURSTS).for_each(|_| burst());
    let bytes = (BURSTS * BURST * size) as f64;
    println!("{name}: {} KiB at {:.2} GB/s", size >> 10, bytes / begin.elapsed().as_secs_f64() / 1e9);
}

fn raw() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let mut near = TcpStream::connect(listener.local_addr().expect("bound")).expect("listens");
    let (mut far, _) = listener.accept().expect("dialled");
    near.set_nodelay(true).expect("a socket");
    far.set_nodelay(true).expect("a socket");
    let echo = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..TRIPS {
            far.read_exact(&mut buffer[..140]).expect("open");
            far.write_all(&buffer[..128]).expect("open");
        }
        for size in SIZES {
            for _ in 0..BURSTS {
                (0..BURST).for_each(|_| far.read_exact(&mut buffer[..size]).expect("open"));
                far.write_all(&[1]).expect("open");
            }
        }
    });
    let mut buffer = vec![0; 1 << 20];
    print_trips("raw", || {
        near.write_all(&buffer[..140]).expect("open");
        near.read_exact(&mut buffer[..128]).expect("open");
    });
    for size in SIZES {
        print_stream("raw", size, || {
            (0..BURST).for_each(|_| near.write_all(&buffer[..size]).expect("open"));
            near.read_exact(&mut buffer[..1]).expect("open");
        });
    }
    echo.join().expect("no panic");
}

fn frames() {
    let mut server = open(config(SERVER, 1));
    let address = address(&server);
    let begin = Instant::now();
    let echo = std::thread::spawn(move || {
        let (mut incoming, mut replies, mut count) = (Vec::new(), Vec::new(), 0);
        while count < TRIPS + SIZES.len() * BURSTS * BURST {
            let now = Nanos(0).after(begin.elapsed());
            let more = server.rx_burst(now, &mut incoming, 256);
            for frame in incoming.drain(..).filter(|incoming| matches!(incoming, Incoming::Frame { .. })) {
                drop(frame);
                count += 1;
                let mut header = Header::new(Kind::PushReply, SERVER);
                header.job = JOB;
                replies.push(TxFrame::bare(header));
            }
            server.tx_burst(now, WORKER, &mut replies);
            server.flush(now);
            if !more {
                server.wait(Some(Duration::from_millis(50))).expect("a poller");
            }
        }
    });
    let mut worker = open(config(WORKER, 1));
    worker.connect(Nanos(0), SERVER, &address);
    let mut incoming = Vec::new();
    let mut exchange = |frames: &mut Vec<TxFrame>, replies: usize| {
        let now = Nanos(0).after(begin.elapsed());
        worker.tx_burst(now, SERVER, frames);
        worker.flush(now);
        while incoming.len() < replies {
            let now = Nanos(0).after(begin.elapsed());
            if !worker.rx_burst(now, &mut incoming, 256) && incoming.len() < replies {
                worker.wait(Some(Duration::from_millis(50))).expect("a poller");
            }
        }
        incoming.clear();
    };
    exchange(&mut Vec::new(), 1);
    let small = frame(WORKER, 1, 1, 4);
    print_trips("one key", || exchange(&mut vec![small.clone()], 1));
    for size in SIZES {
        let bulk = frame(WORKER, 2, 0, size);
        print_stream("frames", size, || exchange(&mut vec![bulk.clone(); BURST], BURST));
    }
    echo.join().expect("no panic");
}
