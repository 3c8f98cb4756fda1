//! A port of a device: its state, link layer, addresses and MTU.

use rdma_sys::{ibv_link_layer, ibv_mtu, ibv_port_attr, ibv_port_state};
use std::fmt;

/// A path MTU that InfiniBand knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtu(u32);

impl Mtu {
    /// The MTU of this many bytes: 256, 512, 1024, 2048 or 4096.
    #[must_use]
    pub fn of_bytes(bytes: u32) -> Option<Mtu> {
        [256, 512, 1024, 2048, 4096].contains(&bytes).then_some(Mtu(bytes))
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// What a port reports; the smallest where it reports a number without meaning.
    pub(super) fn of_code(code: ibv_mtu) -> Mtu {
        Mtu::of_bytes(128u32.checked_shl(code.0).unwrap_or(0)).unwrap_or(Mtu(256))
    }

    /// What a queue pair is told.
    pub(super) fn code(self) -> ibv_mtu {
        ibv_mtu(self.0.ilog2() - 7)
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What lies below a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer {
    /// Peers are found by LID, through the subnet manager.
    InfiniBand,
    /// Peers are found by GID.
    Ethernet,
}

impl fmt::Display for LinkLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkLayer::InfiniBand => "InfiniBand",
            LinkLayer::Ethernet => "Ethernet",
        })
    }
}

/// Whether a port can carry traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortState(ibv_port_state);

impl PortState {
    /// Whether it can.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self.0, ibv_port_state::IBV_PORT_ACTIVE | ibv_port_state::IBV_PORT_ACTIVE_DEFER)
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ibv_port_state::IBV_PORT_NOP => f.write_str("no state"),
            ibv_port_state::IBV_PORT_DOWN => f.write_str("down"),
            ibv_port_state::IBV_PORT_INIT => f.write_str("initializing"),
            ibv_port_state::IBV_PORT_ARMED => f.write_str("armed"),
            ibv_port_state::IBV_PORT_ACTIVE => f.write_str("active"),
            ibv_port_state::IBV_PORT_ACTIVE_DEFER => f.write_str("active, deferred"),
            other => write!(f, "state {}", other.0),
        }
    }
}

/// A port as its device describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its number, from 1.
    pub number: u8,
    /// Whether it can carry traffic.
    pub state: PortState,
    /// What lies below it.
    pub link_layer: LinkLayer,
    /// Its address in an InfiniBand subnet; 0 on Ethernet.
    pub lid: u16,
    /// The MTU of its link now.
    pub active_mtu: Mtu,
    /// The largest MTU that it could have.
    pub mtu_max: Mtu,
    /// Length of its GID table.
    pub gid_count: u32,
    /// Largest message in bytes.
    pub message_bytes_max: u32,
    /// Its speed in the kernel's words, such as `100 Gb/sec (4X EDR)`.
    pub rate: Option<String>,
}

impl Port {
    pub(super) fn new(number: u8, attributes: &ibv_port_attr, rate: Option<String>) -> Port {
        // Drivers from before RoCE leave the field zero and mean InfiniBand.
        let is_ethernet = ibv_link_layer(attributes.link_layer) == ibv_link_layer::IBV_LINK_LAYER_ETHERNET;
        Port {
            number,
            state: PortState(attributes.state),
            link_layer: if is_ethernet { LinkLayer::Ethernet } else { LinkLayer::InfiniBand },
            lid: attributes.lid,
            active_mtu: Mtu::of_code(attributes.active_mtu),
            mtu_max: Mtu::of_code(attributes.max_mtu),
            gid_count: u32::try_from(attributes.gid_tbl_len).unwrap_or(0),
            message_bytes_max: attributes.max_msg_sz,
            rate,
        }
    }

    /// The number at the front of [`rate`](Port::rate), in Gbit/s; 0 when it is not known.
    #[must_use]
    pub fn gigabits(&self) -> f64 {
        let first = self.rate.as_deref().and_then(|rate| rate.split_whitespace().next());
        first.and_then(|number| number.parse().ok()).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mtu_and_its_code_belong_together() {
        for (bytes, code) in [(256, 1), (512, 2), (1024, 3), (2048, 4), (4096, 5)] {
            let mtu = Mtu::of_bytes(bytes).unwrap();
            assert_eq!(mtu.code(), ibv_mtu(code));
            assert_eq!(Mtu::of_code(ibv_mtu(code)), mtu);
        }
        assert_eq!(Mtu::of_bytes(1500), None);
        for nonsense in [0, 6, 31, 32, u32::MAX] {
            assert_eq!(Mtu::of_code(ibv_mtu(nonsense)).bytes(), 256);
        }
    }

    #[test]
    fn a_state_without_a_name_is_not_active() {
        assert!(PortState(ibv_port_state::IBV_PORT_ACTIVE).is_active());
        assert!(!PortState(ibv_port_state(77)).is_active());
        assert_eq!(PortState(ibv_port_state(77)).to_string(), "state 77");
    }
}
