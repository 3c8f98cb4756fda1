//! The fixed header as it lies on the wire: 128 bytes, little-endian, the same on every fabric.

use super::dtype::DType;
use super::error::WireError;
use super::filter_flags::FilterFlags;
use super::header::{Flags, Header, Kind, Status};
use crate::id::{Epoch, Generation, Incarnation, JobId, NodeId, TableId, Term, Time, Timestamp, WriterId};
use crate::keyspace::KeyRange;
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `PSHD` in a little-endian dump.
pub const MAGIC: u32 = u32::from_le_bytes(*b"PSHD");
/// Changes with every change of the header, of a control message, or of what stands before a header in a ring.
pub const PROTOCOL_VERSION: u16 = 6;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 128;

/// The header as it lies on the wire.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RawHeader {
    magic: U32,
    version: U16,
    kind: u8,
    status: u8,
    job: U64,
    incarnation: U64,
    generation: U32,
    term: U32,
    epoch: U32,
    table: U16,
    width: U16,
    writer: U32,
    time: U32,
    timestamp: U64,
    settled: U64,
    range_begin: U64,
    range_end: U64,
    key_count: U32,
    key_bytes: U32,
    value_bytes: U32,
    dependency_count: U16,
    filter_flags: U16,
    dtype: u8,
    flags: u8,
    reserved: U16,
    slice_count: U32,
    source: U32,
    digest: [u8; 16],
    checksum: U32,
}

const _: () = assert!(std::mem::size_of::<RawHeader>() == HEADER_BYTES);

impl Header {
    /// The header as it lies on the wire, with the checksum over itself and the body's parts.
    #[must_use]
    #[inline]
    pub fn encode(&self, body: &[&[u8]]) -> RawHeader {
        let mut raw = RawHeader {
            magic: U32::new(MAGIC),
            version: U16::new(PROTOCOL_VERSION),
            kind: self.kind as u8,
            status: self.status as u8,
            job: U64::new(self.job.0),
            incarnation: U64::new(self.incarnation.0),
            generation: U32::new(self.generation.0),
            term: U32::new(self.term.0),
            epoch: U32::new(self.epoch.0),
            table: U16::new(self.table.0),
            width: U16::new(self.width),
            writer: U32::new(self.writer.0),
            time: U32::new(self.time.0),
            timestamp: U64::new(self.timestamp.0),
            settled: U64::new(self.settled.0),
            range_begin: U64::new(self.range.begin),
            range_end: U64::new(self.range.end),
            key_count: U32::new(self.key_count),
            key_bytes: U32::new(self.key_bytes),
            value_bytes: U32::new(self.value_bytes),
            dependency_count: U16::new(self.dependency_count),
            filter_flags: U16::new(self.filter_flags.0),
            dtype: self.dtype as u8,
            flags: self.flags.0,
            reserved: U16::ZERO,
            slice_count: U32::new(self.slice_count),
            source: U32::new(self.source.0),
            digest: self.digest.to_le_bytes(),
            checksum: U32::ZERO,
        };
        raw.checksum = U32::new(raw.checksum_with(body));
        raw
    }
}

impl RawHeader {
    /// Decodes and checks everything that needs no body: magic, version, fields, lengths.
    ///
    /// # Errors
    /// Says which field is wrong; see [`WireError`].
    #[inline]
    pub fn decode(&self) -> Result<Header, WireError> {
        if self.magic.get() != MAGIC {
            return Err(WireError::Magic(self.magic.get()));
        }
        if self.version.get() != PROTOCOL_VERSION {
            return Err(WireError::Version { theirs: self.version.get(), ours: PROTOCOL_VERSION });
        }
        let unknown = |field, number: u8| WireError::Field { field, number: u64::from(number) };
        let header = Header {
            kind: kind_of(self.kind).ok_or(unknown("kind", self.kind))?,
            status: status_of(self.status).ok_or(unknown("status", self.status))?,
            flags: Flags(self.flags),
            dtype: DType::from_wire(self.dtype).ok_or(unknown("dtype", self.dtype))?,
            width: self.width.get(),
            job: JobId(self.job.get()),
            generation: Generation(self.generation.get()),
            source: NodeId(self.source.get()),
            incarnation: Incarnation(self.incarnation.get()),
            term: Term(self.term.get()),
            epoch: Epoch(self.epoch.get()),
            table: TableId(self.table.get()),
            writer: WriterId(self.writer.get()),
            timestamp: Timestamp(self.timestamp.get()),
            settled: Timestamp(self.settled.get()),
            time: Time(self.time.get()),
            range: KeyRange::new(self.range_begin.get(), self.range_end.get()),
            key_count: self.key_count.get(),
            slice_count: self.slice_count.get(),
            key_bytes: self.key_bytes.get(),
            value_bytes: self.value_bytes.get(),
            dependency_count: self.dependency_count.get(),
            filter_flags: FilterFlags(self.filter_flags.get()),
            digest: u128::from_le_bytes(self.digest),
        };
        header.check_lengths()?;
        Ok(header)
    }

