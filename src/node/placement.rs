//! Where a node runs: the processors of a server's shards, and the memory next to them.
//!
//! By itself a server on a machine with several memory nodes takes processors next to the network
//! adapter, and memory of the same node. On a machine with one node there is nothing to choose, and
//! threads run where the system puts them.

use super::error::NodeError;
use crate::memory::numa::{NumaNode, Topology, node_of_network};
use crate::memory::{HugePages, Pool, PoolConfig};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::str::FromStr;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Processors of a server's shards.
    pub pinning: Pinning,
    /// Kind of pages of all payload memory.
    pub huge_pages: HugePages,
}

/// Which processors a server's shards run on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Next to the network adapter where there are several memory nodes, else as `None`.
    #[default]
    Auto,
    /// Where the system puts them.
    None,
    /// Shard i on the i-th of these.
    Cpus(Vec<usize>),
}

impl FromStr for Pinning {
    type Err = String;

    fn from_str(text: &str) -> Result<Pinning, String> {
        match text {
            "auto" => Ok(Pinning::Auto),
            "none" => Ok(Pinning::None),
            list => {
                let cpus = list.split(',').map(|cpu| cpu.trim().parse().ok().filter(|&cpu| cpu < CpuSet::MAX_CPU));
                let cpus: Option<Vec<usize>> = cpus.collect();
                cpus.map(Pinning::Cpus)
                    .ok_or_else(|| "choose auto, none, or numbers of processors as in 0,2".to_owned())
            }
        }
    }
}

impl Placement {
    /// A pool for a node whose memory should come from `node`.
    pub fn pool(&self, node: Option<NumaNode>) -> Arc<Pool> {
        Pool::open(PoolConfig { node, huge_pages: self.huge_pages, ..PoolConfig::default() })
    }
}

/// One shard's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seat {
    /// Its processor, if it has one of its own.
    pub(super) cpu: Option<usize>,
    /// Where its memory comes from, if that matters.
    pub(super) node: Option<NumaNode>,
}

impl Seat {
    /// Puts the calling thread there.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(super) fn take(self) -> Result<(), NodeError> {
        let Some(cpu) = self.cpu else { return Ok(()) };
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).map_err(|error| NodeError::System { what: "pin a thread", source: error.into() })
    }
}

/// The seats of all shards of server `rank` on this machine.
///
/// # Errors
/// When the processors asked for are too few or not this process's.
pub(super) fn seats(pinning: &Pinning, rank: u32, shards: u8) -> Result<Vec<Seat>, NodeError> {
    if *pinning == Pinning::None {
        return Ok(vec![Seat::default(); usize::from(shards)]);
    }
    let allowed = sched_getaffinity(None)
        .map_err(|error| NodeError::System { what: "ask for this process's processors", source: error.into() })?;
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let seats = choose(pinning, &Topology::look(), node_of_network(), &allowed, rank, shards)?;
    for (shard, seat) in seats.iter().enumerate() {
        if let Some(cpu) = seat.cpu {
            let node = seat.node.map_or_else(|| "any memory".to_owned(), |node| node.to_string());
            tracing::info!(shard, cpu, memory = node, "pinned");
        }
    }
    Ok(seats)
}

