//! Filters of the user's own on the answering side.
//!
//! A filter sees each answer to a pull of its table on the shard that gives it, beside what the asking
//! worker already has of the same keys, and says which keys it may go on with as they are. Their rows do not
//! travel. What the worker has is remembered by both sides, in bounded memory: where either has forgotten, the whole
//! answer travels. Its signatures are slices and numbers, so that they can be said in C.

/// Decides what of a table's answers is told. One shard has one for each table that declares it, for all workers.
///
/// ```
/// use parashard::client::{PullFilter, PullFilters};
///
/// /// A worker goes on with what it has of a key as long as that is right to one part in a hundred.
/// struct OnePercent;
///
/// macro_rules! keep_near {
///     ($before:expr, $values:expr, $kept:expr) => {
///         // Of a table of width 1.
///         for ((before, value), kept) in $before.iter().zip($values).zip($kept) {
///             *kept = (*value - before).abs() <= 0.01 * value.abs();
///         }
///     };
/// }
///
/// impl PullFilter for OnePercent {
///     fn answer_f32(&mut self, _keys: &[u64], before: Option<&[f32]>, values: &mut [f32], kept: &mut [bool]) {
///         keep_near!(before.unwrap_or_default(), values, kept);
///     }
///     fn answer_f64(&mut self, _keys: &[u64], before: Option<&[f64]>, values: &mut [f64], kept: &mut [bool]) {
///         keep_near!(before.unwrap_or_default(), values, kept);
///     }
/// }
///
/// let mut filters = PullFilters::default();
/// filters.register("one_percent", |_table, _number| Ok(Box::new(OnePercent)))?; // own_pull:one_percent
/// let mut kept = [false; 2];
/// OnePercent.answer_f32(&[3, 7], Some(&[1.0, 2.0]), &mut [1.001, 3.0], &mut kept);
/// assert_eq!(kept, [true, false]);
/// # Ok::<(), String>(())
/// ```
pub trait PullFilter: Send {
    /// An answer: ascending keys, and for each as many numbers as the table's width. `before` is what the
    /// worker has of them, where that is known to both sides. A key whose mark in `kept` is set stays as it was
    /// there; without `before` marks mean nothing. Numbers may be changed: the worker gets what is left here.
    fn answer_f32(&mut self, keys: &[u64], before: Option<&[f32]>, values: &mut [f32], kept: &mut [bool]);

    /// As [`answer_f32`](Self::answer_f32), for tables of doubles.
    fn answer_f64(&mut self, keys: &[u64], before: Option<&[f64]>, values: &mut [f64], kept: &mut [bool]);
}