    /// Compares the checksum with header and body.
    ///
    /// # Errors
    /// [`WireError::Checksum`] when they differ.
    #[inline]
    pub fn check(&self, body: &[u8]) -> Result<(), WireError> {
        let computed = self.checksum_with(&[body]);
        let found = self.checksum.get();
        if found == computed { Ok(()) } else { Err(WireError::Checksum { found, computed }) }
    }

    /// The lower half of the header's XXH3, and the CRC-32 of the body, added without carry. A header is short:
    /// XXH3 takes a fraction of the time there, which small frames feel; a body is as fast either way.
    fn checksum_with(&self, body: &[&[u8]]) -> u32 {
        let of_header = xxh3_64(&self.as_bytes()[..HEADER_BYTES - 4]) as u32;
        if body.iter().all(|part| part.is_empty()) {
            return of_header;
        }
        let mut of_body = crc32fast::Hasher::new();
        body.iter().for_each(|part| of_body.update(part));
        of_header ^ of_body.finalize()
    }
}

fn kind_of(number: u8) -> Option<Kind> {
    Some(match number {
        1 => Kind::Push,
        2 => Kind::Pull,
        3 => Kind::EndOfTime,
        4 => Kind::PushReply,
        5 => Kind::PullReply,
        6 => Kind::EndOfTimeReply,
        7 => Kind::Control,
        8 => Kind::Setup,
        9 => Kind::Call,
        10 => Kind::CallReply,
        _ => return None,
    })
}

fn status_of(number: u8) -> Option<Status> {
    Some(match number {
        0 => Status::Ok,
        1 => Status::Moved,
        2 => Status::NeedKeys,
        3 => Status::Busy,
        4 => Status::Error,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Header {
        let mut header = Header::new(Kind::Push, NodeId::worker(3));
        header.job = JobId(0x1122_3344_5566_7788);
        header.timestamp = Timestamp(41);
        header.range = KeyRange::new(10, 90);
        header.key_count = 2;
        header.key_bytes = 16;
        header.value_bytes = 8;
        header.digest = u128::MAX - 5;
        header
    }

    #[test]
    fn a_header_survives_the_wire() {
        let raw = example().encode(&[&[1; 16], &[2; 8]]);
        assert_eq!(raw.decode(), Ok(example()));
        let body: Vec<u8> = [[1; 16].as_slice(), &[2; 8]].concat();
        assert_eq!(raw.check(&body), Ok(()));
    }

    #[test]
    fn the_kinds_are_those_of_the_enum_and_no_others() {
        let kinds = |header: &RawHeader, kind| RawHeader { kind, ..*header }.decode().map(|header| header.kind as u8);
        let raw = example().encode(&[]);
        for kind in 0..=u8::MAX {
            let expected = match kind {
                1..=10 => Ok(kind),
                _ => Err(WireError::Field { field: "kind", number: u64::from(kind) }),
            };
            assert_eq!(kinds(&raw, kind), expected);
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_header_and_of_the_whole_body() {
        let raw = example().encode(&[&[1; 16], &[2; 8]]);
        let body = [[1; 16].as_slice(), &[2; 8]].concat();
        let of_header = xxh3_64(&raw.as_bytes()[..124]) as u32;
        assert_eq!(raw.checksum.get(), of_header ^ crc32fast::hash(&body));
        assert_eq!(example().encode(&[]).checksum.get(), of_header, "without a body");
    }

    #[test]
    fn any_changed_byte_of_header_or_body_is_found() {
        let body = [7u8; 24];
        let raw = example().encode(&[&body]);
        for place in 0..HEADER_BYTES {
            let mut bytes: [u8; HEADER_BYTES] = raw.as_bytes().try_into().expect("size of the header");
            bytes[place] ^= 0x20;
            let damaged = RawHeader::read_from_bytes(&bytes).expect("size of the header");
            assert!(damaged.decode().and_then(|_| damaged.check(&body)).is_err(), "byte {place} went unnoticed");
        }
        let mut damaged_body = body;
        damaged_body[11] ^= 1;
        assert!(matches!(raw.check(&damaged_body), Err(WireError::Checksum { .. })));
    }

    #[test]
    fn an_oversized_length_names_the_limit() {
        let mut header = example();
        header.value_bytes = u32::MAX;
        let error = header.encode(&[]).decode().expect_err("four gigabytes");
        assert!(error.to_string().contains("limit 1048576"), "{error}");
    }
}