fn choose(
    pinning: &Pinning,
    topology: &Topology,
    network: Option<NumaNode>,
    allowed: &[usize],
    rank: u32,
    shards: u8,
) -> Result<Vec<Seat>, NodeError> {
    let shards = usize::from(shards);
    let has_nodes = topology.nodes().len() > 1;
    let seat = |cpu: usize| Seat { cpu: Some(cpu), node: topology.node_of_cpu(cpu).filter(|_| has_nodes) };
    match pinning {
        Pinning::Cpus(cpus) => {
            if let Some(cpu) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
                let reason = format!("--pin: this process may not run on processor {cpu}; see: taskset -pc $$");
                return Err(NodeError::Config(reason));
            }
            if cpus.len() < shards {
                let reason = format!("--pin names {} processors for {shards} shards; name one a shard", cpus.len());
                return Err(NodeError::Config(reason));
            }
            Ok(cpus.iter().take(shards).map(|&cpu| seat(cpu)).collect())
        }
        Pinning::Auto if has_nodes => {
            let order = topology.nearest(network.unwrap_or(topology.nodes()[0].node));
            let of_node = |cpus: &[usize]| cpus.iter().copied().filter(|cpu| allowed.contains(cpu)).collect::<Vec<_>>();
            let mut near: Vec<usize> = Vec::new();
            for info in order {
                if near.len() < shards {
                    near.extend(of_node(&info.cpus));
                }
            }
            if near.len() < shards {
                return Ok(vec![Seat::default(); shards]);
            }
            // Other servers of the same host sit beside this one, not on it.
            let first = rank as usize * shards;
            Ok((first..first + shards).map(|place| seat(near[place % near.len()])).collect())
        }
        Pinning::Auto | Pinning::None => Ok(vec![Seat::default(); shards]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_nodes() -> Topology {
        Topology::of_cpus(&[&[0, 1, 2], &[3, 4, 5]])
    }

    fn cpus(pinning: &Pinning, topology: &Topology, rank: u32, shards: u8) -> Vec<Option<usize>> {
        let allowed: Vec<usize> = (0..5).collect();
        let seats = choose(pinning, topology, Some(NumaNode(1)), &allowed, rank, shards).expect("enough");
        assert!(seats.iter().all(|seat| seat.node == seat.cpu.and_then(|cpu| topology.node_of_cpu(cpu))));
        seats.iter().map(|seat| seat.cpu).collect()
    }

    #[test]
    fn shards_sit_next_to_the_network_adapter_and_servers_beside_each_other() {
        let topology = two_nodes();
        assert_eq!(cpus(&Pinning::Auto, &topology, 0, 1), [Some(3)]);
        assert_eq!(cpus(&Pinning::Auto, &topology, 1, 1), [Some(4)]);
        assert_eq!(cpus(&Pinning::Auto, &topology, 0, 3), [Some(3), Some(4), Some(0)]);
        assert_eq!(cpus(&Pinning::Auto, &topology, 0, 6), [None; 6], "more shards than processors");
        assert_eq!(cpus(&Pinning::None, &topology, 0, 2), [None, None]);
        assert_eq!(cpus(&Pinning::Cpus(vec![4, 0]), &topology, 7, 2), [Some(4), Some(0)]);
    }

    #[test]
    fn one_memory_node_leaves_nothing_to_choose() {
        let topology = Topology::of_cpus(&[&[0, 1]]);
        let seats = choose(&Pinning::Auto, &topology, None, &[0, 1], 0, 1).expect("nothing to refuse");
        assert_eq!(seats, [Seat::default()]);
        let seats = choose(&Pinning::Cpus(vec![1]), &topology, None, &[0, 1], 0, 1).expect("ours");
        assert_eq!(seats, [Seat { cpu: Some(1), node: None }]);
    }

    #[test]
    fn processors_that_are_too_few_or_not_ours_are_told() {
        let refused = |cpus: &[usize], shards| {
            let pinning = Pinning::Cpus(cpus.to_vec());
            choose(&pinning, &two_nodes(), None, &[0, 1], 0, shards).expect_err("refused").to_string()
        };
        assert!(refused(&[9], 1).contains("may not run on processor 9"));
        assert!(refused(&[0], 2).contains("1 processors for 2 shards"));
        assert!("0,x".parse::<Pinning>().is_err() && "9999".parse::<Pinning>().is_err());
        assert_eq!("0, 2".parse(), Ok(Pinning::Cpus(vec![0, 2])));
    }

    #[test]
    fn a_thread_sits_where_it_was_put() {
        let here = sched_getaffinity(None).expect("affinity");
        let Some(cpu) = (0..CpuSet::MAX_CPU).rev().find(|&cpu| here.is_set(cpu)) else { return };
        let sit = move || {
            Seat { cpu: Some(cpu), node: None }.take().expect("one of ours");
            rustix::thread::sched_getcpu()
        };
        assert_eq!(std::thread::spawn(sit).join().expect("a thread"), cpu);
    }
}
