//! The way in of one connection: a staging buffer for small frames, and one body under way.
//!
//! One large read fills the staging buffer with as many small frames as there are. A body that is
//! not there as a whole gets its block at once; the rest of it is read straight into that block,
//! with a little room behind it for the next header. Behind a large body, and a few small frames,
//! another one is expected: then the read for its header is small, so that little of the body has to
//! be copied from the staging buffer. A header is checked before its body is allocated.

use crate::memory::{Block, RxBuf, copy_counted, move_counted};
use crate::transport::Incoming;
use crate::transport::origin::{Origin, OriginError};
use crate::wire::{HEADER_BYTES, Header, RawHeader, RxFrame, WireError};
use mio::net::TcpStream;
use std::io::{self, IoSliceMut, Read};

const STAGING_BYTES: usize = 64 * 1024;
/// Room behind a body under way: what lands here of the next body has to be copied.
const BEHIND_BODY_BYTES: usize = 2048;
/// A body of more bytes costs more to copy than another read does.
const BULK_BODY_BYTES: usize = 16 * 1024;
/// Small frames behind a large body after which no other one is expected.
const SMALL_FRAMES_MAX: u32 = 8;
/// Reads of one connection before others get their turn.
const READS_PER_TURN: usize = 16;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("closed by the peer")]
    Closed,
    #[error("{0}")]
    Network(#[from] io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Origin(#[from] OriginError),
}

/// Whether a turn found everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The socket is empty: the poller tells when there is more.
    Drained,
    /// More may be there.
    Over,
}

#[derive(Debug)]
struct Body {
    raw: RawHeader,
    header: Header,
    block: Block,
    filled: usize,
}

#[derive(Debug)]
pub(super) struct Receiver {
    staging: Box<[u8]>,
    /// Bytes of `staging` that are not parsed yet.
    begin: usize,
    end: usize,
    /// While a body is under way the staging buffer holds nothing before it.
    body: Option<Body>,
    /// Frames since the latest large body.
    small_frames: u32,
    /// Whether the latest `look` emptied the socket.
    drained: bool,
}

impl Receiver {
    pub(super) fn new() -> Receiver {
        let staging = vec![0; STAGING_BYTES].into_boxed_slice();
        Receiver { staging, begin: 0, end: 0, body: None, small_frames: SMALL_FRAMES_MAX, drained: false }
    }

    /// Takes frames from the stream, at most `frames_max`. `to_the_end` reads until the kernel
    /// says that there is nothing, because the end of the stream is already announced.
    pub(super) fn receive(
        &mut self,
        stream: &TcpStream,
        origin: &Origin<'_>,
        to_the_end: bool,
        incoming: &mut Vec<Incoming>,
        frames_max: usize,
    ) -> Result<Turn, ReceiveError> {
        let incoming_max = incoming.len() + frames_max;
        let mut drained = std::mem::take(&mut self.drained) && !to_the_end;
        for _ in 0..READS_PER_TURN {
            self.parse(origin, incoming, incoming_max)?;
            if incoming.len() >= incoming_max {
                return Ok(Turn::Over);
            }
            if drained {
                return Ok(Turn::Drained);
            }
            // A read that gets less than it asked for has emptied the socket.
            drained = match self.fill(stream) {
                Ok((0, _)) => return Err(ReceiveError::Closed),
                Ok((bytes, asked)) => bytes < asked && !to_the_end,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Turn::Over)
    }

    /// One read of a stream that `receive` has drained, by somebody who has not asked the poller.
    /// Returns whether `receive` has something to do: bytes, or the end.
    pub(super) fn look(&mut self, stream: &TcpStream) -> bool {
        match self.fill(stream) {
            Ok((bytes, asked)) => {
                self.drained = bytes > 0 && bytes < asked;
                true
            }
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// One read into wherever the next bytes belong. Returns the bytes read and the bytes asked for.
    fn fill(&mut self, mut stream: &TcpStream) -> io::Result<(usize, usize)> {
        let Some(body) = &mut self.body else {
            move_counted(&mut self.staging, self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            let expects_bulk = self.small_frames < SMALL_FRAMES_MAX;
            let room_end = if expects_bulk { self.end + BEHIND_BODY_BYTES } else { STAGING_BYTES };
            let room = &mut self.staging[self.end..room_end];
            let asked = room.len();
            let bytes = stream.read(room)?;
            self.end += bytes;
            return Ok((bytes, asked));
        };
        let rest = &mut body.block[body.filled..];
        let (rest_bytes, asked) = (rest.len(), rest.len() + BEHIND_BODY_BYTES);
        let mut slices = [IoSliceMut::new(rest), IoSliceMut::new(&mut self.staging[..BEHIND_BODY_BYTES])];
        let bytes = stream.read_vectored(&mut slices)?;
        body.filled += bytes.min(rest_bytes);
        (self.begin, self.end) = (0, bytes.saturating_sub(rest_bytes));
        Ok((bytes, asked))
    }

    /// Turns what is there into frames.
    fn parse(
        &mut self,
        origin: &Origin<'_>,
        incoming: &mut Vec<Incoming>,
        incoming_max: usize,
    ) -> Result<(), ReceiveError> {
        while incoming.len() < incoming_max {
            if let Some(body) = self.body.take_if(|body| body.filled == body.block.len()) {
                let frame = RxFrame::new(&body.raw, body.header, RxBuf::new(body.block))?;
                incoming.push(Incoming::Frame { from: origin.peer, frame });
                continue;
            }
            if self.body.is_some() || !self.parse_header(origin, incoming)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads the next header, if it is there, and what is there of its body. Returns whether it was.
    fn parse_header(&mut self, origin: &Origin<'_>, incoming: &mut Vec<Incoming>) -> Result<bool, ReceiveError> {
        let staged = &self.staging[self.begin..self.end];
        if staged.len() < HEADER_BYTES {
            return Ok(false);
        }
        let (raw, header) = RxFrame::decode_header(staged)?;
        origin.check(&header)?;
        self.begin += HEADER_BYTES;
        let is_bulk = header.body_bytes() > BULK_BODY_BYTES;
        self.small_frames = if is_bulk { 0 } else { SMALL_FRAMES_MAX.min(self.small_frames + 1) };
        if header.body_bytes() == 0 {
            let frame = RxFrame::new(&raw, header, RxBuf::empty())?;
            incoming.push(Incoming::Frame { from: origin.peer, frame });
            return Ok(true);
        }
        let mut block = origin.pool.block(header.body_bytes());
        let filled = header.body_bytes().min(self.end - self.begin);
        copy_counted(&mut block[..filled], &self.staging[self.begin..self.begin + filled]);
        self.begin += filled;
        self.body = Some(Body { raw, header, block, filled });
        Ok(true)
    }
}
