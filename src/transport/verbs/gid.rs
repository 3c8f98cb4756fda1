//! Which entry of a port's GID table a node sends from.
//!
//! On Ethernet an entry is an address together with the protocol that carries the packets, and the
//! order of the table is the kernel's and differs between machines, so a fixed index is wrong somewhere.
//! RoCE v2 is routable and comes first, by an IPv4 address before a global IPv6 one before a
//! link-local one; RoCE v1 stays inside one Ethernet segment and comes after all of them.

use super::error::VerbsError;
use rdma_sys::ibv_gid_type;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A global identifier: 128 bits in the form of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gid(pub [u8; 16]);

impl Gid {
    /// Whether the entry is empty.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == [0; 16]
    }

    /// The IPv4 address that it stands for, if it does.
    #[must_use]
    pub fn ipv4(self) -> Option<Ipv4Addr> {
        Ipv6Addr::from(self.0).to_ipv4_mapped()
    }

    fn is_link_local(self) -> bool {
        match self.ipv4() {
            Some(address) => address.is_link_local(),
            None => Ipv6Addr::from(self.0).is_unicast_link_local(),
        }
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv6Addr::from(self.0).fmt(f)
    }
}

/// What carries the packets of a GID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GidKind {
    /// InfiniBand itself.
    InfiniBand,
    /// Ethernet frames of a type of their own.
    RoceV1,
    /// UDP over IP.
    RoceV2,
    /// A kind that this program does not know.
    Other(u32),
}

impl GidKind {
    /// The kind with this number of `enum ibv_gid_type`.
    #[must_use]
    pub fn of_number(number: u32) -> GidKind {
        match ibv_gid_type(number) {
            ibv_gid_type::IBV_GID_TYPE_IB => GidKind::InfiniBand,
            ibv_gid_type::IBV_GID_TYPE_ROCE_V1 => GidKind::RoceV1,
            ibv_gid_type::IBV_GID_TYPE_ROCE_V2 => GidKind::RoceV2,
            ibv_gid_type(other) => GidKind::Other(other),
        }
    }

    /// The kind that a `gid_attrs/types` file of an Ethernet port names.
    pub(super) fn of_ethernet_text(text: &str) -> GidKind {
        if text.contains("v2") { GidKind::RoceV2 } else { GidKind::RoceV1 }
    }
}

impl fmt::Display for GidKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GidKind::InfiniBand => f.write_str("InfiniBand"),
            GidKind::RoceV1 => f.write_str("RoCE v1"),
            GidKind::RoceV2 => f.write_str("RoCE v2"),
            GidKind::Other(number) => write!(f, "GID type {number}"),
        }
    }
}

/// One entry of a port's GID table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GidEntry {
    /// Where it stands in the table.
    pub index: u32,
    /// The identifier.
    pub gid: Gid,
    /// What carries its packets.
    pub kind: GidKind,
    /// The network interface whose address it is, where there is one.
    pub interface: Option<String>,
}

impl GidEntry {
    /// How willingly an entry is taken; the smallest wins.
    fn rank(&self) -> (u8, u8, u32) {
        let kind = match self.kind {
            GidKind::RoceV2 => 0,
            GidKind::InfiniBand => 1,
            GidKind::RoceV1 => 2,
            GidKind::Other(_) => 3,
        };
        let address = match self.gid {
            gid if gid.is_link_local() => 2,
            gid if gid.ipv4().is_some() => 0,
            _ => 1,
        };
        (kind, address, self.index)
    }
}

/// The entry to send from: the one at `wanted`, or else the best. `None` when the table holds none.
///
/// # Errors
/// When the entry at `wanted` is empty or missing.
pub fn choose_gid(table: &[GidEntry], wanted: Option<u32>) -> Result<Option<&GidEntry>, VerbsError> {
    let usable = || table.iter().filter(|entry| !entry.gid.is_zero());
    let Some(index) = wanted else { return Ok(usable().min_by_key(|entry| entry.rank())) };
    match usable().find(|entry| entry.index == index) {
        Some(entry) => Ok(Some(entry)),
        None => {
            let known: Vec<String> =
                usable().map(|entry| format!("{} ({}, {})", entry.index, entry.gid, entry.kind)).collect();
            Err(VerbsError::GidIndex { index, known: known.join(", ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GidKind::{InfiniBand, Other, RoceV1, RoceV2};
    use super::*;
    use proptest::prelude::*;

    fn entry(index: u32, address: &str, kind: GidKind) -> GidEntry {
        let address: Ipv6Addr = address.parse().unwrap();
        GidEntry { index, gid: Gid(address.octets()), kind, interface: None }
    }

    fn chosen(table: &[GidEntry]) -> Option<u32> {
        choose_gid(table, None).unwrap().map(|entry| entry.index)
    }

    /// From the one to be taken last to the one to be taken first.
    fn from_worst_to_best() -> Vec<GidEntry> {
        vec![
            entry(0, "::", RoceV2),
            entry(1, "fe80::1", RoceV1),
            entry(2, "2001:db8::1", RoceV1),
            entry(3, "::ffff:10.0.0.1", RoceV1),
            entry(4, "fe80::1", RoceV2),
            entry(5, "2001:db8::1", RoceV2),
            entry(6, "::ffff:10.0.0.1", RoceV2),
        ]
    }

    #[test]
    fn each_kind_of_address_gives_way_to_the_better_one() {
        let table = from_worst_to_best();
        for count in 2..=table.len() {
            assert_eq!(chosen(&table[..count]), Some(count as u32 - 1), "of {count} entries");
        }
        assert_eq!(chosen(&table[..1]), None, "an empty entry is none");
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_link_local_ipv4_address_is_worth_no_more_than_any_link_local_one() {
        let table = [entry(0, "::ffff:169.254.3.4", RoceV2), entry(1, "2001:db8::1", RoceV2)];
        assert_eq!(chosen(&table), Some(1));
    }

    #[test]
    fn of_two_equal_ones_the_first_is_taken() {
        let table = [entry(7, "::ffff:10.0.0.2", RoceV2), entry(3, "::ffff:10.0.0.1", RoceV2)];
        assert_eq!(chosen(&table), Some(3));
    }

    #[test]
    fn an_index_that_is_asked_for_wins_over_better_entries() {
        let table = from_worst_to_best();
        assert_eq!(choose_gid(&table, Some(2)).unwrap().unwrap().index, 2);
        for missing in [0, 9] {
            let error = choose_gid(&table, Some(missing)).unwrap_err().to_string();
            assert!(error.contains("PARASHARD_GID_INDEX") && error.contains("6 (::ffff:10.0.0.1, RoCE v2)"), "{error}");
        }
    }

    #[test]
    fn kinds_are_known_by_number_and_by_name() {
        assert_eq!([0, 1, 2, 9].map(GidKind::of_number), [InfiniBand, RoceV1, RoceV2, Other(9)]);
        assert_eq!(GidKind::of_ethernet_text("IB/RoCE v1\n"), RoceV1);
        assert_eq!(GidKind::of_ethernet_text("RoCE v2\n"), RoceV2);
    }

    proptest! {
        #[test]
        fn the_choice_does_not_depend_on_the_order_of_the_table(order in Just(from_worst_to_best()).prop_shuffle()) {
            prop_assert_eq!(chosen(&order), Some(6));
        }
    }
}
