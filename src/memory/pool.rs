//! The pool: slabs, size classes, free lists.

use super::adopted::Adopted;
use super::buffer::Block;
use super::counted::Shell;
use super::slab::{HUGE_PAGE_BYTES, PoolConfig, map_slab};
use memmap2::MmapMut;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Smallest class; also what keeps every block aligned to [`super::ALIGNMENT`].
const CLASS_MIN_BYTES: usize = 256;
/// Doublings from 256 bytes to 2^47.
const DOUBLING_COUNT: usize = 40;
/// Classes of one doubling. All but the first are for blocks that are to be [close](Pool::close_block)
/// to what is asked for.
const STEPS: usize = 32;
const CLASS_COUNT: usize = DOUBLING_COUNT * STEPS;
/// From here on there are steps between the doublings, each a multiple of the smallest class.
const STEPS_MIN_BYTES: usize = CLASS_MIN_BYTES * STEPS;
/// Slabs grow with the pool, from 256 KiB to 64 MiB, and start on huge-page borders where they can.
const SLAB_MIN_BYTES: usize = 256 << 10;
const SLAB_MAX_BYTES: usize = 64 << 20;

/// Hands out [`Block`]s of anonymous memory and takes them back. Shared by handle, safe from any thread.
#[derive(Debug)]
pub struct Pool {
    state: Mutex<State>,
    config: PoolConfig,
}

#[derive(Debug)]
pub(super) struct State {
    slabs: Vec<MmapMut>,
    /// All slabs, adopted ones too, by the address of their first byte.
    pub(super) places: BTreeMap<usize, SlabInfo>,
    /// Slabs so far.
    slab_count: usize,
    /// Memory of others, by the address of its first byte.
    pub(super) adopted: BTreeMap<usize, Adopted>,
    slab_bytes: usize,
    free: [Vec<Address>; CLASS_COUNT],
    /// Uncut rest of the newest slab.
    rest: Option<(Address, usize)>,
    pub(super) used_bytes: usize,
    /// Of frozen blocks that have returned.
    shells: Vec<Shell>,
}

/// Start of a free block. The memory belongs to a slab of the same pool.
#[derive(Debug, Clone, Copy)]
struct Address(NonNull<u8>);

// SAFETY: an `Address` is only a place in a slab; the free list that holds it is the sole owner of
// the bytes behind it, and moving that ownership to another thread is sound for plain memory.
unsafe impl Send for Address {}

/// Bytes that a pool has mapped and handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    /// Bytes of all slabs.
    pub mapped_bytes: usize,
    /// Bytes of all blocks in use, in whole classes.
    pub used_bytes: usize,
}

/// One piece of memory that a pool cuts blocks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlabInfo {
    /// Names the slab in its pool; never used again.
    pub index: usize,
    /// Address of the first byte.
    pub start: usize,
    /// Bytes from there.
    pub bytes: usize,
    /// Whether it is memory of the program, which retires; see [`Pool::retired`].
    pub is_adopted: bool,
}

