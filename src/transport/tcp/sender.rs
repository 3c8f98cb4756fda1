//! The way out of one connection: two queues and a batch that is being written.
//!
//! Small and control frames go first, but every batch takes a bulk frame along, so that neither
//! waits for ever. A frame's buffers are let go when the kernel has taken its last byte.

use crate::wire::{HEADER_BYTES, Kind, RawHeader, TxFrame};
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use zerocopy::IntoBytes;

/// Frames with a body of at most this many bytes overtake larger ones.
const SMALL_BODY_BYTES: usize = 4096;
/// Bytes put into the batch before it is written: what overtakes has to wait for this much.
const BATCH_BYTES: usize = 256 * 1024;
/// Parts of one vectored write.
const SLICE_COUNT: usize = 128;
/// Bytes written in one go before others get their turn.
const WRITE_TURN_BYTES: usize = 4 << 20;

/// How far a write got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing is queued any more.
    All,
    /// The kernel takes no more for now.
    Blocked,
    /// The turn is over.
    Turn,
}

#[derive(Debug, Default)]
pub(super) struct Sender {
    urgent: VecDeque<TxFrame>,
    bulk: VecDeque<TxFrame>,
    /// Frames with their headers as bytes, in the order of the wire.
    batch: VecDeque<(RawHeader, TxFrame)>,
    batch_bytes: usize,
    /// Bytes of the batch's first frame that the kernel has.
    first_written: usize,
    queued_bytes: usize,
}

impl Sender {
    pub(super) fn push(&mut self, frame: TxFrame) {
        self.queued_bytes += frame.bytes();
        if frame.header.kind == Kind::Control || frame.header.body_bytes() <= SMALL_BODY_BYTES {
            self.urgent.push_back(frame);
        } else {
            self.bulk.push_back(frame);
        }
    }

    /// Bytes that the kernel has not taken yet.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        *self = Sender::default();
    }

    /// Writes as much as the kernel takes, in one turn.
    pub(super) fn write(&mut self, mut stream: &TcpStream) -> io::Result<Written> {
        let mut turn_bytes = 0;
        while turn_bytes < WRITE_TURN_BYTES {
            self.fill_batch();
            if self.batch.is_empty() {
                return Ok(Written::All);
            }
            match self.write_batch(&mut stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    turn_bytes += bytes;
                    self.let_go(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if self.queued_bytes == 0 { Written::All } else { Written::Turn })
    }

    fn fill_batch(&mut self) {
        while self.batch_bytes < BATCH_BYTES
            && let Some(frame) = self.urgent.pop_front()
        {
            self.batch_frame(frame);
        }
        // One bulk frame goes along even when small ones fill the batch.
        let mut due = self.batch.iter().all(|(_, frame)| frame.header.body_bytes() <= SMALL_BODY_BYTES);
        while (due || self.batch_bytes < BATCH_BYTES)
            && let Some(frame) = self.bulk.pop_front()
        {
            self.batch_frame(frame);
            due = false;
        }
    }

    fn batch_frame(&mut self, frame: TxFrame) {
        debug_assert_eq!(
            frame.body_parts().iter().map(|part| part.len()).sum::<usize>(),
            frame.header.body_bytes(),
            "the header's lengths must match the parts"
        );
        self.batch_bytes += frame.bytes();
        self.batch.push_back((frame.encode_header(), frame));
    }

    fn write_batch(&self, stream: &mut &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICE_COUNT];
        let mut count = 0;
        let mut skip = self.first_written;
        'frames: for (raw, frame) in &self.batch {
            for part in std::iter::once(raw.as_bytes()).chain(frame.body_parts()) {
                let skipped = skip.min(part.len());
                skip -= skipped;
                if skipped == part.len() {
                    continue;
                }
                if count == SLICE_COUNT {
                    break 'frames;
                }
                slices[count] = IoSlice::new(&part[skipped..]);
                count += 1;
            }
        }
        stream.write_vectored(&slices[..count])
    }

    /// Drops the frames that are in the kernel as a whole.
    fn let_go(&mut self, bytes: usize) {
        self.queued_bytes -= bytes;
        self.first_written += bytes;
        while let Some((_, frame)) = self.batch.front()
            && frame.bytes() <= self.first_written
        {
            self.first_written -= frame.bytes();
            self.batch_bytes -= frame.bytes();
            self.batch.pop_front();
        }
    }
}

const _: () = assert!(BATCH_BYTES >= SLICE_COUNT * HEADER_BYTES);
