//! Slabs: the large mappings that a pool cuts blocks from, their pages and their memory node.
//!
//! Explicit huge pages come from the machine's reserve, and are taken whole when a slab is mapped: a
//! page that the reserve or a control group does not give is an error here and not a signal later.
//! Where they are not to be had, the kernel is advised to use transparent ones. Both kinds are a wish;
//! small pages work as well. What was not granted is said in the log once.

use super::numa::{NumaNode, prefer_node};
use memmap2::{Advice, MmapMut, MmapOptions};
use std::fs;
use std::io;
use std::str::FromStr;
use std::sync::Once;

/// The huge page of the machines we know.
pub(super) const HUGE_PAGE_BYTES: usize = 2 << 20;
const HUGE_PAGE_BITS: u8 = HUGE_PAGE_BYTES.trailing_zeros() as u8;
/// Where the kernel tells of its reserve of huge pages.
const RESERVE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// Where a pool's memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Bytes that the pool maps at most.
    pub bytes_max: usize,
    /// The memory node to prefer; none leaves the choice to whoever touches a page first.
    pub node: Option<NumaNode>,
    /// Kind of huge pages.
    pub huge_pages: HugePages,
}

impl Default for PoolConfig {
    /// Bounded only by the machine, on any node, in transparent huge pages.
    fn default() -> PoolConfig {
        PoolConfig { bytes_max: usize::MAX, node: None, huge_pages: HugePages::Transparent }
    }
}

/// Kinds of huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HugePages {
    /// Explicit where the machine has a reserve, transparent elsewhere.
    #[default]
    Auto,
    /// From the machine's reserve; transparent, with a warning, where it gives none.
    Explicit,
    /// As the kernel finds them.
    Transparent,
}

impl FromStr for HugePages {
    type Err = String;

    fn from_str(text: &str) -> Result<HugePages, String> {
        match text {
            "auto" => Ok(HugePages::Auto),
            "explicit" => Ok(HugePages::Explicit),
            "transparent" => Ok(HugePages::Transparent),
            _ => Err("choose from auto, explicit and transparent".to_owned()),
        }
    }
}

impl HugePages {
    /// Whether the reserve is asked.
    pub(super) fn is_explicit(self) -> bool {
        match self {
            HugePages::Auto => has_reserve(),
            HugePages::Explicit => true,
            HugePages::Transparent => false,
        }
    }
}

/// Maps zeroed memory. Of `bytes` that are a multiple of the huge page the reserve is asked, if it is to be.
pub(super) fn map_slab(bytes: usize, config: &PoolConfig) -> Option<MmapMut> {
    if bytes.is_multiple_of(HUGE_PAGE_BYTES) && config.huge_pages.is_explicit() {
        match map_explicit(bytes, config.node) {
            Ok(slab) => return Some(slab),
            Err(error) => say_not_reserved(config.huge_pages, &error),
        }
    } else if config.huge_pages == HugePages::Auto && !has_reserve() {
        say_no_reserve();
    }
    let mut slab = MmapOptions::new().len(bytes).map_anon().ok()?;
    prefer(&mut slab, config.node);
    if bytes >= HUGE_PAGE_BYTES {
        // Huge pages are a wish: a kernel without them leaves small pages, which work as well.
        let _ = slab.advise(Advice::HugePage);
    }
    Some(slab)
}

fn map_explicit(bytes: usize, node: Option<NumaNode>) -> io::Result<MmapMut> {
    let mut slab = MmapOptions::new().len(bytes).huge(Some(HUGE_PAGE_BITS)).map_anon()?;
    prefer(&mut slab, node);
    match slab.advise(Advice::PopulateWrite) {
        // A kernel before 5.14 cannot be asked for the pages now. The mapping has reserved them.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(slab),
        Err(error) => Err(error),
        Ok(()) => Ok(slab),
    }
}

fn prefer(slab: &mut MmapMut, node: Option<NumaNode>) {
    static SAID: Once = Once::new();
    let Some(node) = node else { return };
    if let Err(error) = prefer_node(slab, node) {
        SAID.call_once(|| {
            tracing::warn!("memory cannot be asked from {node}: {error}; it comes from where it is used")
        });
    }
}

/// Whether the machine keeps huge pages, or makes them on demand.
fn has_reserve() -> bool {
    ["nr_hugepages", "nr_overcommit_hugepages"].iter().any(|name| {
        let count = fs::read_to_string(format!("{RESERVE}/{name}"));
        count.is_ok_and(|count| count.trim().parse::<u64>().is_ok_and(|count| count > 0))
    })
}

fn say_no_reserve() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::info!(
            "no huge pages are reserved, using transparent ones; to reserve 2 GiB: sysctl vm.nr_hugepages=1024"
        );
    });
}

fn say_not_reserved(wanted: HugePages, error: &io::Error) {
    static SAID: Once = Once::new();
    let message = "the reserve of huge pages gives no more, using transparent ones";
    SAID.call_once(|| match wanted {
        HugePages::Explicit => tracing::warn!("{message}: {error}; to reserve 2 GiB: sysctl vm.nr_hugepages=1024"),
        _ => tracing::info!("{message}: {error}; to reserve 2 GiB: sysctl vm.nr_hugepages=1024"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_pages_gives_memory_whatever_the_machine_has_reserved() {
        for huge_pages in [HugePages::Auto, HugePages::Explicit, HugePages::Transparent] {
            for bytes in [4096, HUGE_PAGE_BYTES, 3 * HUGE_PAGE_BYTES] {
                let config = PoolConfig { huge_pages, ..PoolConfig::default() };
                let mut slab = map_slab(bytes, &config).expect("memory");
                assert!(slab.len() == bytes && slab.iter().step_by(4096).all(|&byte| byte == 0));
                slab.fill(1);
            }
        }
    }

    /// Bytes of the pages behind an address.
    fn page_bytes(address: usize) -> Option<usize> {
        let maps = fs::read_to_string("/proc/self/smaps").ok()?;
        let start = format!("{address:x}-");
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
        let line = lines.find(|line| line.starts_with("KernelPageSize"))?;
        Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
    }

    #[test]
    fn explicit_pages_are_huge_as_long_as_the_reserve_has_some() {
        let config = PoolConfig { huge_pages: HugePages::Explicit, ..PoolConfig::default() };
        match map_explicit(HUGE_PAGE_BYTES, None) {
            Ok(slab) => assert_eq!(page_bytes(slab.as_ptr() as usize), Some(HUGE_PAGE_BYTES)),
            Err(error) => println!("not shown here: no huge page is reserved: {error}"),
        }
        // More than any machine of a test reserves.
        let slab = map_slab(1 << 40, &config).map(|slab| page_bytes(slab.as_ptr() as usize));
        assert!(slab.is_none_or(|bytes| bytes.is_none_or(|bytes| bytes < HUGE_PAGE_BYTES)));
    }

    #[test]
    fn kinds_of_pages_have_names() {
        assert_eq!("explicit".parse(), Ok(HugePages::Explicit));
        assert!("gigantic".parse::<HugePages>().expect_err("no kind").contains("auto"));
    }
}