impl Pool {
    /// A pool that maps at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Pool> {
        Pool::open(PoolConfig { bytes_max, ..PoolConfig::default() })
    }

    /// A pool whose memory comes from where `config` says.
    #[must_use]
    pub fn open(config: PoolConfig) -> Arc<Pool> {
        let state = State {
            slabs: Vec::new(),
            places: BTreeMap::new(),
            slab_count: 0,
            adopted: BTreeMap::new(),
            slab_bytes: 0,
            free: [const { Vec::new() }; CLASS_COUNT],
            rest: None,
            used_bytes: 0,
            shells: Vec::new(),
        };
        Arc::new(Pool { state: Mutex::new(state), config })
    }

    /// An empty pool of the same kind of memory.
    #[must_use]
    pub fn another(&self) -> Arc<Pool> {
        Pool::open(self.config)
    }

    /// A pool bounded only by the machine.
    #[must_use]
    pub fn unbounded() -> Arc<Pool> {
        Pool::new(usize::MAX)
    }

    /// A block of at least `bytes` bytes whose length is `bytes`. The content is undefined but
    /// initialised: zeros or what an earlier owner left.
    ///
    /// # Panics
    /// When the machine or the pool's limit gives no more memory, as every allocation in Rust does.
    #[must_use]
    pub fn block(self: &Arc<Pool>, bytes: usize) -> Block {
        self.block_of_class(class_of(bytes), bytes)
    }

    /// As [`block`](Self::block), for memory that is kept: from 8 KiB on the block is at most a 32nd
    /// larger than asked for. Only blocks of nearly the same size find its memory again.
    ///
    /// # Panics
    /// As [`block`](Self::block).
    #[must_use]
    pub fn close_block(self: &Arc<Pool>, bytes: usize) -> Block {
        self.block_of_class(close_class_of(bytes), bytes)
    }

    fn block_of_class(self: &Arc<Pool>, class: usize, bytes: usize) -> Block {
        let capacity = class_bytes(class);
        let start = self.lock().take(class, &self.config);
        match start {
            Some(Address(start)) => Block::new(start, capacity, bytes, Arc::clone(self)),
            None => panic!(
                "out of memory: a block of {capacity} bytes does not fit below the pool's limit of {} bytes",
                self.config.bytes_max
            ),
        }
    }

    /// What is mapped and in use now.
    #[must_use]
    pub fn usage(&self) -> PoolUsage {
        let state = self.lock();
        PoolUsage { mapped_bytes: state.slab_bytes, used_bytes: state.used_bytes }
    }

    /// The slab of this pool in which the byte at `address` lies. A fabric registers memory by whole
    /// slabs: once, on first use.
    #[must_use]
    pub fn slab_of(&self, address: usize) -> Option<SlabInfo> {
        let state = self.lock();
        state.slab_of(address)
    }

    /// Takes a block back, with its shell if it was frozen; called by its owner's drop.
    pub(super) fn give_back(&self, start: NonNull<u8>, capacity: usize, shell: Option<Shell>) {
        let mut state = self.lock();
        state.used_bytes -= capacity;
        if state.take_home(start) {
            state.shells.extend(shell);
            return;
        }
        state.free[close_class_of(capacity)].push(Address(start));
        state.shells.extend(shell);
    }

    /// A shell to freeze a block into.
    pub(super) fn take_shell(&self) -> Shell {
        let kept = self.lock().shells.pop();
        kept.unwrap_or_else(Shell::new)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside the lock leaves the lists whole: each change is a single push or pop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn slab_of(&self, address: usize) -> Option<SlabInfo> {
        let (&start, &slab) = self.places.range(..=address).next_back()?;
        (address - start < slab.bytes).then_some(slab)
    }

    /// Names a new slab.
    pub(super) fn add_place(&mut self, start: usize, bytes: usize, is_adopted: bool) {
        self.places.insert(start, SlabInfo { index: self.slab_count, start, bytes, is_adopted });
        self.slab_count += 1;
    }

    fn take(&mut self, class: usize, config: &PoolConfig) -> Option<Address> {
        let capacity = class_bytes(class);
        let address = match self.free[class].pop() {
            Some(address) => address,
            None => self.cut(capacity, config)?,
        };
        self.used_bytes += capacity;
        Some(address)
    }

    /// Cuts a fresh block from the newest slab, or from a new one.
    fn cut(&mut self, capacity: usize, config: &PoolConfig) -> Option<Address> {
        if self.rest.is_none_or(|(_, bytes)| bytes < capacity) {
            self.shelve_rest();
            self.map_slab(capacity, config)?;
        }
        let (Address(start), bytes) = self.rest?;
        // SAFETY: `capacity <= bytes`, and `start..start + bytes` lies inside one slab.
        let next = unsafe { start.add(capacity) };
        self.rest = (bytes > capacity).then_some((Address(next), bytes - capacity));
        Some(Address(start))
    }

    /// Moves the uncut rest of a slab to the free lists, largest pieces first.
    fn shelve_rest(&mut self) {
        let Some((Address(mut start), mut bytes)) = self.rest.take() else { return };
        while bytes >= CLASS_MIN_BYTES {
            let class = class_of_floor(bytes);
            let piece = class_bytes(class);
            self.free[class].push(Address(start));
            // SAFETY: `piece <= bytes`, and the rest lies inside one slab.
            start = unsafe { start.add(piece) };
            bytes -= piece;
        }
    }

    fn map_slab(&mut self, capacity: usize, config: &PoolConfig) -> Option<()> {
        let least = if config.huge_pages.is_explicit() { HUGE_PAGE_BYTES } else { SLAB_MIN_BYTES };
        let wanted = self.slab_bytes.clamp(least, SLAB_MAX_BYTES).next_power_of_two();
        let mut bytes = capacity.max(wanted);
        let left = config.bytes_max - self.slab_bytes;
        if bytes > HUGE_PAGE_BYTES {
            // Whole huge pages, where that is no reason to refuse.
            bytes = Some(bytes.next_multiple_of(HUGE_PAGE_BYTES)).filter(|&whole| whole <= left).unwrap_or(bytes);
        }
        if bytes > left {
            return None;
        }
        let mut slab = map_slab(bytes, config)?;
        let start = NonNull::new(slab.as_mut_ptr())?;
        self.slab_bytes += bytes;
        self.add_place(start.as_ptr() as usize, bytes, false);
        self.slabs.push(slab);
        self.rest = Some((Address(start), bytes));
        Some(())
    }
}

