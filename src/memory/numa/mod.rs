//! Memory nodes: which processors belong to which memory, how far nodes are apart, and where a
//! network adapter sits.
//!
//! * `libhwloc` asks libhwloc, where the program is built with it.
//! * `sysfs`    reads the same from the kernel's files; complete in itself.
//! * `bind`     says which node a piece of memory should come from.
//!
//! Invariant: a [`Topology`] has at least one node, nodes ascend by number, and each has a distance to
//! every node. On a machine without memory nodes there is one, number 0, with all processors.

mod bind;
#[cfg(feature = "hwloc")]
mod libhwloc;
mod sysfs;

pub(super) use bind::prefer_node;

use std::fmt;
use std::path::Path;

/// Distance of a node to itself, as firmware tables count.
const DISTANCE_LOCAL: u32 = 10;
/// Distance to another node where nobody says.
const DISTANCE_REMOTE: u32 = 20;

/// A memory node, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumaNode(pub u32);

impl fmt::Display for NumaNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory node {}", self.0)
    }
}

/// One memory node of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its number.
    pub node: NumaNode,
    /// Its processors' numbers, ascending; none for a node that is memory alone.
    pub cpus: Vec<usize>,
    /// Relative distances to the topology's nodes, in their order; the kernel's own is 10.
    pub distances: Vec<u32>,
}

/// The memory nodes of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    nodes: Vec<NodeInfo>,
}

impl Topology {
    /// Looks at this machine.
    #[must_use]
    pub fn look() -> Topology {
        #[cfg(feature = "hwloc")]
        match libhwloc::read() {
            Ok(Some(topology)) => return topology,
            Ok(None) => tracing::debug!("libhwloc knows no memory nodes; reading sysfs"),
            Err(error) => tracing::debug!(error, "libhwloc fails; reading sysfs"),
        }
        sysfs::topology(Path::new("/sys"))
    }

    /// A topology of these nodes; a distance that is not told is the usual one.
    fn of(mut nodes: Vec<NodeInfo>) -> Topology {
        nodes.sort_by_key(|info| info.node);
        let count = nodes.len();
        for (place, info) in nodes.iter_mut().enumerate() {
            if info.distances.len() != count {
                let usual = |other| if other == place { DISTANCE_LOCAL } else { DISTANCE_REMOTE };
                info.distances = (0..count).map(usual).collect();
            }
        }
        Topology { nodes }
    }

    /// A topology of nodes with these processors, numbered from 0, at the usual distances.
    ///
    /// # Panics
    /// When there is no node.
    #[must_use]
    pub fn of_cpus(cpus: &[&[usize]]) -> Topology {
        assert!(!cpus.is_empty(), "a machine has memory");
        let node = |(number, cpus): (u32, &&[usize])| NodeInfo {
            node: NumaNode(number),
            cpus: cpus.to_vec(),
            distances: Vec::new(),
        };
        Topology::of((0..).zip(cpus).map(node).collect())
    }

    /// The nodes, ascending by number.
    #[must_use]
    pub fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    /// The node to which a processor belongs.
    #[must_use]
    pub fn node_of_cpu(&self, cpu: usize) -> Option<NumaNode> {
        self.nodes.iter().find(|info| info.cpus.contains(&cpu)).map(|info| info.node)
    }

    /// All nodes, the nearest to `node` first; in the order of their numbers when there is no such node.
    #[must_use]
    pub fn nearest(&self, node: NumaNode) -> Vec<&NodeInfo> {
        let from = self.nodes.iter().find(|info| info.node == node);
        let mut places: Vec<usize> = (0..self.nodes.len()).collect();
        places.sort_by_key(|&place| from.map_or(0, |from| from.distances[place]));
        places.into_iter().map(|place| &self.nodes[place]).collect()
    }
}

/// The node next to this machine's network adapter: of its first RDMA device, else of its first
/// network card; none where the kernel knows of no node.
#[must_use]
pub fn node_of_network() -> Option<NumaNode> {
    sysfs::node_of_network(Path::new("/sys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32, cpus: &[usize], distances: &[u32]) -> NodeInfo {
        NodeInfo { node: NumaNode(number), cpus: cpus.to_vec(), distances: distances.to_vec() }
    }

    #[test]
    fn the_nearest_node_comes_first() {
        let topology = Topology::of(vec![
            node(2, &[4, 5], &[31, 21, 10]),
            node(0, &[0, 1], &[10, 21, 31]),
            node(1, &[2, 3], &[21, 10, 21]),
        ]);
        let order = |from| topology.nearest(NumaNode(from)).iter().map(|info| info.node.0).collect::<Vec<_>>();
        assert_eq!((order(0), order(1), order(2)), (vec![0, 1, 2], vec![1, 0, 2], vec![2, 1, 0]));
        assert_eq!(order(9), [0, 1, 2]);
        assert_eq!(topology.node_of_cpu(4), Some(NumaNode(2)));
        assert_eq!(topology.node_of_cpu(6), None);
    }

    #[test]
    fn distances_that_nobody_tells_are_the_usual_ones() {
        let topology = Topology::of(vec![node(0, &[0], &[]), node(1, &[1], &[10])]);
        assert_eq!(topology.nodes()[1].distances, [20, 10]);
    }

    #[test]
    fn this_machine_has_a_node_with_the_processor_that_runs_this() {
        let topology = Topology::look();
        assert!(topology.nodes().iter().any(|info| !info.cpus.is_empty()), "{topology:?}");
        assert!(topology.nodes().iter().all(|info| info.distances.len() == topology.nodes().len()));
    }

    /// A container may show fewer processors to one than to the other, never different nodes.
    #[cfg(feature = "hwloc")]
    #[test]
    fn libhwloc_and_sysfs_see_the_same_machine() {
        let Ok(Some(theirs)) = libhwloc::read() else { return };
        let ours = sysfs::topology(Path::new("/sys"));
        for info in theirs.nodes() {
            let own = ours.nodes().iter().find(|own| own.node == info.node);
            let own = own.unwrap_or_else(|| panic!("{} is not in {ours:?}", info.node));
            assert!(info.cpus.iter().all(|cpu| own.cpus.contains(cpu)), "{info:?} {own:?}");
        }
        if ours.nodes().len() == theirs.nodes().len() {
            let distances =
                |topology: &Topology| topology.nodes().iter().map(|info| info.distances.clone()).collect::<Vec<_>>();
            assert_eq!(distances(&ours), distances(&theirs));
        }
    }
}
