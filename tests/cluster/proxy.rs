//! A stand-in for the network between a node and those who dial it: it can break every connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on until the process ends.
pub(crate) struct Proxy {
    /// Near and far side of each connection.
    streams: Arc<Mutex<Vec<[TcpStream; 2]>>>,
}

impl Proxy {
    /// Passes what comes to `from` on to `to`, for every connection.
    pub(crate) fn start(from: SocketAddr, to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind(from).expect("a free address");
        let streams: Arc<Mutex<Vec<[TcpStream; 2]>>> = Arc::default();
        let known = Arc::clone(&streams);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if let Err(error) = join(near, to, &known) {
                    println!("nobody listens at {to}: {error}");
                }
            }
        });
        Proxy { streams }
    }

    /// Breaks every connection that stands; returns how many.
    pub(crate) fn break_connections(&self) -> usize {
        let streams = std::mem::take(&mut *self.streams.lock().expect("no panic"));
        // One that is closed already cannot be broken.
        let cut = |stream: &TcpStream| stream.shutdown(Shutdown::Both).is_ok();
        streams.iter().filter(|[near, far]| cut(near) & cut(far)).count()
    }
}

fn join(near: TcpStream, to: SocketAddr, known: &Mutex<Vec<[TcpStream; 2]>>) -> io::Result<()> {
    let far = TcpStream::connect(to)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    for (source, target) in [(near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?)] {
        std::thread::spawn(move || pump(source, target));
    }
    known.lock().expect("no panic").push([near, far]);
    Ok(())
}

/// Copies until either side is at its end, and ends the other.
fn pump(mut source: TcpStream, mut target: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(bytes) = source.read(&mut buffer) {
        if bytes == 0 || target.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    // Both ends learn that the connection is over.
    let _ = target.shutdown(Shutdown::Both);
    let _ = source.shutdown(Shutdown::Both);
}
