//! Merging two ordered runs of keys.

use super::chunk::NO_PLACE;

/// Fills `keys` with the smallest of two ascending runs without a common key, and `sources` with each
/// one's place in `own`, [`NO_PLACE`] for those of `new`; gives how many are from `own`. The runs
/// together have at least as many.
///
/// Neither run can be told beforehand, so the loop has no branch that depends on it.
#[inline(always)]
pub(super) fn merge_keys(own: &[u64], new: &[u64], keys: &mut [u64], sources: &mut [u32]) -> usize {
    let (mut row, mut from_own, mut from_new) = (0, 0, 0);
    while let (Some(key), Some(source), Some(&a), Some(&b)) =
        (keys.get_mut(row), sources.get_mut(row), own.get(from_own), new.get(from_new))
    {
        let is_own = a < b;
        *key = a.min(b);
        *source = from_own as u32 | u32::from(is_own).wrapping_sub(1);
        from_own += usize::from(is_own);
        from_new += usize::from(!is_own);
        row += 1;
    }
    // What is left is of one run.
    let (keys, sources) = (&mut keys[row..], &mut sources[row..]);
    let owned = keys.len().min(own.len() - from_own);
    keys[..owned].copy_from_slice(&own[from_own..from_own + owned]);
    sources[..owned].iter_mut().zip(from_own as u32..).for_each(|(source, place)| *source = place);
    let others = keys.len() - owned;
    keys[owned..].copy_from_slice(&new[from_new..from_new + others]);
    sources[owned..].fill(NO_PLACE);
    from_own + owned
}
