//! Which device and port a node uses, and what it tells its peers of them.

use super::config::VerbsConfig;
use super::device::Device;
use super::error::VerbsError;
use super::gid::{GidEntry, choose_gid};
use super::library::Library;
use super::port::{LinkLayer, Mtu, Port};
use super::sysfs;
use std::cmp::Reverse;
use std::sync::Arc;

/// What systems call the distance of a memory node from itself.
const DISTANCE_MIN: u32 = 10;

/// This end of every verbs link of a node.
#[derive(Debug, Clone)]
pub struct LocalPort {
    /// The open device.
    pub device: Arc<Device>,
    /// The port.
    pub port: Port,
    /// The entry of its GID table to send from; on InfiniBand only where one was asked for.
    pub gid: Option<GidEntry>,
    /// The largest path MTU of this end.
    pub mtu: Mtu,
    /// Traffic class of the packets' global route.
    pub traffic_class: u8,
}

/// A port that could be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    is_active: bool,
    /// Of its device from the node that asks; none when one of the two is not known.
    distance: Option<u32>,
    gigabits: f64,
}

impl LocalPort {
    /// Chooses as `config` says, and where it says nothing the active port nearest to the NUMA node
    /// `near`; of those equally near the fastest, then the first. Logs the choice in one line.
    ///
    /// # Errors
    /// That there is no device, no active port, or none as configured; each with what to do.
    pub fn choose(library: Library, config: &VerbsConfig, near: Option<u32>) -> Result<LocalPort, VerbsError> {
        let (device, port) = match &config.device {
            Some(name) => configured(library, name, config.port)?,
            None => nearest(library, near)?,
        };
        let local = LocalPort::complete(device, port, config)?;
        local.log();
        Ok(local)
    }

    /// Settles GID, MTU and traffic class on a chosen port.
    fn complete(device: Arc<Device>, port: Port, config: &VerbsConfig) -> Result<LocalPort, VerbsError> {
        let gid = match (port.link_layer, config.gid_index) {
            (LinkLayer::InfiniBand, None) => None,
            (_, wanted) => choose_gid(&device.gid_table(&port)?, wanted)?.cloned(),
        };
        if port.link_layer == LinkLayer::Ethernet && gid.is_none() {
            return Err(VerbsError::NoGid { device: device.name().to_owned(), port: port.number });
        }
        let mtu = config.mtu.unwrap_or(port.active_mtu);
        if mtu > port.active_mtu {
            let (wanted, active) = (mtu.bytes(), port.active_mtu.bytes());
            return Err(VerbsError::Mtu { device: device.name().to_owned(), port: port.number, wanted, active });
        }
        Ok(LocalPort { device, port, gid, mtu, traffic_class: config.traffic_class })
    }

    fn log(&self) {
        let (gid_index, gid, gid_type) = match &self.gid {
            Some(entry) => (i64::from(entry.index), entry.gid.to_string(), entry.kind.to_string()),
            None => (-1, "none".to_owned(), format!("LID {}", self.port.lid)),
        };
        tracing::info!(
            device = self.device.name(), port = self.port.number, link_layer = %self.port.link_layer,
            gid_index, gid, gid_type, mtu = self.mtu.bytes(), traffic_class = self.traffic_class, "verbs"
        );
    }
}

/// The device of this name, with the port asked for or else its first active one.
fn configured(library: Library, name: &str, port: Option<u8>) -> Result<(Arc<Device>, Port), VerbsError> {
    let device = library.open(name)?;
    let ports: Vec<Port> = match port {
        Some(number) => vec![device.port(number)?],
        None => (1..=device.port_count()).map(|number| device.port(number)).collect::<Result<_, _>>()?,
    };
    match ports.iter().find(|port| port.state.is_active()) {
        Some(port) => Ok((device, port.clone())),
        None => Err(VerbsError::NoActivePort { ports: described(ports.iter().map(|port| (&*device, port))) }),
    }
}

