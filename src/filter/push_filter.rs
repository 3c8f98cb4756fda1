//! Filters of the user's own on the pushing side.
//!
//! A filter sees each push of its table, with what was held back of its keys before added, and may change
//! numbers and hold keys back. It sees the answers to the worker's pulls, so that it can judge a
//! gradient by the weight that it is for. What it holds back is kept by the worker, added to the key's next
//! push and sent at the latest when the worker finishes the table: a filter loses nothing that it does not
//! change itself. Its signatures are slices and numbers, so that they can be said in C.

/// Decides what of a table's pushes is sent now. One worker has one for each table that declares it; it
/// works in the order of pushes and pulls of that worker, so it repeats itself as they do.
///
/// ```
/// use parashard::client::{PushFilter, PushFilters};
/// use std::collections::BTreeSet;
///
/// /// Holds back every key that was not held back the last time.
/// #[derive(Default)]
/// struct EverySecond(BTreeSet<u64>);
///
/// impl EverySecond {
///     fn hold(&mut self, keys: &[u64], held: &mut [bool]) {
///         for (key, held) in keys.iter().zip(held) {
///             *held = !self.0.remove(key) && self.0.insert(*key);
///         }
///     }
/// }
///
/// impl PushFilter for EverySecond {
///     fn push_f32(&mut self, keys: &[u64], _values: &mut [f32], held: &mut [bool]) {
///         self.hold(keys, held);
///     }
///     fn push_f64(&mut self, keys: &[u64], _values: &mut [f64], held: &mut [bool]) {
///         self.hold(keys, held);
///     }
/// }
///
/// let mut filters = PushFilters::default();
/// filters.register("every_second", |_table, _number| Ok(Box::new(EverySecond::default())))?; // own:every_second
/// let (mut filter, mut held) = (EverySecond::default(), [false]);
/// filter.push_f32(&[7], &mut [1.0], &mut held);
/// assert!(held[0]);
/// filter.push_f32(&[7], &mut [2.0], &mut held);
/// assert!(!held[0]);
/// # Ok::<(), String>(())
/// ```
pub trait PushFilter: Send {
    /// A push: ascending keys, and for each as many numbers as the table's width, with what was held back
    /// of it before. Numbers may be changed; a key whose mark in `held` is set is not sent but kept. A
    /// number that becomes NaN, infinite or too large for the table makes the push fail.
    fn push_f32(&mut self, keys: &[u64], values: &mut [f32], held: &mut [bool]);

    /// As [`push_f32`](Self::push_f32), for tables of doubles.
    fn push_f64(&mut self, keys: &[u64], values: &mut [f64], held: &mut [bool]);

    /// The answer to a pull, when the program takes it.
    fn pulled_f32(&mut self, _keys: &[u64], _values: &[f32]) {}

    /// As [`pulled_f32`](Self::pulled_f32), for tables of doubles.
    fn pulled_f64(&mut self, _keys: &[u64], _values: &[f64]) {}
}
