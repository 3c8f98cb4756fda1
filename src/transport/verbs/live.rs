//! How many verbs objects this process has, so that a test can say that none is left.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Kinds of objects that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ProtectionDomain,
    CompletionChannel,
    CompletionQueue,
    SharedReceiveQueue,
    MemoryRegion,
    MemoryWindow,
    QueuePair,
}

const KIND_COUNT: usize = 7;

static COUNTS: [AtomicUsize; KIND_COUNT] = [const { AtomicUsize::new(0) }; KIND_COUNT];

/// Verbs objects of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveObjects {
    /// Protection domains.
    pub protection_domains: usize,
    /// Completion channels.
    pub completion_channels: usize,
    /// Completion queues.
    pub completion_queues: usize,
    /// Shared receive queues.
    pub shared_receive_queues: usize,
    /// Memory regions.
    pub memory_regions: usize,
    /// Memory windows.
    pub memory_windows: usize,
    /// Queue pairs.
    pub queue_pairs: usize,
}

impl LiveObjects {
    /// What there is now.
    #[must_use]
    pub fn now() -> LiveObjects {
        let count = |kind: Kind| COUNTS[kind as usize].load(Ordering::Relaxed);
        LiveObjects {
            protection_domains: count(Kind::ProtectionDomain),
            completion_channels: count(Kind::CompletionChannel),
            completion_queues: count(Kind::CompletionQueue),
            shared_receive_queues: count(Kind::SharedReceiveQueue),
            memory_regions: count(Kind::MemoryRegion),
            memory_windows: count(Kind::MemoryWindow),
            queue_pairs: count(Kind::QueuePair),
        }
    }
}

/// Counts one object as long as it lives.
#[derive(Debug)]
pub(super) struct Live(Kind);

impl Live {
    pub(super) fn new(kind: Kind) -> Live {
        COUNTS[kind as usize].fetch_add(1, Ordering::Relaxed);
        Live(kind)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        COUNTS[self.0 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
