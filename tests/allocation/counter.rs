//! The counting allocator.
//!
//! A thread is counted when it has asked for it, and only while a `count` runs. Tests that count take
//! turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

struct Counter;

#[global_allocator]
static COUNTER: Counter = Counter;

static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread's allocations are counted.
pub(crate) fn watch_this_thread() {
    WATCHED.set(true);
}

/// Allocations of the watched threads while `work` runs; growing an allocation is one as well.
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = COUNT.load(Ordering::SeqCst);
    COUNTING.store(true, Ordering::SeqCst);
    work();
    COUNTING.store(false, Ordering::SeqCst);
    let counted = COUNT.load(Ordering::SeqCst) - before;
    drop(turn);
    counted
}

fn note() {
    // A thread that ends has no flag any more.
    if COUNTING.load(Ordering::Relaxed) && WATCHED.try_with(Cell::get).unwrap_or(false) {
        COUNT.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: every call goes to the system's allocator as it is, which keeps the contract; counting
// touches an atomic and a plain thread-local flag and allocates nothing.
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
    watch_this_thread();
    assert_eq!(count(|| drop(std::hint::black_box(vec![1u8; 100]))), 1);
    assert_eq!(count(|| ()), 0);
}
