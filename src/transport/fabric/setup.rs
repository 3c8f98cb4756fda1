//! What two fabrics say to each other before a link stands, in frames of kind [`Kind::Setup`].
//!
//! ```text
//! greater node id                              lower node id
//!   offer {generation, what it has}         ->
//!   <- answer {generation, what both have}
//!   (takes the memory, or connects its queue pair)
//!   chosen {generation, kind, reason}       ->
//! ```
//! All of it travels over the authenticated connection, in its order.

use super::choice::LinkKind;
use crate::id::NodeId;
use crate::memory::TxBuf;
use crate::transport::local::LocalTicket;
use crate::transport::shm::ShmTicket;
use crate::transport::verbs::VerbsEndpoint;
use crate::wire::{Header, Kind, RxFrame, TxFrame};
use serde::{Deserialize, Serialize};

/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SetupMessage {
    Offer {
        generation: u16,
        /// The token of the process.
        local: Option<[u8; 32]>,
        shm: bool,
        /// Our queue pair, which waits to be connected.
        verbs: Option<Box<VerbsEndpoint>>,
    },
    Answer {
        generation: u16,
        local: Option<LocalTicket>,
        shm: Option<ShmTicket>,
        /// The queue pair that is connected to the one offered.
        verbs: Option<Box<VerbsEndpoint>>,
    },
    Chosen {
        generation: u16,
        kind: LinkKind,
        /// For people.
        reason: String,
    },
}

impl SetupMessage {
    pub(super) fn chosen(generation: u16, kind: LinkKind, reason: &str) -> SetupMessage {
        let end = (0..=reason.len().min(REASON_BYTES_MAX)).rfind(|&end| reason.is_char_boundary(end)).unwrap_or(0);
        SetupMessage::Chosen { generation, kind, reason: reason[..end].to_owned() }
    }

    /// The frame that carries this message. The job is filled in by the sender.
    pub(super) fn to_frame(&self, source: NodeId) -> TxFrame {
        let bytes = match postcard::to_stdvec(self) {
            Ok(bytes) => bytes,
            // Invariant: it is plain data and the target is memory.
            Err(error) => unreachable!("set-up messages encode into memory: {error}"),
        };
        let mut header = Header::new(Kind::Setup, source);
        header.value_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        TxFrame::with_values(header, TxBuf::from_vec(bytes))
    }

    /// The message of a frame; what is wrong with it otherwise.
    pub(super) fn from_frame(frame: &RxFrame) -> Result<SetupMessage, String> {
        SetupMessage::decode(frame.body().values)
    }

    fn decode(bytes: &[u8]) -> Result<SetupMessage, String> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(format!("{} bytes, limit {MESSAGE_BYTES_MAX}", bytes.len()));
        }
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(message: &SetupMessage) -> Vec<u8> {
        message.to_frame(NodeId::worker(0)).body_parts().concat()
    }

    #[test]
    fn messages_survive_the_wire() {
        let ticket = ShmTicket { socket: [3; 16], nonce: [4; 32] };
        for message in [
            SetupMessage::Offer { generation: 1, local: Some([7; 32]), shm: true, verbs: None },
            SetupMessage::Answer { generation: u16::MAX, local: None, shm: Some(ticket), verbs: None },
            SetupMessage::chosen(2, LinkKind::Shm, "because"),
        ] {
            let bytes = encoded(&message);
            assert_eq!(SetupMessage::decode(&bytes), Ok(message));
            assert!(SetupMessage::decode(&bytes[..bytes.len() - 1]).is_err());
            assert!(SetupMessage::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn a_long_reason_is_cut_and_a_long_message_refused() {
        let message = SetupMessage::chosen(2, LinkKind::Tcp, &"ü".repeat(3000));
        assert!(encoded(&message).len() < 600);
        assert!(SetupMessage::decode(&[0; MESSAGE_BYTES_MAX + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SetupMessage::decode(&bytes);
        }
    }
}