fn nearest(library: Library, near: Option<u32>) -> Result<(Arc<Device>, Port), VerbsError> {
    let mut found = Vec::new();
    let mut refused = None;
    for name in library.device_names()? {
        let device = match library.open(&name) {
            Ok(device) => device,
            Err(error) => {
                // Another device may do; if none does, this is what is wrong.
                tracing::debug!("{error}");
                refused = Some(error);
                continue;
            }
        };
        for number in 1..=device.port_count() {
            found.push((Arc::clone(&device), device.port(number)?));
        }
    }
    let candidates: Vec<Candidate> = found
        .iter()
        .map(|(device, port)| Candidate {
            is_active: port.state.is_active(),
            distance: distance(near, device.numa_node(), sysfs::numa_distance),
            gigabits: port.gigabits(),
        })
        .collect();
    match (best(&candidates), refused) {
        (Some(index), _) => Ok(found.swap_remove(index)),
        (None, Some(error)) => Err(error),
        (None, None) if found.is_empty() => Err(VerbsError::NoDevice),
        (None, None) => {
            let ports = described(found.iter().map(|(device, port)| (&**device, port)));
            Err(VerbsError::NoActivePort { ports })
        }
    }
}

/// From the node that asks to a device's, where both are known. A system that does not tell distances
/// still has the same node nearest.
fn distance(near: Option<u32>, node: Option<u32>, told: impl Fn(u32, u32) -> Option<u32>) -> Option<u32> {
    let (from, to) = near.zip(node)?;
    if from == to { Some(DISTANCE_MIN) } else { told(from, to) }
}

/// The place of the candidate to take.
fn best(candidates: &[Candidate]) -> Option<usize> {
    let active = candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_active);
    let rank = |(index, candidate): &(usize, &Candidate)| {
        // Rates are far below the bits of an integer; hundredths keep 2.5 and 12.5 apart.
        let speed = (candidate.gigabits * 100.0) as u64;
        (candidate.distance.unwrap_or(u32::MAX), Reverse(speed), *index)
    };
    active.min_by_key(rank).map(|(index, _)| index)
}

fn described<'a>(ports: impl Iterator<Item = (&'a Device, &'a Port)>) -> String {
    let each: Vec<String> =
        ports.map(|(device, port)| format!("{}:{} is {}", device.name(), port.number, port.state)).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(is_active: bool, distance: Option<u32>, gigabits: f64) -> Candidate {
        Candidate { is_active, distance, gigabits }
    }

    #[test]
    fn the_nearest_active_port_is_taken_even_if_another_is_faster() {
        let ports =
            [candidate(false, Some(10), 400.0), candidate(true, Some(21), 200.0), candidate(true, Some(10), 100.0)];
        assert_eq!(best(&ports), Some(2));
    }

    #[test]
    fn of_several_usable_devices_the_one_on_the_node_that_asks_is_taken() {
        let devices = [Some(0), Some(1), None];
        let taken = |near, told: fn(u32, u32) -> Option<u32>| {
            best(&devices.map(|node| candidate(true, distance(near, node, told), 100.0)))
        };
        let tells = |from: u32, to: u32| Some(10 + 11 * from.abs_diff(to));
        for told in [tells, |_, _| None] {
            assert_eq!([Some(0), Some(1)].map(|near| taken(near, told)), [Some(0), Some(1)]);
            assert_eq!(taken(None, told), Some(0), "the first, when nobody says where it runs");
        }
        assert_eq!(taken(Some(3), tells), Some(1), "the nearest, when none is on the node itself");
    }

    #[test]
    fn of_equally_near_ports_the_fastest_and_then_the_first_is_taken() {
        let ports = [candidate(true, None, 2.5), candidate(true, None, 100.0), candidate(true, None, 100.0)];
        assert_eq!(best(&ports), Some(1));
    }

    #[test]
    fn a_port_of_unknown_distance_comes_after_all_known_ones() {
        assert_eq!(best(&[candidate(true, None, 400.0), candidate(true, Some(32), 25.0)]), Some(1));
    }

    #[test]
    fn without_an_active_port_there_is_no_choice() {
        assert_eq!(best(&[candidate(false, None, 100.0)]), None);
        assert_eq!(best(&[]), None);
    }
}