const fn class_bytes(class: usize) -> usize {
    let doubling = CLASS_MIN_BYTES << (class / STEPS);
    doubling + doubling / STEPS * (class % STEPS)
}

/// The class of the smallest power of two that holds `bytes`.
fn class_of(bytes: usize) -> usize {
    let bytes = bytes.max(CLASS_MIN_BYTES).next_power_of_two();
    class_of_floor(bytes)
}

/// The smallest class that holds `bytes`.
fn close_class_of(bytes: usize) -> usize {
    if bytes < STEPS_MIN_BYTES {
        return class_of(bytes);
    }
    let doubling = 1 << bytes.ilog2();
    class_of_floor(bytes) + (bytes - doubling).div_ceil(doubling / STEPS)
}

/// The class of the largest power of two that fits into `bytes`, which is at least the smallest class.
fn class_of_floor(bytes: usize) -> usize {
    (bytes.ilog2() - CLASS_MIN_BYTES.ilog2()) as usize * STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_returns_to_its_pool_and_is_handed_out_again() {
        let pool = Pool::unbounded();
        let first = pool.block(1000);
        let place = first.as_ptr();
        assert_eq!(pool.usage().used_bytes, 1024);
        drop(first);
        assert_eq!(pool.usage().used_bytes, 0);
        assert_eq!(pool.block(600).as_ptr(), place);
    }

    #[test]
    fn a_close_block_is_a_little_larger_than_asked_for_and_is_found_again() {
        let pool = Pool::unbounded();
        for bytes in (8192..40_000).step_by(77).chain([1 << 20, (1 << 20) + 1, 200_000]) {
            let block = pool.close_block(bytes);
            let (place, capacity) = (block.as_ptr(), block.capacity());
            assert!(capacity >= bytes && capacity <= bytes + bytes / 32 + 1, "{capacity} for {bytes}");
            assert_eq!(place as usize % crate::memory::ALIGNMENT, 0);
            drop(block);
            assert_eq!(pool.close_block(capacity).as_ptr(), place);
            assert_eq!(pool.usage().used_bytes, 0);
        }
    }

    #[test]
    fn blocks_in_use_do_not_overlap() {
        let pool = Pool::unbounded();
        let mut blocks: Vec<_> = (0..200).map(|i| pool.block(1 + i * 37 % 5000)).collect();
        for (i, block) in blocks.iter_mut().enumerate() {
            block.fill(i as u8);
        }
        for (i, block) in blocks.iter().enumerate() {
            assert!(block.iter().all(|&byte| byte == i as u8), "block {i} was overwritten");
            assert_eq!(block.as_ptr() as usize % crate::memory::ALIGNMENT, 0);
        }
    }

    #[test]
    fn every_byte_of_a_block_is_found_in_its_slab_and_no_other_byte() {
        let pool = Pool::unbounded();
        let blocks: Vec<_> = (0..40).map(|i| pool.block(1 << (8 + i % 12))).collect();
        for block in &blocks {
            let start = block.as_ptr() as usize;
            let slab = pool.slab_of(start).expect("a byte of a block");
            assert!(start >= slab.start && start + block.len() <= slab.start + slab.bytes);
            assert_eq!(pool.slab_of(start + block.len() - 1), Some(slab));
        }
        let elsewhere = Pool::unbounded().block(1);
        assert_eq!(pool.slab_of(elsewhere.as_ptr() as usize), None);
        assert_eq!(pool.slab_of(0), None);
    }

    #[test]
    #[should_panic(expected = "limit of 4096 bytes")]
    fn a_pool_at_its_limit_says_so() {
        let _ = Pool::new(4096).block(1 << 20);
    }
}
