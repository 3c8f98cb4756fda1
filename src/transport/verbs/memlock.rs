//! How much memory this process may lock, asked before a registration that would need it.
//!
//! The kernel counts what is registered as pinned pages of the process and refuses what would go
//! beyond the soft limit, with nothing but `ENOMEM`. A process with `CAP_IPC_LOCK` is not counted out.

use super::error::VerbsError;
use rustix::process::{Resource, getrlimit};
use std::fmt;

/// The soft limit of locked memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLockLimit {
    /// There is none, or this process stands above it.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// What is locked, and what may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedMemory {
    /// Bytes that are registered with devices now.
    pub pinned_bytes: u64,
    /// How many may be.
    pub limit: MemoryLockLimit,
}

/// The right to lock memory without limit, as a bit of the capabilities.
const CAP_IPC_LOCK: u32 = 14;

impl LockedMemory {
    /// How it stands with this process now.
    #[must_use]
    pub fn now() -> LockedMemory {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        LockedMemory::of(&status, getrlimit(Resource::Memlock).current)
    }

    /// From the text of `/proc/self/status` and the soft limit.
    fn of(status: &str, limit: Option<u64>) -> LockedMemory {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let kibibytes = field("VmPin:").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        let capabilities = field("CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
        let is_above = capabilities >> CAP_IPC_LOCK & 1 == 1;
        let limit = match limit {
            Some(bytes) if !is_above => MemoryLockLimit::Bytes(bytes),
            _ => MemoryLockLimit::Unlimited,
        };
        LockedMemory { pinned_bytes: kibibytes.unwrap_or(0) << 10, limit }
    }

    /// Whether `bytes` more can be registered.
    ///
    /// # Errors
    /// What is needed, what the limit is, and how to lift it.
    pub fn check(self, bytes: u64) -> Result<(), VerbsError> {
        match self.limit {
            MemoryLockLimit::Bytes(limit) if self.pinned_bytes.saturating_add(bytes) > limit => {
                Err(VerbsError::MemoryLock { bytes, locked: self })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for LockedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            MemoryLockLimit::Bytes(limit) => write!(f, "{} of the limit of {limit} are locked", self.pinned_bytes),
            MemoryLockLimit::Unlimited => write!(f, "{} are locked, without a limit", self.pinned_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tparashard\nVmLck:\t       0 kB\nVmPin:\t      16 kB\nCapEff:\t0000000000000000\n";

    #[test]
    fn what_is_pinned_counts_against_the_limit() {
        let locked = LockedMemory::of(STATUS, Some(64 << 10));
        assert_eq!(locked, LockedMemory { pinned_bytes: 16 << 10, limit: MemoryLockLimit::Bytes(64 << 10) });
        locked.check(48 << 10).unwrap();
        let message = locked.check((48 << 10) + 1).unwrap_err().to_string();
        for words in
            ["registering 49153 bytes", "16384 of the limit of 65536", "ulimit -l unlimited", "limits.d", "Slurm"]
        {
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn without_a_limit_or_with_the_right_to_pass_it_everything_goes() {
        let privileged = STATUS.replace("CapEff:\t0000000000000000", "CapEff:\t0000000000004000");
        for locked in [LockedMemory::of(STATUS, None), LockedMemory::of(&privileged, Some(0))] {
            assert_eq!(locked.limit, MemoryLockLimit::Unlimited);
            locked.check(1 << 40).unwrap();
        }
    }

    #[test]
    fn an_unreadable_status_leaves_the_plain_limit() {
        assert_eq!(LockedMemory::of("", Some(9)).limit, MemoryLockLimit::Bytes(9));
        LockedMemory::now().check(0).unwrap();
    }
}
