//! Hints to the caches.

/// Asks for the cache line that holds `number`, without waiting for it. Changes nothing but time;
/// where the processor has no such instruction it does nothing.
#[inline(always)]
pub fn prefetch<T>(number: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is part of every x86-64 processor, and the address is a valid reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(number).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = number;
}

/// As [`prefetch`], for what is wanted some hundred keys later: asks the second cache, which waits for
/// far more lines at once than the first (measured on Zen 4: scattered sums over 40 MB cost 1.6 ns a
/// key instead of 5.0, where [`prefetch`] at any distance changed nothing).
#[inline(always)]
pub fn prefetch_far<T>(number: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: the instruction is part of every x86-64 processor, and the address is a valid reference.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(number).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = number;
}
