//! Round trips of plain sockets on loopback.

use crate::options::Wait;
use crate::pin::Placement;
use anyhow::Result;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Instant;

/// Bytes of a ball.
const BALL_BYTES: usize = 64;

/// A peer on the server's core that sends every ball back. It ends with the connection.
pub(crate) struct PingPong {
    stream: Option<TcpStream>,
    wait: Wait,
    peer: Option<JoinHandle<io::Result<()>>>,
}

impl PingPong {
    pub(crate) fn start(placement: &Placement, wait: Wait) -> Result<PingPong> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let peer = placement.start_on_server(|| Ok(std::thread::spawn(move || answer(&listener, wait))))?;
        let stream = TcpStream::connect(address)?;
        prepare(&stream, wait)?;
        Ok(PingPong { stream: Some(stream), wait, peer: Some(peer) })
    }

    /// There and back.
    pub(crate) fn trip(&mut self) -> Result<()> {
        let mut ball = [7; BALL_BYTES];
        if let Some(stream) = &mut self.stream {
            stream.write_all(&ball)?;
            receive(stream, self.wait, &mut ball)?;
        }
        Ok(())
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        self.stream = None;
        if let Some(peer) = self.peer.take() {
            // What the peer met on the way was seen here as well.
            let _ = peer.join();
        }
    }
}

fn answer(listener: &TcpListener, wait: Wait) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    prepare(&stream, wait)?;
    let mut ball = [0; BALL_BYTES];
    loop {
        match receive(&mut stream, wait, &mut ball) {
            Ok(()) => stream.write_all(&ball)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn prepare(stream: &TcpStream, wait: Wait) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(wait == Wait::Spin)
}

/// Spinning looks again and again; after [`Wait::spin`] without a ball it sleeps until the next one, as
/// a node does, so that a peer that is not measured leaves its core to the others altogether.
fn receive(stream: &mut TcpStream, wait: Wait, ball: &mut [u8]) -> io::Result<()> {
    if wait == Wait::Block {
        return stream.read_exact(ball);
    }
    let (mut filled, mut looks, begin) = (0, 0u32, Instant::now());
    while filled < ball.len() {
        match stream.read(&mut ball[filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => filled += bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                std::hint::spin_loop();
                looks = looks.wrapping_add(1);
                // The clock is not read at each look.
                if looks.is_multiple_of(256) && begin.elapsed() > wait.spin() {
                    stream.set_nonblocking(false)?;
                    let slept = stream.read(&mut ball[filled..]);
                    stream.set_nonblocking(true)?;
                    match slept? {
                        0 => return Err(ErrorKind::UnexpectedEof.into()),
                        bytes => filled += bytes,
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
