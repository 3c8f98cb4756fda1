//! A plain ring between two threads: one copies into its slots, the other out of them.

use crate::pin::Placement;
use anyhow::{Result, anyhow};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Slots of the ring, and bytes of each: as many as a node's own.
const SLOTS: u64 = 8;
const SLOT_BYTES: usize = 256 << 10;
/// Bytes that each side works on, in turn: what a cache near the core does not hold.
const DATA_BYTES: usize = 8 << 20;

struct Ring {
    /// Taken by one side at a time, so never waited for.
    slots: Vec<Mutex<Vec<u8>>>,
    filled: AtomicU64,
    emptied: AtomicU64,
    is_over: AtomicBool,
}

/// GB/s that come out within `time`.
pub(crate) fn ring_gb_per_s(placement: &Placement, time: Duration) -> Result<f64> {
    let slots = (0..SLOTS).map(|_| Mutex::new(vec![7; SLOT_BYTES])).collect();
    let ring = Ring { slots, filled: AtomicU64::new(0), emptied: AtomicU64::new(0), is_over: AtomicBool::new(false) };
    let ring = Arc::new(ring);
    let theirs = Arc::clone(&ring);
    let reader = placement.start_on_server(|| Ok(std::thread::spawn(move || drain(&theirs))))?;
    let source = vec![7; DATA_BYTES];
    let (begin, mut place) = (Instant::now(), 0);
    while begin.elapsed() < time {
        let chunk = &source[place * SLOT_BYTES..][..SLOT_BYTES];
        fill(&ring, chunk);
        place = (place + 1) % (DATA_BYTES / SLOT_BYTES);
    }
    ring.is_over.store(true, Ordering::Release);
    reader.join().map_err(|_| anyhow!("the reader of the ring broke an invariant"))
}

fn fill(ring: &Ring, chunk: &[u8]) {
    let filled = ring.filled.load(Ordering::Relaxed);
    while filled - ring.emptied.load(Ordering::Acquire) == SLOTS {
        spin_loop();
    }
    let mut slot = ring.slots[(filled % SLOTS) as usize].lock().unwrap_or_else(PoisonError::into_inner);
    slot.copy_from_slice(chunk);
    drop(slot);
    ring.filled.store(filled + 1, Ordering::Release);
}

/// Copies out until nothing more comes; bytes a nanosecond since the first.
fn drain(ring: &Ring) -> f64 {
    let mut target = vec![0; DATA_BYTES];
    let mut emptied = 0;
    let mut begin = None;
    loop {
        if ring.filled.load(Ordering::Acquire) == emptied {
            if ring.is_over.load(Ordering::Acquire) && ring.filled.load(Ordering::Acquire) == emptied {
                let nanoseconds = begin.map_or(1, |begin: Instant| begin.elapsed().as_nanos()).max(1);
                return (emptied * SLOT_BYTES as u64) as f64 / nanoseconds as f64;
            }
            spin_loop();
            continue;
        }
        begin.get_or_insert_with(Instant::now);
        let place = (emptied as usize % (DATA_BYTES / SLOT_BYTES)) * SLOT_BYTES;
        let slot = ring.slots[(emptied % SLOTS) as usize].lock().unwrap_or_else(PoisonError::into_inner);
        target[place..place + SLOT_BYTES].copy_from_slice(&slot);
        drop(slot);
        emptied += 1;
        ring.emptied.store(emptied, Ordering::Release);
    }
}
