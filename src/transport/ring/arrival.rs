//! From memory that a peer can write to a frame that it cannot.
//!
//! The header is copied out first and checked as a copy; the body is copied, counted, into a block of
//! the receiver's pool, or to where an answer's values are wanted. No reference into the ring is made, and
//! nothing is read from it twice.

use super::super::origin::{Origin, OriginError};
use crate::memory::{Landing, Pool, RxBuf, SharedBytes};
use crate::wire::{HEADER_BYTES, Header, RawHeader, RxFrame, WireError};
use std::sync::Arc;

/// Bytes in a ring that are no frame of the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::transport) enum ArrivalError {
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Origin(#[from] OriginError),
}

/// Copies a frame out of `message`, which begins with its header; the body follows at once, and both lie inside.
#[inline]
pub(in crate::transport) fn arrive(message: SharedBytes<'_>, origin: &Origin<'_>) -> Result<RxFrame, ArrivalError> {
    let header = arrive_header(message, origin)?;
    arrive_body(message.behind(HEADER_BYTES), header, origin.pool)
}

/// Copies the body of a header out that was checked; it stands at the start of `room`.
#[inline]
pub(in crate::transport) fn arrive_body(
    room: SharedBytes<'_>,
    header: Header,
    pool: &Arc<Pool>,
) -> Result<RxFrame, ArrivalError> {
    let body = match body_bytes(room, &header)? {
        0 => RxBuf::empty(),
        bytes => {
            let mut block = pool.block(bytes);
            room.copy_out_counted(0, &mut block);
            RxBuf::new(block)
        }
    };
    Ok(RxFrame::linked(header, body)?)
}

/// As [`arrive_body`], for an answer that is values alone, of at most as many bytes as the landing has: they
/// go there.
pub(in crate::transport) fn arrive_landing(
    room: SharedBytes<'_>,
    header: Header,
    landing: &Landing,
) -> Result<RxFrame, ArrivalError> {
    let bytes = body_bytes(room, &header)?;
    room.copy_to_counted(0, landing.as_shared().part(0, bytes));
    Ok(RxFrame::linked_landed(header, RxBuf::empty())?)
}

/// Bytes of the body, all of which lie in `room`.
#[inline]
fn body_bytes(room: SharedBytes<'_>, header: &Header) -> Result<usize, WireError> {
    let (bytes, room) = (header.body_bytes(), room.len());
    if bytes > room {
        return Err(WireError::Length { what: "body", bytes: bytes as u64, limit: room as u64 });
    }
    Ok(bytes)
}

/// Copies the header at the start of `message` out and checks everything that needs no body.
#[inline]
pub(in crate::transport) fn arrive_header(
    message: SharedBytes<'_>,
    origin: &Origin<'_>,
) -> Result<Header, ArrivalError> {
    if message.len() < HEADER_BYTES {
        let (bytes, limit) = (message.len() as u64, HEADER_BYTES as u64);
        return Err(WireError::Length { what: "header", bytes, limit }.into());
    }
    let raw: RawHeader = message.read(0);
    let header = raw.decode()?;
    raw.check(&[])?;
    origin.check(&header)?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::super::memory::RingMemory;
    use super::*;
    use crate::id::{JobId, NodeId};
    use crate::memory::Pool;
    use crate::wire::Kind;
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    const PEER: NodeId = NodeId::worker(3);
    const JOB: JobId = JobId(5);

    fn header(value_bytes: u32) -> Header {
        Header { job: JOB, value_bytes, ..Header::new(Kind::Push, PEER) }
    }

    fn arrived(bytes: &[u8], room: usize) -> Result<RxFrame, ArrivalError> {
        let memory = RingMemory::anonymous(4096).expect("memory");
        let pool = Pool::unbounded();
        memory.shared().copy_in_counted(0, bytes);
        arrive(memory.shared().part(0, room), &Origin { job: JOB, peer: PEER, pool: &pool })
    }

    fn message(header: &Header, body: &[u8]) -> Vec<u8> {
        [header.encode(&[]).as_bytes(), body].concat()
    }

    #[test]
    fn a_frame_is_copied_out_with_its_body() {
        let frame = arrived(&message(&header(8), &[7; 8]), HEADER_BYTES + 8).expect("a whole frame");
        assert_eq!((frame.header, frame.body().values), (header(8), &[7; 8][..]));
    }

    #[test]
    fn a_body_that_is_said_to_be_longer_than_its_slot_is_refused() {
        let error = arrived(&message(&header(9), &[7; 9]), HEADER_BYTES + 8).expect_err("a byte too many");
        assert!(matches!(error, ArrivalError::Wire(WireError::Length { what: "body", bytes: 9, limit: 8 })), "{error}");
        assert!(arrived(&message(&header(0), &[]), HEADER_BYTES - 1).is_err());
    }

    #[test]
    fn a_frame_in_another_name_or_job_is_refused() {
        for wrong in [Header { source: NodeId::worker(1), ..header(0) }, Header { job: JobId(1), ..header(0) }] {
            let error = arrived(&message(&wrong, &[]), HEADER_BYTES).expect_err("not the peer's");
            assert!(matches!(error, ArrivalError::Origin(_)), "{error}");
        }
    }

    proptest! {
        #[test]
        fn damaged_headers_are_errors(place in 0..HEADER_BYTES, bit in 0..8) {
            let mut bytes = message(&header(8), &[7; 8]);
            bytes[place] ^= 1u8 << bit;
            prop_assert!(arrived(&bytes, HEADER_BYTES + 8).is_err());
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = arrived(&bytes, bytes.len());
        }
    }
}
