//! The limit: plain sockets on the same loopback, waiting in the kernel as the product does.

use anyhow::Result;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// A peer that answers every `request_bytes` with `reply_bytes`.
pub(crate) struct RawPeer {
    stream: Option<TcpStream>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl RawPeer {
    /// Starts the peer on a thread of its own.
    pub(crate) fn start(request_bytes: usize, reply_bytes: usize) -> Result<RawPeer> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let (mut request, reply) = (vec![0; request_bytes], vec![0; reply_bytes]);
            while stream.read_exact(&mut request).is_ok() {
                stream.write_all(&reply)?;
            }
            Ok(())
        });
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (request, reply) = (vec![0; request_bytes], vec![0; reply_bytes]);
        Ok(RawPeer { stream: Some(stream), thread: Some(thread), request, reply })
    }

    /// One request and its reply.
    pub(crate) fn round_trip(&mut self) -> Result<()> {
        if let Some(stream) = &mut self.stream {
            stream.write_all(&self.request)?;
            stream.read_exact(&mut self.reply)?;
        }
        Ok(())
    }
}

impl Drop for RawPeer {
    fn drop(&mut self) {
        self.stream = None;
        if let Some(thread) = self.thread.take() {
            // The peer ends with the connection; what it met on the way was seen here as well.
            let _ = thread.join();
        }
    }
}
