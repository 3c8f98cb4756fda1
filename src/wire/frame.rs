//! Frames: a header and its body, on the way out and on the way in.

use super::dependency::{Dependencies, Dependency};
use super::dtype::DType;
use super::error::WireError;
use super::header::Header;
use super::pieces::Pieces;
use super::raw_header::RawHeader;
use crate::memory::{Landing, RxBuf, TxBuf};
use smallvec::SmallVec;
use zerocopy::{FromBytes, IntoBytes};

/// A frame to send. The buffers are counted views: the sender may keep clones for a retry.
#[derive(Debug, Clone)]
pub struct TxFrame {
    /// The header; lengths and dependency count must match the parts.
    pub header: Header,
    /// Operations that must be applied first.
    pub dependencies: Dependencies,
    /// The key block; empty without keys.
    pub keys: Option<TxBuf>,
    /// The value block; no piece without values.
    pub values: Pieces,
    /// Request: memory of ours into which a fabric that can may write the answer's values. Others ignore it.
    pub landing: Option<Landing>,
    /// Reply: where the request's sender wants the values, as its frame said. Fabrics that did not say so ignore it.
    pub target: Option<Target>,
}

/// Memory of a peer that an answer may be written to; only the fabric that received it knows what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Address of the first byte, in the peer's memory.
    pub address: u64,
    /// The peer's key to that memory.
    pub key: u32,
    /// How many bytes may be written.
    pub bytes: u32,
}

impl TxFrame {
    /// A frame that is a header alone.
    #[must_use]
    pub fn bare(header: Header) -> TxFrame {
        TxFrame::with_values(header, Pieces::new())
    }

    /// A frame of a header and values.
    #[must_use]
    pub fn with_values(header: Header, values: impl Into<Pieces>) -> TxFrame {
        let (dependencies, values) = (Dependencies::new(), values.into());
        TxFrame { header, dependencies, keys: None, values, landing: None, target: None }
    }

    /// The header as it lies on the wire, its checksum over header and body computed here.
    #[must_use]
    pub fn encode_header(&self) -> RawHeader {
        self.header.encode(&self.body_parts())
    }

    /// The body's parts in their order: dependencies and keys, empty or not, then the pieces of the values.
    #[must_use]
    pub fn body_parts(&self) -> SmallVec<[&[u8]; 5]> {
        let first = [self.dependencies.as_slice().as_bytes(), self.keys.as_deref().unwrap_or(&[])];
        first.into_iter().chain(self.values.iter().map(|piece| &**piece)).collect()
    }

    /// Bytes of header and body.
    #[must_use]
    pub fn bytes(&self) -> usize {
        super::HEADER_BYTES + self.header.body_bytes()
    }
}

/// A received frame whose header and checksum are right.
#[derive(Debug)]
pub struct RxFrame {
    /// The header, copied out.
    pub header: Header,
    /// Request: where its sender wants the answer's values; goes into the reply.
    pub target: Option<Target>,
    /// Reply: whether its values were written to the landing of its request. Then the value block is
    /// empty here, and `header.value_bytes` says how many were written.
    pub landed: bool,
    body: RxBuf,
}

/// The parts of a body as views. Keys are there only when no filter packed them.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// Operations that must be applied first.
    pub dependencies: &'a [Dependency],
    /// The key block as keys.
    pub keys: &'a [u64],
    /// The value block.
    pub values: &'a [u8],
}

impl RxFrame {
    /// Checks a received body against its header. The body must start on an 8-byte border, as
    /// every buffer of [`crate::memory`] does.
    ///
    /// # Errors
    /// When the body's length is not what the header says or the checksum is wrong.
    pub fn new(raw: &RawHeader, header: Header, body: RxBuf) -> Result<RxFrame, WireError> {
        if body.len() != header.body_bytes() {
            let (bytes, limit) = (body.len() as u64, header.body_bytes() as u64);
            return Err(WireError::Length { what: "body", bytes, limit });
        }
        raw.check(&body)?;
        Ok(RxFrame { header, target: None, landed: false, body })
    }

    /// As [`new`](Self::new), for a fabric that guards bodies itself: the checksum is over the header alone,
    /// as [`Header::encode`] without body makes it, and the fabric has [checked](RawHeader::check) it.
    ///
    /// # Errors
    /// When the body's length is not what the header says.
    #[inline]
    pub fn linked(header: Header, body: RxBuf) -> Result<RxFrame, WireError> {
        RxFrame::of_link(header, body, false)
    }

    /// As [`linked`](Self::linked), for a reply whose values lie in the landing of its request: `body` is
    /// what comes before them.
    ///
    /// # Errors
    /// As [`linked`](Self::linked).
    pub fn linked_landed(header: Header, body: RxBuf) -> Result<RxFrame, WireError> {
        RxFrame::of_link(header, body, true)
    }

