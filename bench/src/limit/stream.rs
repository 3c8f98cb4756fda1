//! One plain TCP stream over loopback, from the client's core to the server's.

use crate::pin::Placement;
use anyhow::{Result, anyhow};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Bytes of one write and of one read; what iperf3 takes.
const CHUNK_BYTES: usize = 128 * 1024;

/// GB/s that the reader saw within `time`.
pub(crate) fn stream_gb_per_s(placement: &Placement, time: Duration) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let reader = placement.start_on_server(|| Ok(std::thread::spawn(move || drain(&listener))))?;
    let mut stream = TcpStream::connect(address)?;
    let chunk = vec![7; CHUNK_BYTES];
    let begin = Instant::now();
    while begin.elapsed() < time {
        stream.write_all(&chunk)?;
    }
    drop(stream);
    Ok(reader.join().map_err(|_| anyhow!("the reader of the raw stream broke an invariant"))??)
}

/// Reads to the end; bytes a nanosecond since the first.
fn drain(listener: &TcpListener) -> io::Result<f64> {
    let (mut stream, _) = listener.accept()?;
    let mut chunk = vec![0; CHUNK_BYTES];
    stream.read_exact(&mut chunk[..1])?;
    let (begin, mut total) = (Instant::now(), 0);
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(total as f64 / begin.elapsed().as_nanos() as f64),
            bytes => total += bytes,
        }
    }
}
