//! The counting allocator.
//!
//! A thread is counted when it has asked for it, and only while a `count` runs; `count_all` counts every
//! thread of the process. Tests take turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Counter;

#[global_allocator]
static COUNTER: Counter = Counter;

static COUNTING: AtomicBool = AtomicBool::new(false);
/// Whether threads are counted that have not asked for it.
static ALL: AtomicBool = AtomicBool::new(false);
/// Whether each counted allocation says where it was made.
static TELLING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// Whether the thread is saying where it allocated, which allocates.
    static TELLS: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread's allocations are counted.
pub(crate) fn watch_this_thread() {
    WATCHED.set(true);
}

/// Held by each test from its beginning to its end, so that none counts what another allocates.
pub(crate) fn take_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Allocations of the watched threads while `work` runs; growing an allocation is one as well.
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.load(Ordering::SeqCst);
    COUNTING.store(true, Ordering::SeqCst);
    work();
    COUNTING.store(false, Ordering::SeqCst);
    COUNT.load(Ordering::SeqCst) - before
}

/// Allocations of all threads of the process while `work` runs.
pub(crate) fn count_all(work: impl FnOnce()) -> u64 {
    ALL.store(true, Ordering::SeqCst);
    let counted = count(work);
    ALL.store(false, Ordering::SeqCst);
    counted
}

/// Runs `work`, and prints where each allocation of all threads is made.
pub(crate) fn tell_all(work: impl FnOnce()) {
    TELLING.store(true, Ordering::SeqCst);
    count_all(work);
    TELLING.store(false, Ordering::SeqCst);
}

fn note() {
    if !COUNTING.load(Ordering::Relaxed) {
        return;
    }
    // A thread that ends has no flags any more.
    let is_watched = ALL.load(Ordering::Relaxed) || WATCHED.try_with(Cell::get).unwrap_or(false);
    let is_free = || !TELLS.try_with(|tells| tells.replace(true)).unwrap_or(true);
    if !is_watched {
        return;
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
    if TELLING.load(Ordering::Relaxed) && is_free() {
        eprintln!("an allocation:\n{}", Backtrace::force_capture());
        TELLS.set(false);
    }
}

// SAFETY: every call goes to the system's allocator as it is, which keeps the contract; counting
// touches atomics and plain thread-local flags and allocates nothing, and telling, which does
// allocate, does not tell of itself.
unsafe impl GlobalAlloc for Counter {
    // SAFETY: the caller's promises are those of `System.alloc`.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller's promises are those of `System.dealloc`.
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `System`, as everything here does.
        unsafe { System.dealloc(place, layout) }
    }

    // SAFETY: the caller's promises are those of `System.realloc`.
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note();
        // SAFETY: `place` came from `System`, as everything here does.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[test]
fn an_allocation_is_counted() {
    let _turn = take_turn();
    watch_this_thread();
    assert_eq!(count(|| drop(std::hint::black_box(vec![1u8; 100]))), 1);
    assert_eq!(count(|| ()), 0);
}
