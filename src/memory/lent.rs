//! Arrays that are lent to a pool for the time of a call.
//!
//! The borrow ends when [`Pool::lend`] returns, and it returns, or goes on unwinding, only when nobody
//! uses the memory any more. That rests on the block of the memory being home, which its drop alone brings
//! about, and on the holds of devices; on no value that `work` could forget. [`Lent`] is only a name.

use super::buffer::Block;
use super::pool::Pool;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What was lent during one call.
pub struct LendScope<'scope, 'env: 'scope> {
    pool: Arc<Pool>,
    starts: Mutex<Vec<usize>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Names memory that is lent. The numbers are seen again when the call is over.
pub struct Lent<'scope, T> {
    pool: Arc<Pool>,
    /// Zero for no bytes.
    start: usize,
    numbers: PhantomData<&'scope mut [T]>,
}

impl Pool {
    /// Runs `work`, which may lend memory to this pool, and returns when nobody uses any of it. Until
    /// then `progress` is called, with the question whether it is so; it should wait for that, and make
    /// those who use the memory stop. A panic in it changes nothing.
    pub fn lend<'env, R>(
        self: &Arc<Pool>,
        mut progress: impl FnMut(&dyn Fn() -> bool),
        work: impl for<'scope> FnOnce(&'scope LendScope<'scope, 'env>) -> R,
    ) -> R {
        let (pool, starts) = (Arc::clone(self), Mutex::new(Vec::new()));
        let scope = LendScope { pool, starts, scope: PhantomData, env: PhantomData };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&scope)));
        let starts = scope.starts.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
        // Every one of them is asked, so that none is used anew.
        let are_free = || starts.iter().filter(|&&start| !self.is_free(start)).count() == 0;
        while !are_free() {
            // What `progress` does cannot make the memory free earlier than it is.
            let _ = catch_unwind(AssertUnwindSafe(|| progress(&are_free)));
        }
        starts.iter().for_each(|&start| self.forget(start));
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<'scope, 'env> LendScope<'scope, 'env> {
    /// Lends memory until the call is over.
    pub fn lend<T: FromBytes + IntoBytes + Immutable>(&self, memory: &'env mut [T]) -> Lent<'scope, T> {
        let bytes = size_of_val(memory);
        let start = NonNull::from(memory).cast::<u8>();
        let pool = Arc::clone(&self.pool);
        if bytes == 0 {
            return Lent { pool, start: 0, numbers: PhantomData };
        }
        let address = start.as_ptr().expose_provenance();
        // SAFETY: the memory is borrowed for `'env`, which outlives the call of `Pool::lend`; that call asks
        // `is_free` before it returns or unwinds, and the mutable borrow keeps everybody else away.
        unsafe { pool.borrow(start, bytes) };
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).push(address);
        Lent { pool, start: address, numbers: PhantomData }
    }
}

impl<T> Lent<'_, T> {
    /// The memory as a block, to send from or to let an answer land in; nothing while the last use of it
    /// is not over. The call that lent it waits for the block's return.
    #[must_use]
    pub fn take(&self) -> Option<Block> {
        if self.start == 0 { Some(self.pool.block(0)) } else { self.pool.take_lent(self.start) }
    }
}

impl fmt::Debug for LendScope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LendScope")
    }
}

impl<T> fmt::Debug for Lent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::LandingBlock;

    #[test]
    fn what_landed_in_lent_memory_is_seen_when_the_call_is_over() {
        let pool = Pool::unbounded();
        let mut numbers = [0u64; 2];
        let late = std::cell::RefCell::new(None);
        pool.lend(
            |is_free| {
                assert!(!is_free());
                let given: crate::memory::Landing = late.borrow_mut().take().expect("given away until now");
                given.as_shared().write(8, &9u64);
            },
            |scope| {
                let lent = scope.lend(&mut numbers);
                let block = LandingBlock::new(lent.take().expect("home"));
                assert!(lent.take().is_none());
                let given = block.landing(0..16);
                given.as_shared().write(0, &7u64);
                *late.borrow_mut() = Some(given);
                std::mem::forget(lent);
            },
        );
        assert_eq!(numbers, [7, 9]);
    }

    #[test]
    fn a_panic_and_a_device_are_waited_for() {
        let pool = Pool::unbounded();
        let mut numbers = vec![1u8; 100];
        let hold = std::cell::RefCell::new(None);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.lend(
                |_| {
                    let held: crate::memory::SlabHold = hold.borrow_mut().take().expect("held until now");
                    assert_eq!(pool.retired(), [held.slab().index]);
                    drop(held);
                    panic!("of no consequence");
                },
                |scope| {
                    let lent = scope.lend(&mut numbers);
                    let block = lent.take().expect("home");
                    *hold.borrow_mut() = pool.hold(block.as_ptr() as usize + 50);
                    panic!("told on");
                },
            )
        }));
        let message = outcome.expect_err("the panic goes on").downcast::<&str>().expect("a text");
        assert_eq!((*message, pool.slab_of(numbers.as_ptr() as usize)), ("told on", None));
    }
}
