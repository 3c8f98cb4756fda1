//! Memory nodes as libhwloc tells them.
//!
//! Needs nothing newer than libhwloc 2.0. Only what the process may use is told.

use super::{NodeInfo, NumaNode, Topology};
use hwloc::object::TopologyObject;
use hwloc::object::distance::{Distances, DistancesKind};
use hwloc::object::types::ObjectType;

/// Asks the library; none when it sees no node with a processor.
pub(super) fn read() -> Result<Option<Topology>, String> {
    let machine = hwloc::Topology::new().map_err(|error| error.to_string())?;
    Ok(topology(&machine))
}

fn topology(machine: &hwloc::Topology) -> Option<Topology> {
    // What firmware tells of the distances is the only matrix of this kind, if there is one.
    let told = machine.distances_with_type(Some(DistancesKind::FROM_OS), ObjectType::NUMANode).unwrap_or_default();
    let told = told.first();
    let mut objects: Vec<&TopologyObject> = machine.objects_with_type(ObjectType::NUMANode).collect();
    objects.sort_by_key(|object| object.os_index());
    let nodes: Vec<NodeInfo> = objects.iter().filter_map(|object| node(object, &objects, told)).collect();
    let has_cpus = nodes.iter().any(|info| !info.cpus.is_empty());
    has_cpus.then(|| Topology::of(nodes))
}

fn node(object: &TopologyObject, all: &[&TopologyObject], told: Option<&Distances<'_>>) -> Option<NodeInfo> {
    let number = u32::try_from(object.os_index()?).ok()?;
    let cpus = object.cpuset().map_or(Vec::new(), |cpus| cpus.iter_set().map(usize::from).collect());
    let distance = |other: &&TopologyObject| {
        let (there, _) = told?.object_pair_distance((object, other))?;
        u32::try_from(there).ok()
    };
    let distances = all.iter().map_while(distance).collect();
    Some(NodeInfo { node: NumaNode(number), cpus, distances })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_of_two_cores_are_told_apart() {
        let builder = hwloc::Topology::builder().from_synthetic("Package:2 [NUMANode] Core:2 PU:1");
        let machine = builder.expect("a description").build().expect("a machine");
        let topology = topology(&machine).expect("nodes");
        assert_eq!(topology, Topology::of_cpus(&[&[0, 1], &[2, 3]]));
    }
}