    #[inline]
    fn of_link(header: Header, body: RxBuf, landed: bool) -> Result<RxFrame, WireError> {
        let landed_bytes = if landed { header.value_bytes as usize } else { 0 };
        let expected = header.body_bytes() - landed_bytes;
        if body.len() != expected {
            let (bytes, limit) = (body.len() as u64, expected as u64);
            return Err(WireError::Length { what: "body", bytes, limit });
        }
        Ok(RxFrame { header, target: None, landed, body })
    }

    /// Decodes a frame from contiguous bytes that start with the header, copying the body into
    /// `body`'s memory is the caller's business.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn decode_header(bytes: &[u8]) -> Result<(RawHeader, Header), WireError> {
        let (raw, _) = RawHeader::read_from_prefix(bytes).map_err(|_| WireError::Length {
            what: "header",
            bytes: bytes.len() as u64,
            limit: super::HEADER_BYTES as u64,
        })?;
        let header = raw.decode()?;
        Ok((raw, header))
    }

    /// The body's parts as views.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        let dependency_bytes = usize::from(self.header.dependency_count) * std::mem::size_of::<Dependency>();
        let key_end = dependency_bytes + self.header.key_bytes as usize;
        Body {
            dependencies: self.body.typed(0..dependency_bytes),
            keys: self.body.typed(dependency_bytes..key_end),
            values: &self.body[key_end..],
        }
    }

    /// The value block as numbers.
    ///
    /// # Errors
    /// When its length is not a whole number of `T`.
    pub fn values<T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout>(&self) -> Result<&[T], WireError> {
        let values = self.body().values;
        if values.is_empty() {
            // Bytes that are not there have no address that could be aligned.
            return Ok(&[]);
        }
        <[T]>::ref_from_bytes(values).map_err(|_| WireError::Length {
            what: "value block",
            bytes: values.len() as u64,
            limit: (values.len() / std::mem::size_of::<T>() * std::mem::size_of::<T>()) as u64,
        })
    }

    /// Gives the body back.
    #[must_use]
    pub fn into_body(self) -> RxBuf {
        self.body
    }

    /// Bytes of header and body, those that landed included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        super::HEADER_BYTES + self.header.body_bytes()
    }

    /// Whether dtype and width are these.
    #[must_use]
    pub fn has_shape(&self, dtype: DType, width: u16) -> bool {
        self.header.dtype == dtype && self.header.width == width
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Kind};
    use super::*;
    use crate::id::{NodeId, Timestamp};
    use crate::keyspace::KeyRange;
    use crate::memory::Pool;

    #[test]
    fn a_frame_gives_its_parts_as_views() {
        let mut header = Header::new(Kind::Push, NodeId::worker(0));
        (header.key_count, header.key_bytes, header.value_bytes, header.dependency_count) = (2, 16, 8, 1);
        let frame = TxFrame {
            header,
            dependencies: Dependencies::from_slice(&[Dependency::new(Timestamp(9), KeyRange::new(1, 5))]),
            keys: Some(TxBuf::from_vec(vec![3u64, 8])),
            values: [TxBuf::from_vec(vec![1.0f32]), TxBuf::from_vec(vec![-1.0f32])].into_iter().collect(),
            ..TxFrame::bare(header)
        };
        let raw = frame.encode_header();
        let mut block = Pool::unbounded().block(frame.header.body_bytes());
        block.copy_from_slice(&frame.body_parts().concat());
        let received = RxFrame::new(&raw, header, RxBuf::new(block)).expect("an undamaged frame");
        assert_eq!(received.body().keys, &[3, 8]);
        assert_eq!(received.values::<f32>().expect("two numbers"), &[1.0, -1.0]);
        assert_eq!(received.body().dependencies[0].range(), KeyRange::new(1, 5));
    }

    #[test]
    fn an_empty_value_block_is_no_numbers_of_any_type() {
        let bare = TxFrame::bare(Header::new(Kind::EndOfTime, NodeId::worker(0)));
        let frame = RxFrame::new(&bare.encode_header(), bare.header, RxBuf::empty()).expect("an undamaged frame");
        assert_eq!(frame.values::<f32>(), Ok(&[][..]));
        assert_eq!(frame.values::<f64>(), Ok(&[][..]));
    }

    #[test]
    fn a_linked_frame_has_the_body_that_its_header_says() {
        let mut header = Header::new(Kind::PullReply, NodeId::server(0, 0));
        header.value_bytes = 8;
        let body = || RxBuf::new(Pool::unbounded().block(8));
        let frame = RxFrame::linked(header, body()).expect("its length");
        assert_eq!((frame.landed, frame.body().values.len()), (false, 8));
        let frame = RxFrame::linked_landed(header, RxBuf::empty()).expect("values that lie elsewhere");
        assert_eq!((frame.landed, frame.body().values.len(), frame.bytes()), (true, 0, 136));
        assert!(matches!(RxFrame::linked_landed(header, body()), Err(WireError::Length { .. })));
        assert!(matches!(RxFrame::linked(header, RxBuf::empty()), Err(WireError::Length { .. })));
    }
}
