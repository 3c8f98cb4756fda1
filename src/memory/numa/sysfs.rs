//! Memory nodes as the kernel's files tell them. What is missing or not understood counts as not there.

use super::{NodeInfo, NumaNode, Topology};
use std::fs;
use std::path::Path;

/// Reads the nodes below `sys`, which is `/sys`.
pub(super) fn topology(sys: &Path) -> Topology {
    let folder = sys.join("devices/system/node");
    let online = read(&folder.join("online")).and_then(|text| parse_list(&text)).unwrap_or_default();
    let nodes: Vec<NodeInfo> = online.into_iter().filter_map(|number| node(&folder, number)).collect();
    if nodes.iter().all(|info| info.cpus.is_empty()) {
        // A kernel without memory nodes has one memory for all.
        return Topology::of(vec![NodeInfo { node: NumaNode(0), cpus: all_cpus(sys), distances: Vec::new() }]);
    }
    Topology::of(nodes)
}

fn node(folder: &Path, number: usize) -> Option<NodeInfo> {
    let folder = folder.join(format!("node{number}"));
    let cpus = read(&folder.join("cpulist")).and_then(|text| parse_list(&text))?;
    let distances = read(&folder.join("distance")).unwrap_or_default();
    let distances = distances.split_whitespace().map_while(|word| word.parse().ok()).collect();
    Some(NodeInfo { node: NumaNode(u32::try_from(number).ok()?), cpus, distances })
}

fn all_cpus(sys: &Path) -> Vec<usize> {
    let online = read(&sys.join("devices/system/cpu/online")).and_then(|text| parse_list(&text));
    online.unwrap_or_else(|| (0..std::thread::available_parallelism().map_or(1, usize::from)).collect())
}

/// The node of the first RDMA device, else of the first network card, by name.
pub(super) fn node_of_network(sys: &Path) -> Option<NumaNode> {
    ["class/infiniband", "class/net"].into_iter().find_map(|class| {
        let mut devices: Vec<_> = fs::read_dir(sys.join(class)).ok()?.flatten().map(|entry| entry.path()).collect();
        devices.sort();
        // Minus one says that the kernel does not know; loopback and bridges have no device.
        devices.iter().find_map(|device| read(&device.join("device/numa_node"))?.parse().ok().map(NumaNode))
    })
}

fn read(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Numbers as in `0-3,8`; an empty list is one. None when it is no such list.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let ranges = text.split(',').filter(|range| !range.is_empty()).map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    });
    Some(ranges.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("makes");
            fs::write(path, format!("{text}\n")).expect("writes");
        }
    }

    #[test]
    fn two_sockets_with_a_node_of_memory_alone_are_read() {
        let sys = tempfile::tempdir().expect("a folder");
        write(
            sys.path(),
            &[
                ("devices/system/node/online", "0-1,4"),
                ("devices/system/node/node0/cpulist", "0-3,8-11"),
                ("devices/system/node/node0/distance", "10 21 17"),
                ("devices/system/node/node1/cpulist", "4-7,12-15"),
                ("devices/system/node/node1/distance", "21 10 28"),
                ("devices/system/node/node4/cpulist", ""),
                ("devices/system/node/node4/distance", "17 28 10"),
                ("class/net/eth0/device/numa_node", "0"),
                ("class/net/lo/operstate", "up"),
                ("class/infiniband/mlx5_0/device/numa_node", "-1"),
                ("class/infiniband/mlx5_1/device/numa_node", "1"),
            ],
        );
        let topology = topology(sys.path());
        let cpus: Vec<_> = topology.nodes().iter().map(|info| info.cpus.len()).collect();
        assert_eq!(cpus, [8, 8, 0]);
        assert_eq!(topology.nodes()[2].node, NumaNode(4));
        assert_eq!(topology.nodes()[2].distances, [17, 28, 10]);
        assert_eq!(topology.node_of_cpu(12), Some(NumaNode(1)));
        assert_eq!(node_of_network(sys.path()), Some(NumaNode(1)));
        fs::remove_dir_all(sys.path().join("class/infiniband")).expect("removes");
        assert_eq!(node_of_network(sys.path()), Some(NumaNode(0)));
    }

    #[test]
    fn a_kernel_without_memory_nodes_has_one_with_all_processors() {
        let sys = tempfile::tempdir().expect("a folder");
        write(sys.path(), &[("devices/system/cpu/online", "0-2")]);
        let topology = topology(sys.path());
        assert_eq!(topology.nodes().len(), 1);
        assert_eq!(
            (topology.nodes()[0].cpus.clone(), topology.nodes()[0].distances.clone()),
            (vec![0, 1, 2], vec![10])
        );
        assert_eq!(node_of_network(sys.path()), None);
    }

    #[test]
    fn a_list_is_numbers_and_ranges_and_nothing_else() {
        assert_eq!(parse_list("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_list(""), Some(Vec::new()));
        assert_eq!(parse_list("0-x"), None);
    }
}
