//! What the two ends of a link tell each other over the authenticated connection.

use super::choice::LocalPort;
use super::port::{LinkLayer, Mtu};
use crate::transport::ring::{SLOT_COUNT_MAX, SLOT_HEAD_BYTES, SLOTS_LENT_MAX};
use serde::{Deserialize, Serialize};

/// Changes with every change of what travels over a link.
const LINK_VERSION: u16 = 2;
/// Packet sequence numbers have 24 bits.
const PSN_MAX: u32 = 0xff_ffff;
/// A slot or receive buffer of more bytes is nonsense.
const BUFFER_BYTES_MAX: u32 = 16 << 20;

/// One end of a link, ready to be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerbsEndpoint {
    /// Version of what travels over the link.
    pub version: u16,
    /// How this end counts its links to the other; messages to it carry it.
    pub generation: u16,
    /// Whether below the port is Ethernet; otherwise InfiniBand.
    pub is_ethernet: bool,
    /// Address of the port in an InfiniBand subnet.
    pub lid: u16,
    /// GID of the port, where it sends with one.
    pub gid: Option<[u8; 16]>,
    /// Path MTU in bytes at most.
    pub mtu_bytes: u32,
    /// Number of the queue pair.
    pub queue_pair: u32,
    /// Its first packet sequence number.
    pub psn: u32,
    /// RDMA READs that this end answers at a time.
    pub reads_max: u8,
    /// Bytes of one message that this end receives.
    pub receive_bytes: u32,
    /// Address of the first slot of its ring.
    pub ring_address: u64,
    /// Key to the ring.
    pub ring_key: u32,
    /// Slots of the ring.
    pub slot_count: u16,
    /// Bytes of a slot.
    pub slot_bytes: u32,
    /// Slots that the other end may write from the start.
    pub slots: Vec<u16>,
}

impl VerbsEndpoint {
    pub(super) const VERSION: u16 = LINK_VERSION;

    /// What makes a link to this end impossible, if anything.
    pub(super) fn objection(&self, local: &LocalPort) -> Option<String> {
        let is_ethernet = local.port.link_layer == LinkLayer::Ethernet;
        if self.version != LINK_VERSION {
            Some(format!(
                "it speaks version {} of links, this is {LINK_VERSION}: run the same release on every node",
                self.version
            ))
        } else if self.is_ethernet != is_ethernet {
            Some("one end is InfiniBand and the other Ethernet; choose devices by PARASHARD_VERBS_DEVICE".to_owned())
        } else if is_ethernet && self.gid.is_none() {
            Some("it has no GID".to_owned())
        } else if self.generation == 0 || Mtu::of_bytes(self.mtu_bytes).is_none() || self.psn > PSN_MAX {
            Some("its queue pair makes no sense".to_owned())
        } else {
            self.objection_to_ring()
        }
    }

    fn objection_to_ring(&self) -> Option<String> {
        let buffers = SLOT_HEAD_BYTES as u32 + 64..=BUFFER_BYTES_MAX;
        let ring_bytes = u64::from(self.slot_count) * u64::from(self.slot_bytes);
        let is_sound = buffers.contains(&self.receive_bytes)
            && buffers.contains(&self.slot_bytes)
            && (1..=SLOT_COUNT_MAX).contains(&self.slot_count)
            && self.ring_address.checked_add(ring_bytes).is_some()
            && self.slots.len() <= usize::from(SLOTS_LENT_MAX)
            && self.slots.iter().all(|&slot| slot < self.slot_count);
        (!is_sound).then(|| "its ring makes no sense".to_owned())
    }
}
