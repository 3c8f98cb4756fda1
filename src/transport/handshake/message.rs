//! The handshake's messages as they lie on the wire, little-endian.

use crate::wire::PROTOCOL_VERSION;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a hello.
pub const HELLO_BYTES: usize = 72;
/// Bytes of a hello that are the same in every version: magic and version.
pub const HELLO_PREFIX_BYTES: usize = 8;
/// Bytes of a proof.
pub const PROOF_BYTES: usize = 32;
/// Bytes of everything that a listener sends.
pub const REPLY_BYTES: usize = 192;

pub(super) const HELLO_MAGIC: u32 = u32::from_le_bytes(*b"PSHH");
pub(super) const REPLY_MAGIC: u32 = u32::from_le_bytes(*b"PSHR");
const TEXT_BYTES: usize = 112;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Hello {
    pub(super) magic: U32,
    pub(super) version: U16,
    pub(super) channel: u8,
    pub(super) reserved: u8,
    pub(super) job: U64,
    pub(super) generation: U32,
    pub(super) from: U32,
    pub(super) to: U32,
    pub(super) padding: U32,
    pub(super) incarnation: U64,
    pub(super) nonce: [u8; 32],
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Reply {
    pub(super) magic: U32,
    pub(super) version: U16,
    pub(super) code: u8,
    text_bytes: u8,
    pub(super) incarnation: U64,
    pub(super) nonce: [u8; 32],
    pub(super) mac: [u8; 32],
    text: [u8; TEXT_BYTES],
}

const _: () = assert!(size_of::<Hello>() == HELLO_BYTES && size_of::<Reply>() == REPLY_BYTES);

/// What a reply is, when it is no reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ReplyCode {
    Challenge = 0,
    Accept = 1,
}

/// Why a listener refuses; number on the wire, in the same field as the other replies' codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectCode {
    /// Another protocol version.
    Version = 2,
    /// Another job.
    Job = 3,
    /// Another generation of the job.
    Generation = 4,
    /// Another node listens here, or the dialler cannot be a node.
    Node = 5,
    /// The proof is wrong.
    Secret = 6,
    /// No such channel.
    Channel = 7,
    /// Both sides dialled, and the other connection stands. Nothing is wrong.
    Duplicate = 8,
    /// A later start of the same node has taken its place.
    Superseded = 9,
    /// A reason that this version does not know.
    Other = 255,
}

impl RejectCode {
    pub(super) fn from_wire(number: u8) -> Option<RejectCode> {
        Some(match number {
            0 | 1 => return None,
            2 => RejectCode::Version,
            3 => RejectCode::Job,
            4 => RejectCode::Generation,
            5 => RejectCode::Node,
            6 => RejectCode::Secret,
            7 => RejectCode::Channel,
            8 => RejectCode::Duplicate,
            9 => RejectCode::Superseded,
            _ => RejectCode::Other,
        })
    }
}

impl Reply {
    pub(super) fn bare(code: ReplyCode) -> Reply {
        Reply::with_code(code as u8)
    }

    pub(super) fn reject(code: RejectCode, reason: &str) -> Reply {
        let mut reply = Reply::with_code(code as u8);
        let end = (0..=reason.len().min(TEXT_BYTES)).rfind(|&end| reason.is_char_boundary(end)).unwrap_or(0);
        reply.text[..end].copy_from_slice(&reason.as_bytes()[..end]);
        reply.text_bytes = end as u8;
        reply
    }

    fn with_code(code: u8) -> Reply {
        Reply {
            magic: REPLY_MAGIC.into(),
            version: PROTOCOL_VERSION.into(),
            code,
            text_bytes: 0,
            incarnation: 0.into(),
            nonce: [0; 32],
            mac: [0; 32],
            text: [0; TEXT_BYTES],
        }
    }

    /// The reason of a reject, made harmless for logs: the sender has proved nothing.
    pub(super) fn text(&self) -> String {
        let end = usize::from(self.text_bytes).min(TEXT_BYTES);
        String::from_utf8_lossy(&self.text[..end]).chars().filter(|c| !c.is_control()).collect()
    }
}
