//! Numbers that are zero, left out: a bitmap says which are not.

/// Bytes behind the last number that compacting may write in passing.
pub const COMPACT_SLACK_BYTES: usize = 64;

/// How many numbers have a bit that is set.
#[inline(always)]
pub(super) fn count_nonzero<const N: usize>(numbers: &[[u8; N]]) -> usize {
    numbers.iter().filter(|number| **number != [0; N]).count()
}

/// A bit for each number in words of 64, and the numbers whose bit is set; gives their count.
/// `target` has room for one more.
#[inline(always)]
pub(super) fn compact_nonzero<const N: usize>(
    numbers: &[[u8; N]],
    bitmap: &mut [u64],
    target: &mut [[u8; N]],
) -> usize {
    let mut kept = 0;
    for (numbers, word) in numbers.chunks(64).zip(bitmap) {
        let mut bits = 0;
        for (index, number) in numbers.iter().enumerate() {
            let is_kept = *number != [0; N];
            target[kept] = *number;
            kept += usize::from(is_kept);
            bits |= u64::from(is_kept) << index;
        }
        *word = bits.to_le();
    }
    kept
}

/// The numbers whose bit is set, and zeros between them; gives how many of `packed` were used.
/// There are as many of these as bits.
#[inline(always)]
pub(super) fn expand_nonzero<const N: usize>(bitmap: &[[u8; 8]], packed: &[[u8; N]], target: &mut [[u8; N]]) -> usize {
    let mut used = 0;
    for (&word, target) in bitmap.iter().zip(target.chunks_mut(64)) {
        let mut bits = u64::from_le_bytes(word);
        target.fill([0; N]);
        while bits != 0 {
            target[bits.trailing_zeros() as usize] = packed[used];
            used += 1;
            bits &= bits - 1;
        }
    }
    used
}
